"""Intervals over seeds and paired differences, compared with scipy's tests."""

import numpy as np
import pandas
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from unlearning.tables.columns import COLUMN
from unlearning.tables.intervals import half_width, holm, p_value, paired_differences, spread, summary

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
        assert row["p_value"] == pytest.approx(scipy.stats.ttest_rel(own, of_baseline).pvalue, rel=1e-6, abs=1e-12)
        assert (row["p_value"] < 0.05) == bool(interval.low > 0 or interval.high < 0)


def test_no_test_is_made_of_what_the_table_shows_as_failed_or_what_all_seeds_share():
    """Nor does a failed method make the correction for the others stricter."""
    rng = np.random.default_rng(0)
    cells = frame(
        {
            "base": ("baseline", [0.5] * 5),
            "whole": ("method", 0.6 + 0.01 * rng.random(5)),
            "broken": ("method", 0.7 + 0.01 * rng.random(5)),
        }
    )
    cells["status"] = "ok"
    cells.loc[cells.index[-1], ["status", "score"]] = ["failed", None]
    rows = paired_differences(cells, ["score"]).set_index("method")
    assert rows["p_holm"]["whole"] == rows["p_value"]["whole"] < 0.001
    assert rows["p_value"]["broken"] < 0.001
    assert np.isnan(rows["p_holm"]["broken"])
    shared = paired_differences(cells.rename(columns={"score": "ulira_auc"}), ["ulira_auc"])
    assert shared[["half_width", "p_value", "p_holm"]].isna().all(axis=None)
    assert shared["difference"].notna().all()


def test_pairs_are_matched_by_seed_and_not_by_row():
    cells = frame({"base": ("baseline", [0.1, 0.5]), "mine": ("method", [0.2, 0.6])})
    (row,) = paired_differences(cells.iloc[[0, 1, 3, 2]], ["score"]).to_dict("records")
    assert row["difference"] == pytest.approx(0.1)
    # Equal except for rounding: this says nothing about their spread.
    assert row["half_width"] == pytest.approx(0, abs=1e-9)
    assert row["p_value"] is None


def test_everything_is_compared_with_every_baseline_and_baselines_with_each_other():
    cells = frame(
        {"original": ("reference", [0.1]), "a": ("baseline", [0.2]), "b": ("baseline", [0.3]), "c": ("method", [0.4])}
    )
    found = paired_differences(cells, ["score"])
    assert set(zip(found["method"], found["baseline"], strict=True)) == {
        ("original", "a"), ("original", "b"), ("a", "b"), ("b", "a"), ("c", "a"), ("c", "b"),
    }  # fmt: skip
    assert found["half_width"].isna().all()
    assert found["p_value"].isna().all()  # one seed: no test, hence no sign
    assert found["p_holm"].isna().all()


def test_a_seed_that_one_of_the_two_lacks_is_left_out():
    cells = frame({"base": ("baseline", [0.1, 0.2, None]), "mine": ("method", [0.3, None, 0.9])})
    (row,) = paired_differences(cells, ["score"]).to_dict("records")
    assert (row["seeds"], row["difference"]) == (1, pytest.approx(0.2))


def test_a_metric_that_no_cell_has_is_left_out():
    cells = frame({"base": ("baseline", [None]), "mine": ("method", [None])})
    assert summary(cells, ["score"]).empty
    assert paired_differences(cells, ["score"]).empty


def test_the_summary_has_mean_spread_and_number_of_seeds():
    rows = summary(frame({"base": ("baseline", [0.8, 0.9, 1.0]), "mine": ("method", [0.3, None, None])}), ["score"])
    base, method = rows.to_dict("records")
    assert (base["seeds"], base["mean"], base["low"], base["high"]) == (3, pytest.approx(0.9), 0.8, 1.0)
    assert base["deviation"] == pytest.approx(0.1)
    assert (method["seeds"], method["mean"]) == (1, 0.3)
    assert pandas.isna([method["low"], method["high"], method["deviation"]]).all()


def test_what_seeds_share_has_no_spread():
    cells = frame({"mine": ("method", [0.3, 0.4])}).rename(columns={"score": "ulira_auc"})
    (row,) = summary(cells, ["ulira_auc"]).to_dict("records")
    assert row["mean"] == pytest.approx(0.35)
    assert pandas.isna([row["low"], row["high"]]).all()


