"""Names of several classes in a suite: what they stand for, wherever they are written, and mistakes in them."""

import re

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from project import ROOT, configured

from unlearning.config.checks import check_request
from unlearning.config.classes import with_single_classes
from unlearning.config.model import Benchmark
from unlearning.config.reading import read_config
from unlearning.config.variants import with_calibration, with_sweep
from unlearning.errors import UserError


def classes_of(*names, classes=10):
    """Return the classes that ``names``, given without MODEL-DATASET, stand for in a suite."""
    settings = {
        "suites": {"s": {"benchmarks": [f"m-d-{name}" for name in names]}},
        "benchmarks": {"m-d": {}},
        "datasets": {"d": {"classes": classes}},
    }
    expanded = with_single_classes(settings)["suites"]["s"]["benchmarks"]
    assert all(name.startswith("m-d-class") for name in expanded)
    return [Benchmark.parse(name).forget_class for name in expanded]


@given(st.integers(2, 300))
def test_a_star_is_every_class_of_the_data_set(classes):
    assert classes_of("class*", classes=classes) == list(range(classes))


@given(st.data())
def test_a_range_has_both_of_its_ends(data):
    first = data.draw(st.integers(0, 99))
    last = data.draw(st.integers(first, 99))
    assert classes_of(f"class{first}-{last}", classes=100) == list(range(first, last + 1))


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["class3", "class*"], [3, 0, 1, 2, 4]),
        (["class*", "class3"], [0, 1, 2, 3, 4]),
        (["class2-3", "class1-2"], [2, 3, 1]),
    ],
)
def test_a_class_that_is_named_twice_is_there_once_where_it_stands_first(names, expected):
    assert classes_of(*names, classes=5) == expected


DIGITS = [f"resnet20-digits-class{number}" for number in range(10)]


def test_the_names_may_stand_in_a_file_and_on_the_command_line(tmp_path):
    """Other suites, and other parts of the suite, stay as they are."""
    file = tmp_path / "mine.yaml"
    file.write_text(yaml.safe_dump({"suites": {"digits": {"benchmarks": ["vgg16bn-digits-class8-9", DIGITS[0]]}}}))
    from_file = read_config([ROOT / "config.yaml", file], {})
    assert from_file.chosen.benchmarks == ("vgg16bn-digits-class8", "vgg16bn-digits-class9", DIGITS[0])
    for words in (
        "resnet20-digits-class*",
        "resnet20-digits-class0-4, resnet20-digits-class5-9",
        ["resnet20-digits-class*"],
    ):
        config = read_config([ROOT / "config.yaml", file], {"benchmarks": words})
        assert config.chosen.benchmarks == tuple(DIGITS)
        assert config.chosen.methods == from_file.chosen.methods
        assert config.suites["paper"] == from_file.suites["paper"]
        assert "*" not in str(config.as_plain())


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("resnet20-digit-class*", "digits.benchmarks: unknown name 'resnet20-digit'; did you mean resnet20-digits?"),
        ("resnet20-digit-class0-1", "suites.digits.benchmarks: unknown name 'resnet20-digit'; did you mean"),
        ("resnet20-nowhere-class*", "benchmarks.resnet20-nowhere: unknown name 'nowhere'; known: digits, cifar10"),
        ("resnet20-digits-class8-10", "benchmarks: resnet20-digits-class8-10: digits has the classes 0 to 9"),
        ("resnet20-digits-class4-0", "class4-0: the first class comes first; write resnet20-digits-class0-4"),
        ("resnet20-digits-class0-04", "'resnet20-digits-class0-04' is no benchmark; write MODEL-DATASET-classK, e.g."),
        ("resnet20-digits-class", "; write MODEL-DATASET-classK, e.g. resnet20-cifar10-class0, class0-4"),
        ("resnet20-digits-class*3", "is no benchmark"),
        ("resnet20-digits-*", "is no benchmark"),
        ("resnet20-digits-class-1", "is no benchmark"),
        (["resnet20-digits-class*", "resnet20-digits-class*"], "has non-unique elements"),
    ],
)  # fmt: skip
def test_a_mistake_in_a_name_is_explained_in_one_line(tmp_path, name, message):
    (tmp_path / "nowhere.yaml").write_text("benchmarks: {resnet20-nowhere: {protocol: digits}}")
    with pytest.raises(UserError, match=re.escape(message)) as caught:
        read_config([ROOT / "config.yaml", tmp_path / "nowhere.yaml"], {"benchmarks": name})
    assert "\n" not in str(caught.value)


def test_a_path_has_one_class():
    with pytest.raises(UserError, match=r"class\*: a path has one class; for the table: --config benchmarks='resnet20"):
        check_request(configured(), ["results/resnet20-digits-class*/seed42/scrub/metrics.json"])


def test_a_sweep_and_a_calibration_have_the_classes_too():
    """They make names of data sets and benchmarks; the classes are in the suite, one by one."""
    before = read_config([ROOT / "config.yaml"], {"benchmarks": "resnet20-digits-class0-1"})
    for config in (with_sweep(before)[0], with_calibration(before)[0]):
        assert config.chosen.benchmarks == tuple(DIGITS[:2])
        added = set(config.benchmarks) - set(before.benchmarks)
        assert any(name.startswith("resnet20-digits_") for name in added)
        assert not any("class" in name for name in added)
