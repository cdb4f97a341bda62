"""The audit of the checks: each outcome and each verdict, from metrics by hand."""

import pandas
import pytest
from hypothesis import given
from hypothesis import strategies as st
from project import ROOT

from unlearning.files import read_table
from unlearning.tables.audit import CHECKS, audits_of, held_out, largest_difference, render_audits
from unlearning.tables.columns import TO_ORACLE

SEEDS = (1, 2, 3)


def cells(benchmark="b", **metrics):
    """Return metrics.csv: each metric as (oracle's values, original's, head_mask's), one value or one per seed."""
    rows = []
    for index, method in enumerate(("retrain", "original", "head_mask")):
        for number, seed in enumerate(SEEDS):
            of_rows = {metric: values[index] for metric, values in metrics.items()}
            its = {metric: each[number] if isinstance(each, tuple) else each for metric, each in of_rows.items()}
            rows.append({"benchmark": benchmark, "method": method, "seed": seed, "status": "ok"} | its)
    return pandas.DataFrame(rows)


def finding(frame, metric, floor=None):
    (audit,) = audits_of(frame, floor)
    (its,) = [finding for finding in audit.findings if finding.check.metric == metric]
    return its


def passed(its):
    """Return which rows pass: oracle, original, head_mask; None is not judged."""
    return [its.entries[row] and its.entries[row].passes for row in ("retrain", "original", "head_mask")]


POWER = {"probe_acc": (0.5, 0.9, 0.9)}
"""A check of features that works."""


@pytest.mark.parametrize(
    ("metric", "values", "outcomes", "verdict"),
    [
        ("forget_acc", (0.0, 1.0, 0.0), [True, False, True], "ok"),
        ("forget_acc", (0.0, 1.0, 0.5), [True, False, False], "ok"),
        ("forget_acc", (0.0, 0.05, 0.0), [True, True, True], "no power: original passes"),
        ("probe_acc", (0.5, 0.9, 0.9), [True, False, False], "ok"),
        ("probe_acc", (0.5, 0.9, 0.6), [True, False, True], "no power: head_mask passes"),
        ("probe_acc", (0.5, 0.55, 0.55), [True, True, True], "no power: original passes"),
        ("probe_acc", ((0.5, 0.5, 0.9), 1.2, 1.2), [False, False, False], "the oracle fails"),
        ("probe_acc", ((0.5, 0.5, 0.9), 1.5, 1.5), [True, False, False], "ok"),
        ("relearn_epochs", (8.0, 0.0, 6.0), [True, False, True], "no power: head_mask passes"),
        ("relearn_epochs", (8.0, 0.0, 5.0), [True, False, False], "ok"),
        ("js_to_oracle", (0.0, 0.9, 0.1), [None, False, True], "ok"),
        ("tow", (1.0, 0.0, 0.95), [None, False, True], "ok"),
        ("tow", (1.0, 0.95, 0.95), [None, True, True], "no power: original passes"),
        ("probe_acc", (0.5, None, 0.9), [None, None, False], "not judged: no original"),
    ],
)
def test_each_outcome_and_each_verdict(metric, values, outcomes, verdict):
    its = finding(cells(**{metric: values}), metric)
    assert passed(its) == outcomes
    assert its.verdict == verdict


def test_a_row_is_compared_with_the_oracle_of_its_seed_and_the_distances_are_averaged():
    """By hand: the differences are .2, -.2 and .05; as a mean of values, original would be at the oracle."""
    its = finding(cells(forget_acc=((0.1, 0.2, 0.1), (0.3, 0.0, 0.15), 0.0)), "forget_acc")
    assert its.entries["original"].distance == pytest.approx((0.2 + 0.2 + 0.05) / 3)
    assert not its.entries["original"].passes


