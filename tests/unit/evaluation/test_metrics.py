"""The metrics, compared with brute force, scikit-learn and cases computed by hand, and their properties."""

import numpy as np
import pytest
import scipy.spatial
import scipy.stats
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score, roc_curve

from unlearning.evaluation import metrics

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

    # Three of four retain images are right; one of two forget images is still recognised.
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


# --- membership scores and attacks

some_logits = st.integers(2, 6).flatmap(
    lambda classes: st.lists(
        st.lists(st.floats(-20, 20), min_size=classes, max_size=classes), min_size=1, max_size=12
    ).map(np.array)
)


@given(some_logits, st.data())
def test_log_likelihood_is_minus_the_cross_entropy(logits, data):
    label = data.draw(st.integers(0, logits.shape[1] - 1))
    labels = torch.full((len(logits),), label)
    losses = torch.nn.functional.cross_entropy(torch.from_numpy(logits), labels, reduction="none")
    np.testing.assert_allclose(metrics.log_likelihood(logits, label), -losses.numpy(), atol=1e-9)
    assert (metrics.log_likelihood(logits, label) <= 0).all()


@given(some_logits)
def test_negative_entropy_is_scipys_entropy_of_the_softmax(logits):
    probabilities = torch.softmax(torch.from_numpy(logits), 1).numpy()
    found = metrics.negative_entropy(logits)
    np.testing.assert_allclose(found, -scipy.stats.entropy(probabilities, axis=1), atol=1e-9)
    assert (found <= 0).all()
    assert (found >= -np.log(logits.shape[1]) - 1e-9).all()


def test_a_probability_of_zero_gives_no_nan():
    masked = np.array([[-1000.0, 3.0, 1.0], [-1e30, 3.0, 1.0]], dtype=np.float32)
    assert np.isfinite(metrics.negative_entropy(masked)).all()
    assert np.isfinite(metrics.log_likelihood(masked, 0)).all()


two_or_more = st.lists(st.integers(-3, 3).map(float), min_size=2, max_size=30).map(np.array)


@given(two_or_more, two_or_more)
def test_the_standard_error_is_delongs_from_its_definition(members, non_members):
    def wins(one, others):
        return np.mean([(one > other) + 0.5 * (one == other) for other in others])

    of_members = [wins(m, non_members) for m in members]
    of_non_members = [1 - wins(n, members) for n in non_members]
    expected = np.var(of_members, ddof=1) / len(members) + np.var(of_non_members, ddof=1) / len(non_members)
    found = metrics.membership_auc_standard_error(members, non_members)
    assert found == pytest.approx(np.sqrt(expected), abs=1e-12)
    assert found == pytest.approx(metrics.membership_auc_standard_error(non_members, members), abs=1e-12)


def test_the_standard_error_worked_out_by_hand_and_where_there_is_none():
    # Members 1 and 3 against non-members 0 and 2: member shares .5 and 1, non-member shares 1 and .5; each variance
    # 1/8.
    assert metrics.membership_auc_standard_error(np.array([1.0, 3.0]), np.array([0.0, 2.0])) == pytest.approx(
        0.125**0.5
    )
    assert metrics.membership_auc_standard_error(np.array([1.0]), np.array([0.0, 2.0])) is None


def test_the_standard_error_is_the_spread_over_draws_of_images():
    rng = np.random.default_rng(0)
    draws = [(rng.normal(0.5, 1, 60), rng.normal(0, 1, 40)) for _ in range(500)]
    spread = np.std([metrics.membership_auc(*draw) for draw in draws])
    assert np.mean([metrics.membership_auc_standard_error(*draw) for draw in draws]) == pytest.approx(spread, rel=0.1)


@given(scores, scores, st.sampled_from([0.0, 0.01, 0.1, 0.5]))
def test_the_true_positive_rate_is_the_best_point_of_sklearns_curve(members, non_members, limit):
    labels = np.r_[np.ones(len(members)), np.zeros(len(non_members))]
    false, true, _ = roc_curve(labels, np.r_[members, non_members], drop_intermediate=False)
    expected = true[false <= limit + 1e-12].max()
    assert metrics.true_positive_rate(members, non_members, limit) == pytest.approx(expected, abs=1e-12)


def test_the_true_positive_rate_worked_out_by_hand():
    non_members = np.arange(200.0)  # two false alarms are allowed: the threshold is 197
    members = np.array([196.0, 197.0, 197.5, 300.0])
    assert metrics.true_positive_rate(members, non_members, 0.01) == 0.5
    assert metrics.true_positive_rate(members, np.arange(99.0), 0.01) == 1
    assert metrics.true_positive_rate(np.zeros(3), np.zeros(5), 0.01) == 0  # a constant score finds nothing


