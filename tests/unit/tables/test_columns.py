"""The columns: each is described in one place, and everything that shows it reads there."""

import ast
import math
import re
import shutil
import subprocess
import sys

import pytest
from project import ROOT

from unlearning.evaluation.metrics import METRICS
from unlearning.tables.columns import (
    COLUMN,
    COMPARED,
    COSTS,
    COSTS_CSV,
    DISTANCES,
    FEATURES,
    REQUESTED,
    SCORES,
    Column,
    in_block,
)

SCRIPTS = ROOT / "scripts"
COLUMNS_FILE = SCRIPTS / "unlearning/tables/columns.py"
RENDERERS = [
    *(file for file in sorted(SCRIPTS.glob("unlearning/tables/*.py")) if file != COLUMNS_FILE),
    *(SCRIPTS / f"{rule}.py" for rule in ("aggregate", "table", "sweep", "calibrate")),
    *(SCRIPTS / f"commands/{name}.py" for name in ("docs", "preview", "verify", "keep")),
]


def texts_of(file):
    """Return all text constants of a file, except for docstrings."""
    tree = ast.parse(file.read_text())
    bare = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    constants = [node for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    return [node.value for node in constants if id(node) not in bare]


def test_no_title_and_no_arrow_of_a_column_is_said_a_second_time():
    names = {name for column in (*COLUMN.values(), *COSTS_CSV) for name in column.name.split(", ")}
    titles = {column.title for column in (*COLUMN.values(), *COSTS_CSV) if column.title} - names
    assert {"gap", "ToW", "JS", "routing", "probe", "MB", "× oracle's s"} <= titles
    for file in RENDERERS:
        for text in texts_of(file):
            assert re.sub(r"[↑↓→]", "", text).strip() not in titles, (file, text)
            assert not re.search(r"(^|\w)\s*[↑↓→]$", text), (file, text)


def test_a_column_says_its_heading_and_which_value_is_the_best():
    higher, lower, near = (Column("n", "", "", better, "what it is", title="T") for better in ("↑", "↓", "oracle"))
    assert [column.heading for column in (higher, lower, near)] == ["T ↑", "T ↓", "T →"]
    assert higher.in_words == "T (higher is better)"
    assert [column.best([1, 3, 2]) for column in (higher, lower, near)] == [3, 1, None]
    assert higher.best([]) is None
    assert Column("n", "", "", "↑", "what it is", has_best=False).best([1]) is None
    plain = Column("n", "", "", "", "what it is")
    assert (plain.heading, plain.in_words) == ("n", "n")


def test_a_block_has_the_columns_with_a_best_value_first():
    assert [column.name for column in in_block(SCORES)] == list(METRICS)
    for block in (DISTANCES, FEATURES, REQUESTED):
        directions = [column.better for column in in_block(block)]
        assert directions == sorted(directions, key=lambda better: better == "oracle")
        assert directions
    assert [column.label for column in in_block(COSTS)] == ["seconds", "steps", "MB", "× oracle's s"]


def test_every_column_of_the_table_with_a_mean_is_in_the_summary():
    blocks = (SCORES, DISTANCES, FEATURES, REQUESTED)
    assert {column.name for block in blocks for column in in_block(block)} <= set(COMPARED)


def test_a_column_says_the_bounds_of_its_values():
    bounds = {
        name: COLUMN[name].bounds for name in ("retain_acc", "forget_mia_auc_two_sided", "relearn_epochs", "seed")
    }
    assert bounds == {
        "retain_acc": (0, 1), "forget_mia_auc_two_sided": (0.5, 1), "relearn_epochs": (0, math.inf),
        "seed": (0, math.inf),
    }  # fmt: skip
    assert COLUMN["benchmark"].bounds == (-math.inf, math.inf)


def test_the_columns_of_distances_say_which_value_the_oracle_has():
    assert {column.name for column in in_block(DISTANCES)} >= {"mean_abs_gap", "tow", "js_to_oracle"}
    for column in in_block(DISTANCES):
        assert column.at_oracle == (1 if column.better == "↑" else 0), column.name


# What follows is the way of a new metric: its value is in the cells' metrics.json, and one line in columns.py.

NEW = 'Column("sureness", "nats", "0 and up", "↑", "how sure it is", title="sure", block=FEATURES, decimals=1)'

RENDER = """
import numpy as np
import pandas
from unlearning.tables.cells import join_cells
from unlearning.tables.columns import MEASURED, render_dictionary
from unlearning.tables.comparison import render_table
from unlearning.tables.numbers import numbers_from

cells = [
    {column.name: 0.5 for column in MEASURED}
    | {"benchmark": "b-d-class0", "method": method, "seed": seed, "status": "ok", "classes": 10, "sureness": value}
    for method, values in {"retrain": (4.0, 4.0), "base": (1.0, 1.0), "mine": (2.0, 2.5)}.items()
    for seed, value in enumerate(values)
]
kinds = {"retrain": "reference", "base": "baseline", "mine": "method"}
metrics = pandas.DataFrame(join_cells(cells, [], [np.array([[1.0, 2.0]])] * len(cells), kinds, {"mine": "own"}))
names = ["rule", "method", "training_seconds", "seconds_to_oracle", "steps", "peak_memory_mb", "peak_gpu_memory_mb"]
names += ["benchmark", "device", "precision", "threads", "torch", "python"]
numbers = numbers_from(metrics, pandas.DataFrame(columns=names))
print(list(metrics["gap_sureness"]))
print(list(numbers.comparisons.query("metric == 'sureness' and method == 'mine'")["difference"]))
print(render_table(numbers, "digits"))
print(render_dictionary())
"""


@pytest.fixture(scope="module")
def with_a_new_column(tmp_path_factory):
    """Return the output of a copy of the library with one more line in columns.py."""
    scripts = tmp_path_factory.mktemp("copy") / "scripts"
    shutil.copytree(SCRIPTS / "unlearning", scripts / "unlearning", ignore=shutil.ignore_patterns("__pycache__"))
    file = scripts / "unlearning/tables/columns.py"
    text = file.read_text()
    assert text.count("MEASURED = (\n") == 1
    file.write_text(text.replace("MEASURED = (\n", f"MEASURED = (\n    {NEW},\n"))
    (scripts / "render.py").write_text(RENDER)
    done = subprocess.run([sys.executable, "render.py"], cwd=scripts, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_one_column_is_enough_for_a_new_metric_to_be_in_all_files(with_a_new_column):
    gaps, differences = with_a_new_column.splitlines()[:2]
    assert gaps == "[0.0, 0.0, -3.0, -3.0, -2.0, -1.5]"
    assert differences == "[1.25]"
    assert "- `sureness` (nats, 0 and up, ↑, in tables: sure): how sure it is\n" in with_a_new_column


def test_one_column_is_enough_for_a_new_metric_to_be_in_the_table(with_a_new_column):
    further = with_a_new_column.split("Left in the features")[1].split("Costs of")[0]
    lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in further.splitlines() if "|" in line]
    place = lines[0].index("sure ↑")
    rows = {row[0]: row[place] for row in lines}
    assert rows["mine"] == "**2.2**"  # with one decimal
    assert rows["base"] == "1.0"
