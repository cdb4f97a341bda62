"""What every method reached: the tables of docs/methods-measured.md, from made-up numbers that are easy to check."""

import pandas
import pytest

from unlearning.tables import measured as module
from unlearning.tables.measured import AUTHORS, ON_FASHION, SCRATCH, TUNED, Measured, best_settings
from unlearning.tables.numbers import numbers_from

SETTINGS = {
    "scratch": {},
    "scratch_authors": {},  # a method whose name only looks like another setting of a method
    "fade": {"rate": 1.0, "forget_pass": "once"},
    f"fade{AUTHORS}": {"rate": 5.0, "forget_pass": "once"},
    f"fade{TUNED}": {"rate": 1.0, "forget_pass": "always"},
    f"fade{ON_FASHION}": {"rate": 2.0, "forget_pass": "once"},
    "unmeasured": {},
}
RETAINED = {
    "retrain": 0.9,
    "scratch": 0.6,
    "scratch_authors": 0.3,
    "fade": 0.87,
    f"fade{AUTHORS}": 0.81,
    f"fade{TUNED}": 0.9,
    f"fade{ON_FASHION}": 0.78,
}
"""retain_acc; all else is as with the oracle, so that the gap is a third of the difference to 0.9."""


def cell(method, retain_acc, seed, benchmark="resnet20-a-class0"):
    kind = {"retrain": "reference", "scratch": "control"}.get(method, "method")
    gap = abs(retain_acc - RETAINED["retrain"]) / 3
    of_cell = {"benchmark": benchmark, "method": method, "seed": seed, "status": "ok", "kind": kind, "settings": "own"}
    return of_cell | {
        "retain_acc": retain_acc,
        "forget_acc": 0.0,
        "forget_mia_auc": 0.5,
        "forget_mia_auc_two_sided": 0.5,
        "unlearn_score": retain_acc,
        "mean_abs_gap": gap,
        "tow": 1 - gap,
    }


def numbers(methods):
    metrics = pandas.DataFrame([cell(method, RETAINED[method], seed) for method in methods for seed in (1, 2, 3)])
    costs = pandas.DataFrame(
        {"rule": [], "benchmark": [], "method": [], "seed": [], "device": [], "training_seconds": []}
    )
    floor = pandas.DataFrame(
        [("resnet20-a-class0", "mean_abs_gap", 3, 0.005, 0.012, 0.001)],
        columns=["benchmark", "metric", "pairs", "mean", "furthest", "deviation"],
    )
    return numbers_from(metrics, costs, floor)


SWEEP = pandas.DataFrame(
    [
        ("v", "retrain", None, "reference", "ok", 0.9, 0.0, 0.5, 0.9, 0.0),
        ("v", "scratch", "none", "control", "ok", 0.6, 0.0, 0.5, 0.6, 0.1),
        ("v", "fade", 'forget_pass "once", rate 1', "method", "ok", 0.9, 0.0, 0.5, 0.9, 0.02),
        ("v", "fade", 'forget_pass "always", rate 1', "method", "ok", 0.8, 0.0, 0.5, 0.8, 0.01),
        ("v", "fade", 'forget_pass "once", rate 5', "method", "failed", 0.9, 0.0, 0.5, 0.9, 0.0),
        ("w", "fade", 'forget_pass "once", rate 1', "method", "ok", 0.7, 0.0, 0.5, 0.7, 0.03),
        ("w", "fade", 'forget_pass "always", rate 1', "method", "ok", 0.6, 0.0, 0.5, 0.6, 0.09),
    ],
    columns=[
        *("benchmark", "method", "setting", "kind", "status", "retain_acc", "forget_acc"),
        *("forget_mia_auc_two_sided", "unlearn_score", "mean_abs_gap"),
    ],
)


@pytest.fixture
def measured(monkeypatch):
    kept = {
        module.SMALL: numbers(["retrain", "scratch", "scratch_authors", "fade"]),
        module.OTHERS: numbers(["retrain", "scratch", f"fade{AUTHORS}", f"fade{TUNED}"]),
        module.FASHION: numbers(["retrain", "scratch", f"fade{ON_FASHION}"]),
        module.BEFORE: numbers(["retrain", f"fade{AUTHORS}"]),
    }
    kept[module.BEFORE].summary["method"] = kept[module.BEFORE].summary["method"].str.removesuffix(AUTHORS)
    monkeypatch.setattr(module, "numbers_of", kept.__getitem__)
    monkeypatch.setattr(module, "read_table", lambda _: SWEEP)
    return Measured(SETTINGS)


