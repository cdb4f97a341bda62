"""Few-shot classifiers: compared with scikit-learn, with a search by hand, and in cases with a known answer."""

import warnings
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import softmax
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import NearestCentroid

from unlearning.evaluation import few_shot
from unlearning.evaluation.erasure import forget_logit_auc
from unlearning.evaluation.few_shot import (
    class_mean_accuracy,
    few_shot_probe_accuracy,
    fit_probe,
    prototype_accuracy,
    share_named,
)
from unlearning.evaluation.sample import PARTS, Representation

FORGET = 1


def model_of(distance=3.0, classes=4, width=6, of_class=40, noise=0.6, seed=0):
    """Return a model whose forget class lies ``distance`` from the middle of the others, which its head names right."""
    rng = np.random.default_rng(seed)
    centres = 4 * np.eye(classes, width)
    middle = centres[np.arange(classes) != FORGET].mean(axis=0)
    centres[FORGET] = middle + distance * np.eye(1, width, width - 1)[0]
    features, labels = {}, {}
    for part in PARTS:
        names = [FORGET] if part.startswith("forget") else [each for each in range(classes) if each != FORGET]
        labels[part] = np.repeat(names, of_class)
        features[part] = centres[labels[part]] + noise * rng.normal(size=(len(labels[part]), width))
    return Representation(features, labels, centres.copy(), -(centres**2).sum(axis=1) / 2)


# --- prototypes


def by_search(model, shots):
    """Return the accuracy of every draw, with a bias that is raised image by image until it costs more than 1 %."""
    others = [each for each in range(len(model.bias)) if each != model.forget_class]
    length = np.mean([np.linalg.norm(model.weight[each]) for each in others])
    shares = []
    for prototype in few_shot._prototypes(model, shots):
        weight, bias = model.weight.copy(), model.bias.copy()
        weight[model.forget_class] = length * prototype
        logits = model.features["retain_test"] @ weight.T + bias
        before = np.array(others)[logits[:, others].argmax(axis=1)]
        right = before == model.labels["retain_test"]
        candidates = np.sort((logits[:, others].max(axis=1) - logits[:, model.forget_class])[right])
        best = None
        for candidate in candidates + bias[model.forget_class]:
            bias[model.forget_class] = candidate
            now = model.features["retain_test"] @ weight.T + bias
            lost = np.sum(now[right, model.forget_class] > now[right][:, others].max(axis=1) + 1e-12)
            if lost <= 0.01 * right.sum():
                best = candidate
        bias[model.forget_class] = best
        forget = model.features["forget_test"] @ weight.T + bias
        shares.append(np.mean(forget[:, model.forget_class] > forget[:, others].max(axis=1)))
    return np.mean(shares)


@pytest.mark.parametrize("shots", [1, 10])
def test_a_prototype_names_what_a_search_for_its_bias_finds(shots):
    model = model_of(0.8, noise=0.9, of_class=70)  # 210 retained images: two may be lost
    expected = by_search(model, shots)
    assert 0.1 < expected < 0.95
    assert prototype_accuracy(model, shots) == pytest.approx(expected)


def test_a_prototype_is_of_as_many_images_as_it_says():
    model = model_of(noise=2.0)
    features = model.features["forget_train"] / np.linalg.norm(model.features["forget_train"], axis=1, keepdims=True)
    ones = few_shot._prototypes(model, 1)
    assert len(ones) == 10
    assert all(np.isclose(features, one).all(axis=1).any() for one in ones)
    assert len(np.unique(ones, axis=0)) > 5  # other draws, other images
    whole = features.mean(axis=0) / np.linalg.norm(features.mean(axis=0))
    np.testing.assert_allclose(few_shot._prototypes(model, 1000), np.tile(whole, (10, 1)))


@given(st.floats(-1e3, 1e3), st.integers(0, 99))
@settings(max_examples=20)
def test_what_was_done_to_the_class_in_the_head_changes_nothing(shift, seed):
    model = model_of(1.5)
    weight, bias = model.weight.copy(), model.bias.copy()
    weight[FORGET] = 10 * np.random.default_rng(seed).normal(size=weight.shape[1])
    bias[FORGET] += shift
    other = replace(model, weight=weight, bias=bias)
    for measure in (class_mean_accuracy, few_shot_probe_accuracy, lambda its: prototype_accuracy(its, 5)):
        assert measure(other) == measure(model)


def test_a_class_apart_comes_back_and_a_class_among_others_does_not():
    apart, among = model_of(6.0), model_of(0.0, noise=3.0)
    for measure in (class_mean_accuracy, few_shot_probe_accuracy, lambda its: prototype_accuracy(its, 10)):
        assert measure(apart) > 0.95
        assert measure(among) < 0.6


def test_without_a_retained_image_named_right_no_prototype_can_be_judged():
    model = model_of()
    wrong = np.where(model.labels["retain_test"] == 0, 2, 0)
    assert prototype_accuracy(replace(model, labels=model.labels | {"retain_test": wrong}), 1) is None


# --- class means and probes


def test_class_means_are_nearest_centroids_of_normalised_features(monkeypatch):
    monkeypatch.setattr(few_shot, "SHOTS", 10_000)  # all images: nothing depends on the draw
    model, rng = model_of(1.0, noise=2.5, of_class=300), np.random.default_rng(3)
    of_any_length = {part: its * rng.lognormal(0, 2, (len(its), 1)) for part, its in model.features.items()}
    model = replace(model, features=of_any_length)
    features, labels = (
        np.concatenate([its["forget_train"], its["retain_train"]]) for its in (model.features, model.labels)
    )
    normal = [each / np.linalg.norm(each, axis=1, keepdims=True) for each in (features, model.features["forget_test"])]
    centroids = NearestCentroid().fit(normal[0], labels).centroids_
    centroids /= np.linalg.norm(centroids, axis=1, keepdims=True)
    expected = ((normal[1] @ centroids.T).argmax(axis=1) == FORGET).mean()
    assert 0.2 < expected < 0.98
    assert class_mean_accuracy(model) == pytest.approx(expected)


