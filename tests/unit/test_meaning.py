"""What can change a result: the behaviour of code, and the values of settings."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from project import ROOT

from unlearning.meaning import by_meaning, digest_of_code

SOURCE = '''
"""A module."""
LIMIT = 3  # a constant
"""What it is."""


def double(value: float, *, times=2, **further) -> float:
    """Return it twice."""
    if value > LIMIT and not further:
        return value * times + 0.0
    text = f"{value!r:>{times}} and 'more'"
    return [each for each in (1, None, "a", b"b", 2j, ...) if each is not text][0]
'''

SAME = {
    "a comment": SOURCE.replace("LIMIT = 3", "LIMIT = 3  # another").replace("# a constant", ""),
    "no documentation": SOURCE.replace('"""Return it twice."""', "").replace('"""What it is."""', ""),
    "formatting": ast.unparse(ast.parse(SOURCE)),
    "blank lines": SOURCE.replace("\n    text", "\n\n\n    text"),
    "a prefix without meaning": SOURCE.replace('"a"', 'u"a"'),
    "pass": SOURCE.replace("    text =", "    pass\n    text ="),
    "brackets": SOURCE.replace("value * times + 0.0", "((value * times) + 0.0)"),
    "line ends": SOURCE.replace("\n", "\r\n"),
    "a byte order mark": "\ufeff" + SOURCE,
}
OTHER = {
    "an operator": ("value > LIMIT", "value >= LIMIT"),
    "a number": ("LIMIT = 3", "LIMIT = 4"),
    "a number of another type": ("LIMIT = 3", "LIMIT = 3.0"),
    "a name": ("further", "others"),
    "a string": ("and 'more'", "and 'less'"),
    "bytes for text": ('b"b"', '"b"'),
    "None for nothing": ("None, ", ""),
    "the order": ("value * times + 0.0", "value * (times + 0.0)"),
    "a keyword argument made positional": ("*, times", "times"),
    "a condition less": (" and not further", ""),
}


@pytest.mark.parametrize("case", SAME)
def test_what_only_a_reader_sees_is_no_difference(case):
    assert SAME[case] != SOURCE
    assert digest_of_code(SAME[case].encode()) == digest_of_code(SOURCE.encode())


@pytest.mark.parametrize("case", OTHER)
def test_what_the_program_does_is_one(case):
    edited = SOURCE.replace(*OTHER[case])
    assert edited != SOURCE
    assert digest_of_code(edited.encode()) != digest_of_code(SOURCE.encode())


def test_a_file_that_is_no_program_counts_by_its_bytes():
    broken = b"def f(:\n"
    assert digest_of_code(broken) != digest_of_code(broken + b"# a comment\n")
    assert digest_of_code(b"\x00") != digest_of_code(b"\x00\x00")
    latin = "# -*- coding: latin-1 -*-\nx = 'é'\n"
    assert digest_of_code(latin.encode("latin-1")) == digest_of_code("x = 'é'".encode())


def test_no_two_files_of_the_project_mean_the_same():
    """Empty files are left out. A digest that ignores a part of the program could make two files equal."""
    files = [file for file in (ROOT / "scripts").rglob("*.py") if file.name != "__init__.py"]
    assert len({digest_of_code(file.read_bytes()) for file in files}) == len(files)


# The digests were found with Python 3.11, 3.12 and 3.13: they must be equal, because results move between machines.
DIGEST = "0f695f3ce0c6980a"


def test_every_version_of_python_finds_the_same_digest():
    assert digest_of_code(SOURCE.encode()) == DIGEST
    interpreters = {Path(sys.executable).resolve(), *Path("/usr/bin").glob("python3.1[1-9]")}
    code = "import sys; from unlearning.meaning import digest_of_code; print(digest_of_code(sys.stdin.buffer.read()))"
    for interpreter in interpreters:
        command, environment = [interpreter, "-c", code], {"PYTHONPATH": str(ROOT / "scripts")}
        done = subprocess.run(command, input=SOURCE.encode(), env=environment, capture_output=True)
        assert done.stdout.decode().strip() == DIGEST, interpreter


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(VALUES)
def test_equal_settings_have_one_form_and_others_another(value):
    form = by_meaning(value)
    assert form == value  # nothing is lost
    assert repr(by_meaning(form)) == repr(form)

    def written_otherwise(its):
        if isinstance(its, dict):
            return {key: written_otherwise(its[key]) for key in reversed(list(its))}
        if isinstance(its, list):
            return [written_otherwise(each) for each in its]
        if isinstance(its, int) and not isinstance(its, bool) and abs(its) <= 2**53:
            return float(its)
        return its

    assert repr(by_meaning(written_otherwise(value))) == repr(form)


@given(st.floats(allow_nan=False, allow_infinity=False), st.floats(allow_nan=False, allow_infinity=False))
def test_only_equal_numbers_have_equal_forms(one, other):
    assert (json.dumps(by_meaning(one)) == json.dumps(by_meaning(other))) == (one == other)


def test_a_switch_is_no_number():
    assert repr(by_meaning([True, 1, 1.0, False, 0.0, "1"])) == "[True, 1, 1, False, 0, '1']"