def test_the_best_setting_is_the_nearest_to_the_oracle_that_did_not_fail_on_the_first_benchmark():
    assert best_settings(SWEEP) == {"fade": 'forget_pass "always", rate 1'}
    assert best_settings(SWEEP, benchmark=1) == {"fade": 'forget_pass "once", rate 1'}


def test_a_line_names_each_setting_by_what_is_different_in_it_and_starting_anew(measured):
    assert measured.line_of("fade") == (
        "gap to the oracle 0.010 ≈ as configured; 0.030 with the authors' rate 5.0; "
        '0.000 ≈ with forget_pass "always", the best of the sweep on CIFAR-10; 0.100 from *scratch*'
    )
    assert measured.line_of(SCRATCH) == "gap to the oracle 0.100 as configured"
    assert measured.line_of("unmeasured") is None
    assert measured.gap("resnet20-a-class0", "unmeasured") == "–"


def test_another_setting_of_a_method_whose_name_ends_like_one_is_compared_with_that_method():
    settings = {"fade": {"rate": 1.0}, "fade_authors": {"rate": 5.0}, "fade_authors_tuned": {"rate": 5.0, "more": 1}}
    assert Measured(settings).difference("fade_authors_tuned") == "more 1"


def rows_of(table):
    return [[value.strip() for value in line.split("|")[1:-1]] for line in table.splitlines()[2:]]


def test_the_table_of_settings_has_a_row_per_setting_and_the_paired_difference_to_starting_anew(measured):
    rows = rows_of(module.settings_table(measured, "resnet20-a-class0"))
    assert [row[:3] for row in rows] == [
        ["retrain", "", ""],
        ["scratch", "", ""],
        ["scratch_authors", "", ""],
        ["fade", "best on the other", ""],
        ["", "authors'", "rate 5.0"],
        ["", "sweep's best", 'forget_pass "always"'],
    ]
    assert [row[-3:] for row in rows[1:]] == [
        ["0.100", "20.0", "–"],
        ["0.200", "40.0", "+0.100 ± 0.000"],
        ["0.010 ≈", "2.0", "-0.090 ± 0.000"],
        ["0.030", "6.0", "-0.070 ± 0.000"],
        ["0.000 ≈", "0.0", "-0.100 ± 0.000"],
    ]


def test_the_table_of_the_second_benchmark_has_the_settings_that_are_best_there(measured):
    oracle, scratch, fade = rows_of(module.fashion_table(measured))
    assert oracle[:3] == ["retrain", "", "0.900"]
    assert scratch[-3:] == ["0.100", "20.0", "–"]
    assert fade == ["fade", "rate 2.0", "0.780", "0.000", "0.500", "0.780", "0.040", "8.0", "-0.060 ± 0.000"]


def test_the_table_of_changes_has_what_was_before_and_what_is_now(measured):
    (row,) = rows_of(module.changed_table(measured, "resnet20-a-class0"))
    assert row[0] == "fade"
    assert row[1] == "0.810 → 0.870"
    assert row[-1] == "0.030 → 0.010"


def test_the_table_of_schedules_pairs_settings_that_differ_in_nothing_else(measured):
    (row,) = rows_of(module.schedules_table(measured, "v"))
    assert row == [
        "fade",
        "rate 1",
        "0.900 / 0.800",
        "0.000 / 0.000",
        "0.500 / 0.500",
        "0.900 / 0.800",
        "0.020 / 0.010",
    ]


def test_the_table_of_the_sweep_has_the_setting_nearest_to_the_oracle_and_the_one_with_the_highest_score(measured):
    of_scratch, of_fade = rows_of(module.chosen_table(measured, "v"))
    assert of_scratch[:3] == ["scratch", "1", ""]
    assert of_fade[:2] == ["fade", "3"]
    assert of_fade[2:6] == ['forget_pass "always", rate 1', "0.500", "0.800", "0.010"]
    assert of_fade[6:] == ['forget_pass "once", rate 1', "0.500", "0.900", "0.020"]
    (of_fade,) = rows_of(module.chosen_table(measured, "w"))
    assert of_fade[2:6] == ['forget_pass "once"', "0.500", "0.700", "0.030"]