@given(values)
def test_the_spread_never_leaves_the_bounds_of_the_metric(sample):
    low, high = spread(pandas.Series(sample), COLUMN["retain_acc"].bounds)
    assert 0 <= low <= np.mean(sample) + 1e-12
    assert np.mean(sample) - 1e-12 <= high <= 1
    if len(sample) < 5:
        assert (low, high) == (min(sample), max(sample))
    else:
        half = half_width(pandas.Series(sample))
        assert (low, high) == pytest.approx((max(np.mean(sample) - half, 0), min(np.mean(sample) + half, 1)))


def test_one_value_has_no_spread():
    assert spread(pandas.Series([0.5])) == (None, None)


def test_equal_differences_have_no_p_value():
    assert p_value(pandas.Series([0.1, 0.1 + 1e-12, 0.1])) is None
    assert p_value(pandas.Series([0.1])) is None


# --- many comparisons


def test_holms_correction_by_hand():
    """The second smallest of four is multiplied by three; a later one is never below an earlier one."""
    assert holm([0.04, 0.01, 0.03, 0.005]) == pytest.approx([0.06, 0.03, 0.06, 0.02])
    assert holm([0.6, 0.9]) == [1.0, 1.0]
    assert holm([]) == []


@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_holms_correction_raises_p_values_keeps_their_order_and_is_milder_than_bonferronis(p_values):
    corrected = holm(p_values)
    assert all(p <= its <= min(1, len(p_values) * p) + 1e-12 for p, its in zip(p_values, corrected, strict=True))
    assert [corrected[i] for i in np.argsort(p_values, kind="stable")] == sorted(corrected)
    # By its definition: reject in ascending order as long as p <= alpha / (tests left).
    for alpha in (0.05, 0.3):
        rejected, left = set(), len(p_values)
        for index in sorted(range(len(p_values)), key=p_values.__getitem__):
            if p_values[index] * left > alpha:
                break
            rejected.add(index)
            left -= 1
        assert {index for index, its in enumerate(corrected) if its <= alpha} == rejected


def three(kind, *differences):
    return (kind, [0.5 + difference for difference in differences])


def test_the_correction_counts_each_pair_of_a_benchmark_once_and_leaves_references_and_collapsed_baselines_out():
    cells = frame(
        {
            "original": three("reference", -0.4, -0.41, -0.4),
            "a": three("baseline", 0, 0, 0),
            "b": three("baseline", 0.1, 0.12, 0.1),
            "ruined": three("baseline", -0.3, -0.3, -0.31),
            "c": three("method", 0.02, 0.05, 0.02),
        }
    )
    found = paired_differences(cells, ["score"], {"b": ["ruined"]}).set_index(["method", "baseline"])
    tested = found[found["p_holm"].notna()]
    assert set(tested.index) == {
        ("a", "b"), ("b", "a"), ("c", "a"), ("c", "b"), ("ruined", "a"), ("ruined", "b"),
    }  # fmt: skip
    pairs = [("a", "b"), ("c", "a"), ("c", "b"), ("ruined", "a"), ("ruined", "b")]
    assert list(found.loc[pairs, "p_holm"]) == pytest.approx(holm(list(found.loc[pairs, "p_value"])))
    assert found.loc[("a", "b"), "p_holm"] == found.loc[("b", "a"), "p_holm"]
    assert found.loc[("original", "a"), "p_value"] < 0.01


def test_two_seeds_are_not_tested():
    cells = frame({"a": ("baseline", [0.1, 0.2]), "c": ("method", [0.3, 0.41])})
    (row,) = paired_differences(cells, ["score"]).to_dict("records")
    assert row["p_value"] is not None
    assert pandas.isna(row["p_holm"])


def test_a_pair_from_two_devices_is_marked_and_an_unknown_device_is_not():
    cells = frame({"a": ("baseline", [0.1, 0.2]), "c": ("method", [0.3, 0.4]), "d": ("method", [0.3, 0.4])})
    devices = {("b", "a", 0): "cpu", ("b", "a", 1): "cpu", ("b", "c", 0): "cpu", ("b", "c", 1): "H100"}
    found = paired_differences(cells, ["score"], None, devices).set_index("method")["has_other_device"]
    assert dict(found) == {"c": True, "d": False}
    assert not paired_differences(cells, ["score"])["has_other_device"].any()  # no device is known
