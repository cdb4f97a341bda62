"""The sample of images on which models are compared: equal numbers of each class, and a file of half the bytes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unlearning.evaluation.sample import PARTS, Representation, pack, places_of_sample, unpack


def labels_of(classes, of_class, of_test):
    """Return the labels of each part, of as many images per class; the forget class is 0."""
    each = {"train": of_class, "test": of_test}
    return {
        part: np.tile(np.arange(1, classes) if part.startswith("retain") else [0], each[part.split("_")[1]])
        for part in PARTS
    }


@pytest.mark.parametrize(
    ("classes", "of_class", "expected"),
    [(10, 5000, {"forget_train": 1000, "retain_train": 999}), (100, 500, {"forget_train": 500, "retain_train": 990})],
    ids=["CIFAR-10", "CIFAR-100"],
)
def test_every_class_has_the_same_number_of_images(classes, of_class, expected):
    labels = labels_of(classes, of_class, 100)
    places = places_of_sample(labels)
    assert {part: len(places[part]) for part in expected} == expected
    for part in PARTS:
        assert (np.diff(places[part]) > 0).all()
        counts = np.bincount(labels[part][places[part]])
        assert len(set(counts[counts > 0])) == 1


def test_a_class_with_few_images_has_all_of_them_and_200_classes_have_ten_each():
    labels = labels_of(201, 50, 50)
    labels["retain_train"] = np.concatenate([np.repeat(np.arange(1, 200), 50), [200] * 3])
    chosen = labels["retain_train"][places_of_sample(labels)["retain_train"]]
    assert list(np.bincount(chosen)[1:]) == [10] * 199 + [3]


def test_the_images_are_drawn_from_the_whole_part_and_are_always_the_same():
    labels = labels_of(10, 5000, 1000)
    places, again = places_of_sample(labels), places_of_sample(labels)
    for part in PARTS:
        assert np.array_equal(places[part], again[part])
    # In a file that is sorted in a way nobody knows of, the first images would be of one kind.
    assert places["forget_train"].mean() == pytest.approx(2500, abs=200)


def representation(scale, width=4, classes=3, seed=0):
    rng = np.random.default_rng(seed)
    return Representation(
        {part: (scale * rng.random((6, width))).astype(np.float32) for part in PARTS},
        {part: np.arange(6) % classes for part in PARTS},
        rng.normal(size=(classes, width)).astype(np.float32),
        rng.normal(size=classes).astype(np.float32),
    )


@given(st.floats(-30, 37))
def test_features_of_any_size_come_back(exponent):
    """A ruined model's features are larger than float16 can hold, a dead model's smaller."""
    before = representation(10**exponent)
    arrays = pack(before)
    assert all(array.dtype == np.float16 for name, array in arrays.items() if name.endswith("_features"))
    after = unpack(arrays)
    for part in PARTS:
        np.testing.assert_allclose(after.features[part], before.features[part], rtol=1e-3, atol=1e-10 * 10**exponent)
        assert np.array_equal(after.labels[part], before.labels[part])
    assert np.array_equal(after.weight, before.weight)
    assert np.array_equal(after.bias, before.bias)


def test_features_that_are_all_zero_come_back_and_no_arrays_are_no_model():
    after = unpack(pack(representation(0)))
    assert not any(after.features[part].any() for part in PARTS)
    np.testing.assert_allclose(after.logits("forget_test"), np.tile(after.bias, (6, 1)))
    assert unpack({}) is None
