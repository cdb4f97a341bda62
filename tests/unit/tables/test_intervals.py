"""Intervals over seeds and paired differences, compared with scipy's tests."""

import numpy as np
import pandas
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from unlearning.tables.intervals import half_width, paired_differences, summary

share = st.integers(0, 1000).map(lambda thousandths: thousandths / 1000)
values = st.lists(share, min_size=2, max_size=12)


def frame(cells):
    """Return metrics.csv for {method: (kind, [score of each seed])}."""
    rows = [("b", method, kind, seed, score) for method, (kind, s) in cells.items() for seed, score in enumerate(s)]
    return pandas.DataFrame(rows, columns=["benchmark", "method", "kind", "seed", "score"])


@pytest.mark.filterwarnings("ignore:Precision loss")
@given(values)
def test_the_interval_is_that_of_students_test(sample):
    interval = scipy.stats.ttest_1samp(sample, 0).confidence_interval(0.95)
    expected = 0 if len(set(sample)) == 1 else (interval.high - interval.low) / 2
    assert half_width(pandas.Series(sample)) == pytest.approx(expected, rel=1e-6, abs=1e-9)


def test_one_value_has_no_interval():
    assert half_width(pandas.Series([0.5])) is None


@pytest.mark.filterwarnings("ignore:Precision loss")
@given(st.lists(st.tuples(share, share), min_size=2, max_size=8, unique=True))
def test_differences_are_paired_by_seed(pairs):
    own, of_baseline = (list(side) for side in zip(*pairs, strict=True))
    (row,) = paired_differences(frame({"base": ("baseline", of_baseline), "mine": ("method", own)}), ["score"]).to_dict(
        "records"
    )
    differences = np.subtract(own, of_baseline)
    interval = scipy.stats.ttest_rel(own, of_baseline).confidence_interval(0.95)
    assert (row["method"], row["baseline"], row["seeds"]) == ("mine", "base", len(pairs))
    assert row["difference"] == pytest.approx(differences.mean(), abs=1e-12)
    if np.ptp(differences) > 1e-9:
        assert row["difference"] + row["half_width"] == pytest.approx(interval.high, rel=1e-6, abs=1e-9)
        assert row["excludes_zero"] is bool(interval.low > 0 or interval.high < 0)


def test_pairs_are_matched_by_seed_and_not_by_row():
    cells = frame({"base": ("baseline", [0.1, 0.5]), "mine": ("method", [0.2, 0.6])})
    (row,) = paired_differences(cells.iloc[[0, 1, 3, 2]], ["score"]).to_dict("records")
    assert row["difference"] == pytest.approx(0.1)
    # Equal except for rounding: this says nothing about their spread.
    assert row["half_width"] == pytest.approx(0, abs=1e-9)
    assert row["excludes_zero"] is None


def test_everything_is_compared_with_every_baseline_and_baselines_with_each_other():
    cells = frame(
        {"original": ("reference", [0.1]), "a": ("baseline", [0.2]), "b": ("baseline", [0.3]), "c": ("method", [0.4])}
    )
    found = paired_differences(cells, ["score"])
    assert set(zip(found["method"], found["baseline"], strict=True)) == {
        ("original", "a"), ("original", "b"), ("a", "b"), ("b", "a"), ("c", "a"), ("c", "b"),
    }  # fmt: skip
    assert found["half_width"].isna().all()
    assert found["excludes_zero"].isna().all()  # one seed: no interval, hence no sign


def test_a_seed_that_one_of_the_two_lacks_is_left_out():
    cells = frame({"base": ("baseline", [0.1, 0.2, None]), "mine": ("method", [0.3, None, 0.9])})
    (row,) = paired_differences(cells, ["score"]).to_dict("records")
    assert (row["seeds"], row["difference"]) == (1, pytest.approx(0.2))


def test_the_summary_has_the_standard_error_of_one_seed():
    cells = frame({"one": ("method", [0.3]), "two": ("method", [0.3, 0.4]), "none": ("method", [0.5])})
    cells["score_se"] = [0.01, 0.02, 0.03, None]
    errors = summary(cells, ["score"], {"score": "score_se"})["standard_error"]
    assert errors[0] == 0.01
    assert errors[1:].isna().all()
    assert summary(cells, ["score"])["standard_error"].isna().all()


def test_a_metric_that_no_cell_has_is_left_out():
    cells = frame({"base": ("baseline", [None]), "mine": ("method", [None])})
    assert summary(cells, ["score"]).empty
    assert paired_differences(cells, ["score"]).empty


def test_the_summary_has_mean_interval_and_number_of_seeds():
    rows = summary(frame({"base": ("baseline", [0.8, 0.9, 1.0]), "mine": ("method", [0.3, None, None])}), ["score"])
    base, method = rows.to_dict("records")
    assert (base["seeds"], base["mean"]) == (3, pytest.approx(0.9))
    assert base["half_width"] == pytest.approx(4.302653 * 0.1 / 3**0.5, rel=1e-5)
    assert (method["seeds"], method["mean"]) == (1, 0.3)
    assert pandas.isna(method["half_width"])
