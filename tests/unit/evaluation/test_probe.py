"""The linear probe, compared with explicit folds and an explicit fit, and in cases with a known answer."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression

from unlearning.evaluation import probe


def probe_accuracy(features, is_forget):
    return probe.probe_accuracy(torch.from_numpy(features), torch.from_numpy(is_forget))


def clouds(distance, forget=40, rest=160, width=5, seed=0):
    rng = np.random.default_rng(seed)
    is_forget = np.repeat([False, True], [rest, forget])
    features = rng.normal(size=(forget + rest, width)).astype(np.float32)
    features[is_forget, 0] += distance
    return features, is_forget


def test_a_class_of_its_own_is_found_and_one_among_others_is_not():
    assert probe_accuracy(*clouds(12)) == 1
    assert probe_accuracy(*clouds(0, forget=200, rest=800)) == pytest.approx(0.5, abs=0.06)
    assert 0.6 < probe_accuracy(*clouds(1.5)) < 0.95


def test_it_is_balanced_cross_validated_logistic_regression():
    features, is_forget = clouds(1.0)
    fold = probe.stratified_folds(torch.from_numpy(is_forget), 5).numpy()
    standardised = (features - features.mean(axis=0)) / features.std(axis=0)
    predicted = np.zeros(len(features), dtype=bool)
    for number in range(5):
        fit, judge = fold != number, fold == number
        model = LogisticRegression(class_weight="balanced", max_iter=1000)
        predicted[judge] = model.fit(standardised[fit], is_forget[fit]).predict(standardised[judge])
    expected = (predicted[is_forget].mean() + (~predicted[~is_forget]).mean()) / 2
    assert 0.6 < expected < 0.9
    assert probe_accuracy(features, is_forget) == pytest.approx(expected)


def test_each_probe_is_scikit_learns_of_its_own_images():
    """Also if a feature follows from other features, is constant, or is mostly zero, as in a network."""
    features, is_forget = clouds(1.0, forget=30, rest=170, width=6)
    features = features.astype(np.float64)
    features[:, 3], features[:, 4], features[:, 5] = features[:, 0] * 2 + features[:, 1], 0, features[:, 5].clip(min=1)
    is_fitted = np.random.default_rng(1).random((3, 200)) < [[0.5], [0.7], [0.9]]
    weights, biases = probe.fit_probes(*map(torch.from_numpy, (features, is_forget, is_fitted)))
    for weight, bias, fitted in zip(weights, biases, is_fitted, strict=True):
        expected = LogisticRegression(class_weight="balanced", max_iter=10000, tol=1e-8)
        expected.fit(features[fitted], is_forget[fitted])
        np.testing.assert_allclose(weight, expected.coef_[0], atol=2e-3)
        np.testing.assert_allclose(bias, expected.intercept_[0], atol=2e-3)


@given(st.integers(2, 30), st.integers(2, 60), st.integers(2, 5))
def test_every_fold_has_its_share_of_both_sides(forget, rest, folds):
    is_forget = torch.arange(forget + rest) < forget
    fold = probe.stratified_folds(is_forget, folds)
    for side in (is_forget, ~is_forget):
        counts = torch.bincount(fold[side], minlength=folds)
        assert counts.max() - counts.min() <= 1
    assert torch.equal(fold, probe.stratified_folds(is_forget, folds))  # the same for every model


@settings(max_examples=15)
@given(st.integers(2, 12), st.integers(2, 30), st.floats(0.01, 100), st.floats(-50, 50))
def test_it_does_not_depend_on_the_features_scale(forget, rest, scale, shift):
    features, is_forget = clouds(4, forget, rest)
    features = features.astype(np.float64)
    found = probe_accuracy(features, is_forget)
    assert 0 <= found <= 1
    assert probe_accuracy(features * scale + shift, is_forget) == pytest.approx(found)


@pytest.mark.parametrize(("forget", "rest"), [(1, 20), (20, 1), (0, 20)])
def test_a_side_without_two_images_has_no_probe(forget, rest):
    assert probe_accuracy(*clouds(4, forget, rest)) is None
