"""U-LiRA: the members of each shadow model, the likelihoods by hand, and what the attack can and cannot detect."""

import numpy as np
import pytest
import scipy.special
import scipy.stats
import sklearn.metrics
from hypothesis import given
from hypothesis import strategies as st

from unlearning.errors import UserError
from unlearning.evaluation import ulira


@given(st.integers(1, 200), st.integers(1, 10).map(lambda half: 2 * half))
def test_every_image_is_a_member_of_exactly_half_of_the_shadow_models(pool, shadows):
    members = ulira.shadow_members(pool, shadows)
    assert members.shape == (shadows, pool)
    assert (members.sum(axis=0) == shadows // 2).all()


def test_membership_differs_from_image_to_image_and_not_from_call_to_call():
    members = ulira.shadow_members(100, 8)
    assert (members == ulira.shadow_members(100, 8)).all()
    assert len({tuple(column) for column in members.T}) > 30
    assert 30 < members.sum(axis=1).min() <= members.sum(axis=1).max() < 70


def test_the_pool_is_the_forget_class_of_both_parts():
    split = {"forget_train": np.array([2, 5]), "forget_test": np.array([0, 1])}
    assert ulira.forget_pool(split, train_size=10).tolist() == [2, 5, 10, 11]


def test_each_shadow_model_has_its_half_of_the_pool():
    split = {"forget_train": np.arange(0, 40, 2), "forget_test": np.arange(1, 21, 2)}
    sets = [ulira.shadow_members_of(split, 50, shadow, 4) for shadow in range(4)]
    counts = dict(zip(*np.unique(np.concatenate(sets), return_counts=True), strict=True))
    assert counts == dict.fromkeys(ulira.forget_pool(split, 50), 2)
    assert all(len(set(members)) == len(members) for members in sets)
    assert max(map(max, sets)) > 50 > min(map(min, sets))  # test images as well as training images


@given(st.lists(st.floats(-30, 30), min_size=2, max_size=6), st.data())
def test_the_scaled_confidence_is_the_log_odds_of_the_label(logits, data):
    label = data.draw(st.integers(0, len(logits) - 1))
    probabilities = np.exp(logits) / np.exp(logits).sum()
    odds = probabilities[label] / np.delete(probabilities, label).sum()
    assert ulira.scaled_confidence(np.array([logits]), label)[0] == pytest.approx(np.log(odds), rel=1e-9, abs=1e-9)


def test_the_likelihood_ratio_worked_out_by_hand():
    is_member = np.array([[True, False], [True, False], [False, True], [False, True]])
    shadows = np.array([[1.0, 5.0], [3.0, 7.0], [-1.0, 4.0], [1.0, 6.0]])
    # Means of members 2 and 5, of non-members 0 and 6; squares 2 + 2 on each side over 2 degrees of freedom: sqrt(2).
    found = ulira.likelihood_ratios(np.array([2.0, 5.5]), shadows, is_member)
    normal = scipy.stats.norm(0, 2**0.5)
    assert found[0] == pytest.approx(normal.logpdf(0) - normal.logpdf(2))
    assert found[1] == pytest.approx(0)


def simulated(trace, seed, members=60, non_members=40, shadows=16):
    """Return an attack on models that answer one number per image, raised by ``trace`` for images that they forgot.

    As with real models, all answers of a model have an offset; the attacked model's is unlike the others.
    """
    rng = np.random.default_rng(seed)
    pool = members + non_members
    difficulty = rng.normal(0, 3, pool)

    def model(was_forgotten, offset):
        answers = difficulty + rng.normal(0, 1, pool) + trace * was_forgotten + offset
        return np.stack([answers, np.zeros(pool)], axis=1)

    target = model(np.arange(pool) < members, 6.0)
    of_shadows = [model(row, rng.normal(0, 4)) for row in ulira.shadow_members(pool, shadows)]
    return ulira.attack(target[:members], target[members:], of_shadows, forget_class=0)


def test_a_trace_is_found_that_the_plain_area_misses():
    found = [simulated(2.0, seed)["ulira_auc"] for seed in range(10)]
    assert min(found) > 0.8
    assert np.mean([simulated(2.0, seed)["ulira_tpr_at_1pct_fpr"] for seed in range(10)]) > 0.2


def test_without_a_trace_nothing_is_found():
    assert np.mean([simulated(0.0, seed)["ulira_auc"] for seed in range(20)]) == pytest.approx(0.5, abs=0.05)


@given(st.integers(0, 99), st.lists(st.floats(-50, 50), min_size=5, max_size=5))
def test_a_number_added_to_all_answers_of_a_model_changes_nothing(seed, offsets):
    logits = np.random.default_rng(seed).normal(0, 2, (5, 20, 3))
    moved = logits.copy()
    moved[:, :, 1] += np.array(offsets)[:, None]  # the scaled confidence in class 1 rises by the same number
    found, of_moved = (ulira.attack(each[0][:12], each[0][12:], each[1:], forget_class=1) for each in (logits, moved))
    assert of_moved == pytest.approx(found)


# --- the attack on the class


def test_the_attack_on_the_class_worked_out_image_by_image():
    """Log odds by NumPy, densities by SciPy, the area by scikit-learn, with a mean and a deviation of each side."""
    rng = np.random.default_rng(3)
    model, oracle, *shadows = rng.normal(0, 2, (2 + 4 + 6, 15, 3))
    had, never_saw = shadows[:4], shadows[4:]

    def log_odds(logits):
        p = scipy.special.softmax(logits, axis=1)[:, 2]
        return np.log(p / (1 - p))

    sides = [np.array([log_odds(each) for each in side]) for side in (had, never_saw)]
    deviations = [np.sqrt(side.var(axis=0, ddof=1).mean()) for side in sides]
    ratios = []
    for each in (model, oracle):
        for image, answer in enumerate(log_odds(each)):
            of_had, of_never_saw = (
                scipy.stats.norm(side[:, image].mean(), deviation).logpdf(answer)
                for side, deviation in zip(sides, deviations, strict=True)
            )
            ratios.append(of_had - of_never_saw)
    expected = sklearn.metrics.roc_auc_score([1] * 15 + [0] * 15, ratios)
    assert 0.1 < expected < 0.9
    assert ulira.class_attack(model, oracle, had, never_saw, 2) == pytest.approx(expected)


def of_models(seed, *means, images=30):
    """Return the logits (images, 2) of models that answer each image as hard as it is, plus the model's own mean."""
    rng = np.random.default_rng(seed)
    answers = rng.normal(0, 2, images) + rng.normal(0, 0.5, (len(means), images)) + np.array(means)[:, None]
    return np.stack([answers, np.zeros_like(answers)], axis=2)


def test_a_class_that_the_model_had_is_found_and_one_that_it_never_had_is_not():
    """Four shadow models that had the class answer 3 more than the four that never saw it, on average."""
    model, stranger, oracle, *shadows = of_models(0, 3, 0, 0, *[3] * 4, *[0] * 4)
    assert ulira.class_attack(model, oracle, shadows[:4], shadows[4:], 0) > 0.99
    assert ulira.class_attack(stranger, oracle, shadows[:4], shadows[4:], 0) == pytest.approx(0.5, abs=0.15)


@given(st.integers(0, 99), st.floats(-5, 5))
def test_the_oracle_does_not_differ_from_itself_and_changing_places_turns_the_area_around(seed, shift):
    model, oracle, *shadows = of_models(seed, shift, 0, *[3] * 2, *[0] * 2)
    sides = shadows[:2], shadows[2:]
    assert ulira.class_attack(oracle, oracle, *sides, 0) == 0.5
    assert ulira.class_attack(model, oracle, sides[1], sides[1], 0) == 0.5  # as in the row of the oracle
    area = ulira.class_attack(model, oracle, *sides, 0)
    assert ulira.class_attack(oracle, model, *sides, 0) == pytest.approx(1 - area)


def test_what_chance_alone_gives_is_the_area_of_the_most_conspicuous_model_that_never_saw_the_class():
    """Of four models that never saw the class, the third answers a little like those that had it."""
    oracle, *shadows = of_models(1, 0, *[3] * 4, 0, 0.2, 0.7, -0.2)
    had, strangers = shadows[:4], shadows[4:]
    found = ulira.class_attack_by_chance(oracle, had, strangers, 0)
    others = [strangers[0], strangers[1], strangers[3]]
    assert found == ulira.class_attack(strangers[2], oracle, had, others, 0)
    assert ulira.class_attack_by_chance(oracle, had, others, 0) < found < 0.99


def test_the_first_shadow_model_without_an_answer_is_named():
    sound = {"logits": np.zeros((2, 3))}
    assert ulira.shadow_failure([sound, sound]) is None
    failed = {"failure": np.array("ValueError: no")}
    assert ulira.shadow_failure([sound, failed, failed]) == "shadow model 1: ValueError: no"
    infinite = {"logits": np.array([[0.0, np.inf]])}
    assert ulira.shadow_failure([infinite]) == "shadow model 0: its logits are not finite"


def test_a_forget_class_too_small_to_be_divided_is_an_error():
    split = {"forget_train": np.array([0]), "forget_test": np.array([0])}
    empty = next(shadow for shadow, members in enumerate(ulira.shadow_members(2, 8)) if not members.any())
    with pytest.raises(UserError, match="the 2 images of the forget class are too few for 8 shadow models"):
        ulira.shadow_members_of(split, 5, empty, 8)


def test_shadow_models_that_all_agree_give_a_finite_answer():
    logits = np.ones((5, 3))
    assert ulira.attack(logits[:3], logits[3:], [logits] * 4, 0) == {"ulira_auc": 0.5, "ulira_tpr_at_1pct_fpr": 0.0}
