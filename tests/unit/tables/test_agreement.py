"""Kendall's tau between metrics: against counts of pairs, and metrics that are to be compared with the oracle."""

import math
from itertools import combinations

import pandas
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unlearning.tables.agreement import COLUMNS, agreement, distances_to_oracle, mean_matrix

METHODS = ["retrain", "original", "a", "b", "c", "d", "e"]
KINDS = pandas.Series(["reference", "reference", *["method"] * 4, "external"], METHODS)


def summary(benchmark="x-d-class0", **means):
    """Return summary.csv for the means of each metric, in the order of METHODS."""
    rows = [(benchmark, m, metric, v) for metric, values in means.items() for m, v in zip(METHODS, values, strict=True)]
    return pandas.DataFrame(rows, columns=["benchmark", "method", "metric", "mean"]).dropna()


def tau(found, metric, other):
    ((value,),) = found.loc[(found["metric"] == metric) & (found["other"] == other), ["tau"]].to_numpy()
    return value


def test_two_metrics_agree_by_the_share_of_pairs_of_methods_that_they_put_into_the_same_order():
    found = agreement(
        summary(retain_acc=[0, 0, 0.1, 0.2, 0.3, 0.4, 9], forget_acc=[0, 0, 0.4, 0.1, 0.2, 0.3, 9]), KINDS
    )
    # A low forget_acc is better, so the orders are a < b < c < d and a < d < c < b: 3 of 6 pairs agree.
    assert tau(found, "retain_acc", "forget_acc") == pytest.approx(0)
    assert list(found["methods"]) == [4]  # neither references nor external models


def test_a_metric_to_compare_with_the_oracle_orders_by_the_distance_to_it():
    found = agreement(
        summary(unlearn_score=[0, 0, 0.4, 0.3, 0.2, 0.1, 9], probe_acc=[0.5, 0, 0.45, 0.6, 0.35, 0.9, 9]), KINDS
    )
    assert tau(found, "unlearn_score", "probe_acc") == pytest.approx(1)  # distances .05, .1, .15, .4


def test_the_distance_is_that_to_the_oracle_of_the_same_seed():
    """Deviations to both sides cancel in a mean over seeds: "a" is level with the oracle on average, in no seed."""
    gaps = {"retrain": (0, 0), "a": (0.3, -0.3), "b": (0.05, 0.05), "c": (0.1, 0.1), "d": (-0.2, -0.2)}
    rows = [("x-d-class0", name, seed, its) for name, of_seeds in gaps.items() for seed, its in enumerate(of_seeds)]
    metrics = pandas.DataFrame(rows, columns=["benchmark", "method", "seed", "gap_probe_acc"])
    means = summary(unlearn_score=[0, 0, 0.1, 0.4, 0.3, 0.2, 9], probe_acc=[0.5, 0, 0.5, 0.55, 0.6, 0.3, 9])
    found = agreement(means, KINDS, distances_to_oracle(metrics))
    assert tau(found, "unlearn_score", "probe_acc") == pytest.approx(1)  # distances .3, .05, .1, .2
    assert tau(agreement(means, KINDS), "unlearn_score", "probe_acc") < 1


def test_the_mean_over_benchmarks_counts_each_class_once():
    rows = [("x-d-class0", 0.2), ("x-d-class1", 0.4), ("x-d-class*", 0.9)]
    agreed = pandas.DataFrame([(name, "tow", "gap", 5, its) for name, its in rows], columns=COLUMNS)
    assert mean_matrix(agreed, ["tow", "gap"]).loc["gap", "tow"] == pytest.approx(0.3)


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=4, max_size=4))
def test_tau_b_is_the_count_of_concordant_and_discordant_pairs_over_those_without_ties(values):
    first, second = ([0, 0, *side, 9] for side in zip(*values, strict=True))
    found = agreement(summary(retain_acc=first, tow=second), KINDS)
    signs = [((a > c) - (a < c), (b > d) - (b < d)) for (a, b), (c, d) in combinations(values, 2)]
    untied = [sum(side != 0 for side in of_metric) for of_metric in zip(*signs, strict=True)]
    if min(untied) == 0:  # all methods level: no order
        assert found.empty
    else:
        expected = sum(a * b for a, b in signs) / math.sqrt(untied[0] * untied[1])
        assert tau(found, "retain_acc", "tow") == pytest.approx(expected)


def test_three_methods_are_too_few():
    means = summary(retain_acc=[0, 0, 0.1, 0.2, 0.3, None, 9], tow=[0, 0, 0.1, 0.2, 0.3, 0.4, 9])
    assert agreement(means, KINDS).empty


def test_the_matrix_is_the_mean_over_benchmarks_and_symmetric():
    up, down = [0, 0, 1, 2, 3, 4, 9], [0, 0, 4, 3, 2, 1, 9]
    means = [summary(retain_acc=up, tow=up), summary("y-d-class0", retain_acc=up, tow=down, unlearn_score=up)]
    matrix = mean_matrix(agreement(pandas.concat(means), KINDS), ["tow", "retain_acc", "unlearn_score", "js_to_oracle"])
    assert matrix.loc["tow", "retain_acc"] == matrix.loc["retain_acc", "tow"] == pytest.approx(0)
    assert matrix.loc["unlearn_score", "retain_acc"] == pytest.approx(1)
    assert matrix.loc["tow", "tow"] == 1
    assert math.isnan(matrix.loc["tow", "js_to_oracle"])
