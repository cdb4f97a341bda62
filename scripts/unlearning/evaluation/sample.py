"""The sample of images on which models are compared, and what a model makes of it: the file features.npz.

The sample depends on the data set and the forget class alone, so that the features of two models of one benchmark are
features of the same images.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from unlearning.seeds import stream_seed

PARTS = ("forget_train", "forget_test", "retain_train", "retain_test")
"""The parts of a split, by the names of `datasets.class_split`."""

LARGEST_PART = 1000
"""Images of each part in the sample, in equal numbers per class."""

LEAST_OF_CLASS = 10
"""Images of each class in each part, even if the part is then larger: a few-shot probe fits to so many."""

LARGEST_STORED = 2.0**15
"""Features are stored as float16, whose largest number is 65504, after a division that makes this the largest."""


@dataclass(frozen=True)
class Representation:
    """What a model makes of the sample.

    By part: penultimate features float64 (N, width), and labels int64 (N,). Then the model's last layer: weight float64
    (classes, width) and bias float64 (classes,).
    """

    features: Mapping[str, np.ndarray]
    labels: Mapping[str, np.ndarray]
    weight: np.ndarray
    bias: np.ndarray

    @property
    def forget_class(self) -> int:
        """The class that all images of the forget parts have."""
        return int(self.labels["forget_test"][0])

    @property
    def retained_classes(self) -> np.ndarray:
        """The other classes (classes - 1,)."""
        return np.delete(np.arange(len(self.bias)), self.forget_class)

    def logits(self, part: str) -> np.ndarray:
        """Return the model's logits (N, classes) of the images of a part."""
        return self.features[part] @ self.weight.T + self.bias


def places_of_sample(labels: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return, for each part, the ascending places in it of the images that are in the sample.

    ``labels`` has the labels (N,) of the images of each part, in the order of the split.
    """
    return {part: _equal_numbers(labels[part], part) for part in PARTS}


def _equal_numbers(labels: np.ndarray, part: str) -> np.ndarray:
    """Return ascending places of equally many images of each class; of a class with fewer images, all of them."""
    random_stream = np.random.default_rng(stream_seed(0, "sample of features", part))
    classes = np.unique(labels)
    of_class = max(LEAST_OF_CLASS, LARGEST_PART // max(1, len(classes)))
    chosen = [random_stream.permutation(np.flatnonzero(labels == each))[:of_class] for each in classes]
    return np.sort(np.concatenate(chosen))


def pack(representation: Representation) -> dict[str, np.ndarray]:
    """Return the arrays of features.npz: half the bytes of float32, at a relative error of 2^-11."""
    largest = max(float(np.abs(features).max()) for features in representation.features.values())
    scale = largest / LARGEST_STORED or 1.0
    arrays = {"scale": np.array(scale), "head_weight": representation.weight, "head_bias": representation.bias}
    for part, features in representation.features.items():
        arrays[f"{part}_features"] = (features.astype(np.float64) / scale).astype(np.float16)
        arrays[f"{part}_labels"] = representation.labels[part].astype(np.int64)
    return arrays


def unpack(arrays: Mapping[str, np.ndarray]) -> Representation | None:
    """Return what `pack` packed. None without arrays: the cell is not ok."""
    if not arrays:
        return None
    return Representation(
        {part: arrays[f"{part}_features"].astype(np.float64) * arrays["scale"] for part in PARTS},
        {part: arrays[f"{part}_labels"] for part in PARTS},
        arrays["head_weight"].astype(np.float64),
        arrays["head_bias"].astype(np.float64),
    )