@given(scores, scores)
def test_the_two_sided_area_is_the_same_for_whoever_turns_the_attack_around(members, non_members):
    forward = metrics.two_sided(metrics.membership_auc(members, non_members))
    backward = metrics.two_sided(metrics.membership_auc(non_members, members))
    assert forward == pytest.approx(backward)
    assert 0.5 <= forward <= 1


def test_each_attack_has_its_own_score_and_images():
    def logits(*rows):
        return np.log(np.array(rows))

    members = logits([0.6, 0.2, 0.2], [0.1, 0.85, 0.05])
    augmented = logits([0.5, 0.25, 0.25], [0.4, 0.3, 0.3])
    non_members = logits([0.3, 0.7, 0.0001], [0.5, 0.25, 0.25])
    found = metrics.attacks(members, augmented, non_members, forget_class=0)
    # Largest probabilities: members .6, .85; augmented .5, .4; non-members .7, .5.
    assert found["forget_mia_auc_two_sided"] == 0.75
    assert found["forget_mia_auc_augmented"] == pytest.approx(0.5 / 4)
    assert found["forget_mia_tpr_at_1pct_fpr"] == 0.5
    # Probabilities of class 0: members .6, .1; non-members .3, .5.
    assert found["forget_mia_auc_loss"] == 0.5
    # Entropies: members .95, .52; non-members .61, 1.04.
    assert found["forget_mia_auc_entropy"] == 0.75
    assert found["forget_mia_auc_se"] == metrics.membership_auc_standard_error(
        np.array([0.6, 0.85]), np.array([0.7, 0.5])
    )


def test_the_attack_at_a_low_rate_allows_one_false_alarm_in_a_hundred():
    def of_confidence(values):
        return np.log(np.stack([values, 1 - values], axis=1))

    non_members = of_confidence(np.linspace(0.6, 0.8, 100))  # the second largest is .798
    members = of_confidence(np.array([0.7, 0.78, 0.799, 0.9]))
    assert metrics.attacks(members, members, non_members, 0)["forget_mia_tpr_at_1pct_fpr"] == 0.5


# --- the distance to the oracle

accuracies = st.tuples(*[st.floats(0, 1)] * 3)


@given(accuracies, accuracies)
def test_tug_of_war_is_one_at_the_oracle_and_falls_with_every_difference(own, of_oracle):
    tow = metrics.tug_of_war(own, of_oracle)
    assert 0 <= tow <= 1
    assert tow == pytest.approx(metrics.tug_of_war(of_oracle, own))
    assert metrics.tug_of_war(own, own) == 1
    assert tow <= 1 - max(abs(a - b) for a, b in zip(own, of_oracle, strict=True)) + 1e-12


def test_tug_of_war_worked_out_by_hand():
    assert metrics.tug_of_war((0.2, 0.9, 0.8), (0.0, 1.0, 0.9)) == pytest.approx(0.8 * 0.9 * 0.9)


@given(some_logits, st.randoms(use_true_random=False))
def test_jensen_shannon_is_the_square_of_scipys_distance(logits, random):
    other = logits[random.sample(range(len(logits)), len(logits))]
    p, q = (torch.softmax(torch.from_numpy(values), 1).numpy() for values in (logits, other))
    distances = scipy.spatial.distance.jensenshannon(p, q, base=2, axis=1)
    expected = np.mean(np.nan_to_num(distances) ** 2)  # scipy gives NaN if rounding leaves -1e-17 under the root
    found = metrics.jensen_shannon(logits, other)
    assert found == pytest.approx(expected, abs=1e-7)
    assert found == pytest.approx(metrics.jensen_shannon(other, logits), abs=1e-12)
    assert 0 <= found <= 1
    assert metrics.jensen_shannon(logits, logits) == 0


def test_models_that_share_no_class_are_one_bit_apart():
    assert metrics.jensen_shannon(np.array([[0.0, 1e4]]), np.array([[1e4, 0.0]])) == pytest.approx(1)
    half = np.log([[0.5, 0.5]])
    # From (1, 0) to (.5, .5) by hand: H(.75, .25) - H(.5, .5) / 2 = .8113 - .5 bits.
    assert metrics.jensen_shannon(np.array([[1e4, 0.0]]), half) == pytest.approx(0.311278, abs=1e-6)