def test_the_tolerance_is_the_least_or_the_largest_difference_of_two_oracles():
    assert finding(cells(forget_acc=((0.0, 0.05, 0.02), 1.0, 0.0)), "forget_acc").tolerance == 0.1
    wide = finding(cells(forget_acc=((0.0, 0.3, 0.4), (0.35, 0.65, 0.75), 0.0)), "forget_acc")
    assert wide.tolerance == pytest.approx(0.4)
    assert wide.entries["original"].passes  # it is .35 away
    assert finding(cells(relearn_epochs=((8.0, 8.0, 9.0), 0.0, 6.0)), "relearn_epochs").tolerance == 2


def test_an_oracle_is_judged_by_the_others_and_fails_on_the_side_of_the_original():
    assert held_out([0.5], 1.0, 0.1) is None
    assert held_out([0.5, 0.6], float("nan"), 0.1) is None
    assert held_out([0.0, 0.2], 1.0, 0.1).passes is True
    outlier = held_out([0.0, 0.0, 0.6], 1.0, 0.1)
    assert (outlier.passes, outlier.distance) == (False, pytest.approx(0.6))
    assert held_out([0.0, 0.0, 0.45], 1.0, 0.1).passes is True
    assert held_out([0.5, 0.5, 0.0], 1.0, 0.1).passes is True  # away from the original
    assert held_out([0.0, 0.06], 0.1, 0.1).passes is True  # within the least tolerance


@given(st.lists(st.floats(0, 1), min_size=2, max_size=6), st.floats(0, 1), st.floats(0.01, 1))
def test_oracles_that_differ_by_no_more_than_the_least_tolerance_pass(values, original, least):
    outcome = held_out(values, original, least)
    assert outcome.distance <= largest_difference(values) + 1e-9
    assert outcome.passes or largest_difference(values) > least


def test_the_floor_widens_the_tolerance_of_a_distance_to_the_oracle_and_of_nothing_else():
    frame = cells(js_to_oracle=(0.0, 0.9, 0.25), tow=(1.0, 0.1, 0.75), forget_acc=(0.0, 1.0, 0.25), **POWER)
    names = ("js_to_oracle", "tow", "forget_acc")
    floor = pandas.DataFrame(
        [
            ("b", "js_to_oracle", 3, 0.2, 0.3, 0.05),
            ("b", "tow", 3, 0.7, 0.8, 0.05),
            ("b", "forget_acc", 3, 0.2, 0.3, 0),
        ],
        columns=["benchmark", "metric", "pairs", "mean", "furthest", "deviation"],
    )
    assert [finding(frame, name).tolerance for name in names] == [0.1, 0.1, 0.1]
    assert [finding(frame, name, floor).tolerance for name in names] == pytest.approx([0.3, 0.3, 0.1])
    assert [finding(frame, name, floor).entries["head_mask"].passes for name in names] == [True, True, False]
    elsewhere = floor.assign(benchmark="other")
    assert [finding(frame, name, elsewhere).tolerance for name in names] == [0.1, 0.1, 0.1]


def test_a_check_without_values_is_left_out_and_named():
    frame = cells(forget_acc=(0.0, 1.0, 0.0), tow=(None, None, None), **POWER)
    (audit,) = audits_of(frame)
    assert [its.check.metric for its in audit.findings] == ["forget_acc", "probe_acc"]
    assert {"tow", "relearn_epochs"} < set(audit.left_out)
    assert {check.metric for check in CHECKS} == {"forget_acc", "probe_acc", *audit.left_out}
    assert ", tow, " in render_audits([audit])


def test_cells_that_are_not_ok_do_not_count():
    frame = cells(forget_acc=(0.0, (1.0, 1.0, 0.0), 0.0), **POWER)
    frame.loc[(frame["method"] == "original") & (frame["seed"] == 3), "status"] = "diverged"
    assert finding(frame, "forget_acc").entries["original"].distance == 1.0
    frame.loc[frame["method"] == "retrain", "status"] = "failed"
    (audit,) = audits_of(frame)
    assert audit.findings == []
    assert audit.problems() == ["there is no row retrain that is ok, and nothing to compare with"]


