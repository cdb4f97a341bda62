"""The measures of erasure: compared with other implementations, cases by hand, and what must not change them."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import logsumexp, softmax
from scipy.stats import ortho_group, percentileofscore
from sklearn.metrics import roc_auc_score

from unlearning.evaluation.erasure import (
    erasure,
    forget_logit_auc,
    linear_cka,
    nearest_rank,
    residue,
    routing,
    total_variation,
)
from unlearning.evaluation.sample import PARTS, Representation

FORGET = 1


def model_of(seed, classes=3, width=5, images=20):
    """Return a model that names about half of the images right."""
    rng = np.random.default_rng(seed)
    weight = rng.normal(size=(classes, width))
    features, labels = {}, {}
    for part in PARTS:
        labels[part] = np.full(images, FORGET) if part.startswith("forget") else np.arange(images) % 2 * 2
        features[part] = rng.normal(size=(images, width)) + 0.5 * weight[labels[part]]
    return Representation(features, labels, weight, rng.normal(size=classes))


MODEL, ORACLE, ORIGINAL = model_of(0), model_of(1), model_of(2)


# --- readout


def test_the_readout_is_the_area_of_the_log_odds():
    scores = []
    for part in ("forget_test", "retain_test"):
        logits = MODEL.logits(part)
        scores.append(logits[:, FORGET] - logsumexp(np.delete(logits, FORGET, axis=1), axis=1))
    expected = roc_auc_score(np.repeat([1, 0], 20), np.concatenate(scores))
    assert 0.5 < expected < 1
    assert forget_logit_auc(MODEL) == pytest.approx(expected)


@given(st.floats(-1e4, 1e4))
def test_no_bias_of_the_class_changes_the_readout(shift):
    bias = MODEL.bias.copy()
    bias[FORGET] += shift
    assert forget_logit_auc(replace(MODEL, bias=bias)) == pytest.approx(forget_logit_auc(MODEL))


# --- routing


def test_routing_is_the_share_of_each_class():
    named = [int(np.argmax(MODEL.weight @ image + MODEL.bias)) for image in MODEL.features["forget_test"]]
    assert routing(MODEL) == [named.count(each) / 20 for each in range(3)]
    assert len(set(named)) > 1


def test_the_distance_of_routing_is_half_of_the_sum_of_differences():
    means = [softmax(its.logits("forget_test"), axis=1).mean(axis=0) for its in (MODEL, ORACLE)]
    assert erasure(MODEL, ORACLE, None)["routing_tv"] == pytest.approx(sum(abs(means[0] - means[1])) / 2)
    assert total_variation(np.array([1.0, 0]), np.array([0, 1.0])) == 1
    assert total_variation(np.array([0.5, 0.5, 0]), np.array([0.25, 0.5, 0.25])) == 0.25


distributions = st.lists(st.floats(0.01, 1), min_size=4, max_size=4).map(lambda its: np.array(its) / sum(its))


@given(distributions, distributions, distributions)
def test_total_variation_is_a_distance(p, q, r):
    assert total_variation(p, p) == 0
    assert total_variation(p, q) == total_variation(q, p)
    assert 0 <= total_variation(p, q) <= 1
    assert total_variation(p, r) <= total_variation(p, q) + total_variation(q, r) + 1e-12


# --- CKA


def by_kernels(x, y):
    """Return CKA as it is defined, from the centred Gram matrices of the images."""
    centre = np.eye(len(x)) - 1 / len(x)
    k, l = (centre @ values @ values.T @ centre for values in (x, y))  # noqa: E741
    return (k * l).sum() / np.sqrt((k * k).sum() * (l * l).sum())


@given(st.integers(0, 99), st.floats(0.01, 100), st.floats(-10, 10))
@settings(max_examples=30)
def test_cka_is_that_of_the_gram_matrices_and_blind_to_rotation_scale_and_shift(seed, scale, shift):
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(30, 5)), rng.normal(size=(30, 8))
    assert linear_cka(x, y) == pytest.approx(by_kernels(x, y))
    turned = scale * x @ ortho_group.rvs(5, random_state=rng) + shift
    assert linear_cka(x, turned) == pytest.approx(1)
    assert linear_cka(turned, y) == pytest.approx(linear_cka(x, y))
    assert 0 <= linear_cka(x, y) < 0.8


@pytest.mark.parametrize("value", [0.0, 0.1, 1e30])
def test_equal_features_have_no_cka(value):
    assert linear_cka(np.full((7, 3), value), np.random.default_rng(0).normal(size=(7, 3))) is None


# --- residue


def cosine(a, b):
    return a @ b / np.sqrt((a @ a) * (b @ b))


def test_the_residue_is_that_of_cosines_image_by_image():
    def cosines(first, second, part):
        return [cosine(a, b) for a, b in zip(first.features[part], second.features[part], strict=True)]

    found = residue(MODEL, ORACLE, ORIGINAL)
    first = np.mean(cosines(MODEL, ORACLE, "forget_train"))
    assert found["residue_cosine"] == pytest.approx(first)
    assert found["residue_against_retained"] == pytest.approx(first - np.median(cosines(MODEL, ORACLE, "retain_train")))
    assert found["residue_against_original"] == pytest.approx(
        first - np.mean(cosines(ORIGINAL, ORACLE, "forget_train"))
    )


def test_the_rank_is_of_each_images_nearest_among_the_retained_ones():
    retained, forget = list(MODEL.features["retain_train"]), MODEL.features["forget_train"]
    nearest = [
        max(cosine(one, other) for place, other in enumerate(retained) if place != own)
        for own, one in enumerate(retained)
    ]
    ranks = [percentileofscore(nearest, max(cosine(one, other) for other in retained), "mean") for one in forget]
    assert nearest_rank(MODEL) == pytest.approx(np.mean(ranks) / 100)


def test_the_oracle_has_no_residue_and_the_original_is_no_nearer_than_itself():
    of_oracle, of_original = residue(ORACLE, ORACLE, ORIGINAL), residue(ORIGINAL, ORACLE, ORIGINAL)
    assert of_oracle["residue_cosine"] == pytest.approx(1)
    assert of_oracle["residue_against_retained"] == pytest.approx(0)
    assert of_original["residue_against_original"] == 0


def test_the_rank_is_a_half_for_images_like_the_retained_ones_and_none_for_a_class_apart():
    rng = np.random.default_rng(5)
    like = {part: rng.normal(size=(400, 6)) for part in PARTS}
    labels = {part: np.full(400, FORGET) for part in PARTS}
    model = Representation(like, labels, np.zeros((3, 6)), np.zeros(3))
    assert nearest_rank(model) == pytest.approx(0.5, abs=0.05)
    like["retain_train"][:, 0], like["forget_train"][:, 0] = 9, -9
    assert nearest_rank(model) == 0
    like["retain_train"] = like["retain_train"][:1]
    assert nearest_rank(model) is None


# --- cells that are not ok


def test_without_a_model_all_is_empty_and_without_an_oracle_what_needs_one():
    whole, without_oracle, without_original, nothing = (
        erasure(MODEL, ORACLE, ORIGINAL),
        erasure(MODEL, None, ORIGINAL),
        erasure(MODEL, ORACLE, None),
        erasure(None, ORACLE, ORIGINAL),
    )
    assert None not in whole.values()
    assert set(nothing.values()) == {None}
    empty = [{name for name, value in found.items() if value is None} for found in (without_oracle, without_original)]
    assert empty[0] == {
        "routing_tv",
        "cka_to_oracle",
        "residue_cosine",
        "residue_against_retained",
        "residue_against_original",
    }
    assert empty[1] == {"residue_against_original"}
