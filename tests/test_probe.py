"""The linear probe, against folds and a fit written out, and where its answer is known."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold

from unlearning.probe import probe_accuracy


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
    predicted = np.zeros(len(features), dtype=bool)
    for fit, judge in StratifiedKFold(5, shuffle=True, random_state=0).split(features, is_forget):
        mean, std = features[fit].mean(axis=0), features[fit].std(axis=0)
        probe = LogisticRegression(class_weight="balanced", max_iter=1000)
        predicted[judge] = probe.fit((features[fit] - mean) / std, is_forget[fit]).predict(
            (features[judge] - mean) / std
        )
    expected = (predicted[is_forget].mean() + (~predicted[~is_forget]).mean()) / 2
    assert probe_accuracy(features, is_forget) == pytest.approx(expected, abs=0.02)  # a border case may fall otherwise


@settings(max_examples=15, deadline=None)
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
