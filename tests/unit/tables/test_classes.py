"""The block of means over classes: what is pooled, and how it is paired."""

import numpy as np
import pandas
import pytest
import scipy.stats

from unlearning.tables.classes import errors_over_classes, floor_over_classes, over_classes
from unlearning.tables.intervals import paired_differences, summary


def cells(*classes, model="m-d"):
    """Return metrics.csv for the scores of a baseline and a method: one list per class, one (base, mine) per seed."""
    rows = [
        (f"{model}-class{number}", method, kind, seed, score)
        for number, pairs in enumerate(classes)
        for seed, pair in enumerate(pairs)
        for (method, kind), score in zip((("base", "baseline"), ("mine", "method")), pair, strict=True)
    ]
    return pandas.DataFrame(rows, columns=["benchmark", "method", "kind", "seed", "score"])


TWO = [(0.1, 0.3), (0.2, 0.3)], [(0.5, 0.6), (0.7, 0.9)]


def test_one_class_is_not_pooled():
    assert over_classes(cells(TWO[0])).empty
    both = pandas.concat([cells(*TWO), cells(TWO[0], model="other-d")])
    assert list(over_classes(both)["benchmark"].unique()) == ["m-d-class*"]


def test_the_mean_is_over_classes_and_seeds():
    base, mine = summary(over_classes(cells(*TWO)), ["score"]).to_dict("records")
    assert (base["seeds"], base["mean"]) == (4, pytest.approx((0.1 + 0.2 + 0.5 + 0.7) / 4))
    assert mine["deviation"] == pytest.approx(pandas.Series([0.3, 0.3, 0.6, 0.9]).std())


def test_the_spread_is_that_of_the_classes_whose_seeds_are_no_further_classes():
    """Six cells of two classes are two draws of a class; the interval of six classes is that of their means."""
    rows = [
        (f"m-d-class{name}", "mine", "method", seed, name / 10 + seed / 1000) for name in range(6) for seed in (1, 2, 3)
    ]
    of_six = pandas.DataFrame(rows, columns=["benchmark", "method", "kind", "seed", "score"])
    means = [name / 10 + 0.002 for name in range(6)]
    (row,) = summary(over_classes(of_six), ["score"]).to_dict("records")
    low, high = scipy.stats.t.interval(0.95, 5, np.mean(means), scipy.stats.sem(means))
    assert (row["seeds"], row["low"], row["high"]) == (18, pytest.approx(low), pytest.approx(high))
    (row,) = summary(over_classes(of_six[:6]), ["score"]).to_dict("records")
    assert (row["low"], row["high"]) == (pytest.approx(0.002), pytest.approx(0.102))


def test_pairs_are_of_one_class_and_seed_and_each_class_counts_once():
    classes = (*TWO, [(0.1, 0.15), (0.1, 0.16)])
    (row,) = paired_differences(over_classes(cells(*classes)), ["score"]).to_dict("records")
    of_classes = [0.15, 0.15, 0.055]
    assert row["seeds"] == 3
    assert row["difference"] == pytest.approx(sum(of_classes) / 3)
    assert row["p_value"] == pytest.approx(scipy.stats.ttest_1samp(of_classes, 0).pvalue)


def test_the_errors_of_classes_are_independent_and_their_floors_are_averaged():
    errors = pandas.DataFrame(
        [(f"m-d-class{number}", "mine", "forget_mia_auc", 3, error) for number, error in enumerate((0.03, 0.04))],
        columns=["benchmark", "method", "metric", "seeds", "standard_error"],
    )
    (row,) = errors_over_classes(errors).to_dict("records")
    assert (row["benchmark"], row["seeds"], row["standard_error"]) == ("m-d-class*", 6, pytest.approx(0.025))
    floor = pandas.DataFrame(
        [(f"m-d-class{number}", "tow", 3, mean, mean, 0.1) for number, mean in enumerate((0.9, 1.0))],
        columns=["benchmark", "metric", "pairs", "mean", "furthest", "deviation"],
    )
    (row,) = floor_over_classes(floor).to_dict("records")
    assert (row["pairs"], row["mean"], row["furthest"]) == (6, pytest.approx(0.95), pytest.approx(0.95))