def test_a_draw_has_ten_images_of_each_class():
    draws = list(few_shot._few_images(model_of()))
    assert len(draws) == 5
    for features, labels in draws:
        assert list(np.bincount(labels)) == [10] * 4
        assert len(np.unique(features, axis=0)) == 40
    assert not np.array_equal(draws[0][0], draws[1][0])


@pytest.mark.parametrize(("classes", "width"), [(3, 5), (10, 64), (12, 300)], ids=["small", "digits", "wide"])
def test_a_probe_is_scikit_learns(classes, width, monkeypatch):
    """Also if a feature follows from others, is constant, or there are more features than images."""
    rng = np.random.default_rng(1)
    labels = np.repeat(np.arange(classes), 10)
    features = rng.normal(size=(classes, width))[labels] + 2 * rng.normal(size=(len(labels), width))
    features[:, 1], features[:, 2] = features[:, 0] * 2 + 1, 0.5
    expected = LogisticRegression(max_iter=10000, tol=1e-9).fit(features, labels)
    for tolerance, largest_difference in ((1e-8, 1e-4), (few_shot.LARGEST_GRADIENT, 2e-3)):
        monkeypatch.setattr(few_shot, "LARGEST_GRADIENT", tolerance)
        weights, biases = fit_probe(features, labels, classes)
        np.testing.assert_allclose(weights, expected.coef_, atol=largest_difference)
        found, wanted = softmax(features @ weights.T + biases, axis=1), expected.predict_proba(features)
        np.testing.assert_allclose(found, wanted, atol=largest_difference)


def test_the_probe_is_fitted_to_standardised_features(monkeypatch):
    monkeypatch.setattr(few_shot, "SHOTS", 10_000)
    model = model_of(0.8, noise=1.5)
    model = replace(model, features={part: its * [1, 10, 100, 1, 1, 1] + 5 for part, its in model.features.items()})
    features, labels = (
        np.concatenate([its["forget_train"], its["retain_train"]]) for its in (model.features, model.labels)
    )
    mean, deviation = features.mean(axis=0), features.std(axis=0)
    probe = LogisticRegression(max_iter=10000, tol=1e-9).fit((features - mean) / deviation, labels)
    expected = (probe.predict((model.features["forget_test"] - mean) / deviation) == FORGET).mean()
    assert 0.2 < expected < 0.98
    assert few_shot_probe_accuracy(model) == pytest.approx(expected)


def test_a_feature_that_is_equal_in_all_known_images_says_nothing_about_others():
    """Divided by its deviation, which is zero but for rounding, it would outweigh all other features."""
    model = model_of(1.5)
    features = {part: its.copy() for part, its in model.features.items()}
    for part, its in features.items():
        its[:, 4] = 0.3 if part == "forget_test" else 0.1
    without = {part: np.delete(its, 4, axis=1) for part, its in features.items()}
    expected = few_shot_probe_accuracy(replace(model, features=without))
    assert 0.5 < expected < 1
    assert few_shot_probe_accuracy(replace(model, features=features)) == expected


def test_a_collapsed_model_names_no_class():
    """With equal features all classes are equal, and the first of them would win by its number."""
    model = model_of()
    for value in (0.0, 0.1, 1e30):
        collapsed = replace(model, features={part: np.full_like(its, value) for part, its in model.features.items()})
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert class_mean_accuracy(collapsed) == few_shot_probe_accuracy(collapsed) == 0
    assert share_named(np.array([[1.0, 1.0], [2.0, 1.0]]), 0) == 0.5


@given(st.integers(0, 100), st.integers(30, 100), st.integers(100, 350))
@settings(max_examples=30, deadline=None)
def test_the_head_of_a_collapsed_model_names_no_class(seed, of_forget, of_retained):
    """Answers that are equal but for rounding: whether it goes up or down depends on the shape of a product."""
    rng = np.random.default_rng(seed)
    feature, weight, bias = rng.normal(size=512), rng.normal(size=(10, 512)), rng.normal(size=10)
    counts = {part: of_forget if part.startswith("forget") else of_retained for part in PARTS}
    first = int((np.delete(weight, FORGET, axis=0) @ feature + np.delete(bias, FORGET)).argmax())
    largest = first if first < FORGET else first + 1
    labels = {part: np.full(count, FORGET if part.startswith("forget") else largest) for part, count in counts.items()}
    features = {part: np.tile(feature, (count, 1)) for part, count in counts.items()}
    collapsed = Representation(features, labels, weight, bias)
    assert prototype_accuracy(collapsed, 10) == 0
    assert forget_logit_auc(collapsed) == 0.5


@pytest.mark.parametrize("bias", [-1e10, 0.0, 1e10])
def test_a_bias_of_the_class_changes_nothing_in_what_its_logit_tells(bias):
    model = model_of(distance=0.5)
    moved = replace(model, bias=np.where(np.arange(len(model.bias)) == FORGET, bias, model.bias))
    assert forget_logit_auc(moved) == forget_logit_auc(model)
    assert 0.5 < forget_logit_auc(model) < 1
