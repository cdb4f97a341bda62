"""The metrics, against brute force, scikit-learn, cases worked out by hand, and their properties."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from unlearning import metrics

# Few distinct values, so that ties are common.
scores = st.lists(st.integers(-3, 3).map(float), min_size=1, max_size=30).map(np.array)


def brute_force_auc(members, non_members):
    wins = [(m > n) + 0.5 * (m == n) for m in members for n in non_members]
    return sum(wins) / len(wins)


@given(scores, scores)
def test_auc_counts_pairs_with_ties_at_one_half(members, non_members):
    auc = metrics.membership_auc(members, non_members)
    assert auc == pytest.approx(brute_force_auc(members, non_members), abs=1e-12)
    labels = np.r_[np.ones(len(members)), np.zeros(len(non_members))]
    assert auc == pytest.approx(roc_auc_score(labels, np.r_[members, non_members]), abs=1e-12)


@given(scores, scores)
def test_auc_of_swapped_sets_is_its_complement(members, non_members):
    forward, backward = metrics.membership_auc(members, non_members), metrics.membership_auc(non_members, members)
    assert forward + backward == pytest.approx(1, abs=1e-12)


@given(scores, scores)
def test_auc_does_not_change_under_monotone_transforms(members, non_members):
    auc = metrics.membership_auc(members, non_members)
    assert metrics.membership_auc(np.exp(members) + 7, np.exp(non_members) + 7) == pytest.approx(auc, abs=1e-12)


@given(st.integers(1, 200), st.integers(1, 200), st.floats(-50, 50))
def test_a_constant_model_gives_an_auc_of_exactly_one_half(members, non_members, logit):
    constant = metrics.confidence(np.full((members + non_members, 10), logit, dtype=np.float32))
    assert metrics.membership_auc(constant[:members], constant[members:]) == 0.5


def test_confidence_is_the_largest_softmax_probability():
    logits = np.log(np.array([[1, 2, 1], [8, 1, 1]], dtype=np.float32))
    np.testing.assert_allclose(metrics.confidence(logits), [0.5, 0.8], rtol=1e-6)
    assert np.isfinite(metrics.confidence(np.array([[1e4, -1e4], [-3e38, 3e38]], dtype=np.float32))).all()


def test_a_table_cell_worked_out_by_hand():
    def logits(*classes):
        return np.eye(3, dtype=np.float32)[list(classes)]

    # Three of four retain images right; one of two forget images still recognised.
    result = metrics.evaluate(
        retain_logits=logits(1, 2, 1, 0),
        retain_labels=np.array([1, 2, 1, 1]),
        forget_logits=logits(0, 1) * [[1], [3]],
        forget_labels=np.array([0, 0]),
        member_logits=logits(0, 0, 0) * [[1], [2], [4]],
    )
    # Member scales 1, 2, 4 against 1, 3: (.5 + 0) + (1 + 0) + (1 + 1) = 3.5 of 6 pairs.
    assert result["retain_acc"] == 0.75
    assert result["forget_acc"] == 0.5
    assert result["forget_mia_auc"] == pytest.approx(3.5 / 6)
    assert result["unlearn_score"] == pytest.approx((0.75 + 0.5 + 2.5 / 6) / 3)
    assert tuple(result) == metrics.METRICS


def test_the_score_agrees_with_published_rows():
    assert metrics.unlearn_score(0.876, 0.000, 0.451) == pytest.approx(0.808, abs=5e-4)
    assert metrics.unlearn_score(0.844, 0.001, 0.414) == pytest.approx(0.810, abs=5e-4)