@pytest.mark.parametrize(
    ("metrics", "problems"),
    [
        ({"forget_acc": (0.0, 1.0, 0.0), **POWER}, []),
        ({"forget_acc": (0.0, 0.0, 0.0), **POWER}, []),  # no power of one check: only named
        ({"relearn_epochs": (8.0, 0.0, 8.0), **POWER}, []),  # another check of features tells the mask
        ({"forget_acc": ((0.0, 0.0, 0.6), 1.0, 0.0), **POWER}, ["the oracle fails forget_acc: "]),
        ({"class_mean_acc": ((0.0, 0.0, 0.6), 1.0, 1.0), **POWER}, []),  # noise in one check of features: only named
        (
            {"probe_acc": (0.9, 1.0, 1.0), "relearn_epochs": (8.0, 0.0, 8.0)},
            ["no check of features tells head_mask, which erases nothing, from the oracle (probe_acc, relearn_epochs)"],
        ),
        ({"forget_acc": (0.0, 1.0, 0.0)}, ["no check of features has a value for head_mask; add head_mask to"]),
        ({"probe_acc": (0.5, 1.0, None)}, ["no check of features has a value for head_mask; add head_mask to"]),
    ],
)
def test_what_makes_the_audit_of_a_benchmark_fail(metrics, problems):
    (audit,) = audits_of(cells(**metrics))
    found = audit.problems()
    assert len(found) == len(problems)
    assert all(problem.startswith(start) for problem, start in zip(found, problems, strict=True))


def test_one_seed_judges_no_oracle_and_says_so():
    frame = cells(**POWER)
    (audit,) = audits_of(frame[frame["seed"] == 1])
    assert audit.findings[0].entries["retrain"] is None
    assert audit.findings[0].verdict == "ok"
    assert "One seed: the oracle itself is not judged" in render_audits([audit])
    assert "One seed" not in render_audits(audits_of(frame))


def test_the_text_has_a_table_per_benchmark_with_marks_and_a_summary_within_120_characters():
    frame = pandas.concat(
        [
            cells("one", forget_acc=(0.0, 1.0, 0.0), **POWER),
            cells("two", forget_acc=(0.0, 1.0, 0.0), probe_acc=(0.9, 0.95, 0.95)),
        ]
    )
    text = render_audits(audits_of(frame))
    first, second = text.split("## ")[1:]
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in first.splitlines() if "0.100" in line]
    assert rows == [
        ["forget_acc", "output", "pass 0.000", "FAIL 1.000", "pass 0.000", "0.100", "ok"],
        ["probe_acc", "features", "pass 0.000", "FAIL 0.400", "FAIL 0.400", "0.100", "ok"],
    ]
    assert first.startswith("one\n")
    assert "\n2 of 2 checks do what they should" in first
    assert "FAIL:" not in first
    assert second.startswith("two\n")
    assert second.count("pass 0.050 !") == 2
    assert "\n1 of 2 checks do what they should\nFAIL: no check of features tells head_mask" in second
    assert max(map(len, text.splitlines())) <= 120


def test_a_distance_to_the_oracle_has_its_value_for_the_oracle_as_its_ideal():
    oracle = read_table(ROOT / "results/reference/digits-metrics.csv").query("method == 'retrain'")
    ideals = {check.metric: check.ideal for check in CHECKS if check.ideal is not None}
    assert {column.name for column in TO_ORACLE if column.name in {check.metric for check in CHECKS}} <= set(ideals)
    assert {"mean_abs_gap", "tow", "js_to_oracle"} <= set(ideals)
    for metric in set(ideals) & set(oracle):
        assert (oracle[metric] == ideals[metric]).all(), metric


def test_every_check_stands_once():
    assert len({check.metric for check in CHECKS}) == len(CHECKS)
