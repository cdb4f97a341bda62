"""Parts of a data set: some images of every class."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from unlearning.data.datasets import ARRAYS, DataSet
from unlearning.errors import UserError
from unlearning.seeds import stream_seed


def carve(arrays: Mapping[str, np.ndarray], share: float) -> dict[str, np.ndarray]:
    """Return a data set whose test part is ``share`` of each class in the training part of ``arrays``.

    The test part of ``arrays`` is not read. Every class keeps at least one image on both sides. Raises UserError if a
    class has fewer than two images.
    """
    images, labels = arrays["train_images"], arrays["train_labels"]
    for label, count in zip(*np.unique(labels, return_counts=True), strict=True):
        if count < 2:
            raise UserError(f"class {label} has one training image: a sweep needs one to train on and one to judge by")
    is_validation = some_of_each_class(labels.reshape(len(labels)), share, "validation part")
    return {
        "train_images": images[~is_validation],
        "train_labels": labels[~is_validation],
        "test_images": images[is_validation],
        "test_labels": labels[is_validation],
    }


def some_of_each_class(labels: np.ndarray, share: float, purpose: str) -> np.ndarray:
    """Return which images, as booleans (N,), are the chosen ``share`` of each class in ``labels`` (N,).

    They are chosen by the fixed stream of ``purpose``. Of a class with two images or more, one is chosen at least, and
    one is left.
    """
    random_stream = np.random.default_rng(stream_seed(0, purpose))
    is_chosen = np.zeros(len(labels), dtype=bool)
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        count = min(max(1, round(share * len(members))), len(members) - 1)
        is_chosen[random_stream.permutation(members)[:count]] = True
    return is_chosen


def part_of(
    data: DataSet, per_class: int, test_per_class: int | None = None, where: str = "part", at_random: bool = True
) -> dict[str, np.ndarray]:
    """Return a data set with ``per_class`` of the training images of each class in ``data``.

    It has as many test images as ``test_per_class`` says, or all. The images are chosen by a fixed stream, the same
    everywhere, or are the first of each class. Raises UserError, which begins with ``where``, if a class has fewer.
    """
    arrays = {name: getattr(data, name) for name in ARRAYS}
    for part, key, count in (("train", "per_class", per_class), ("test", "test_per_class", test_per_class)):
        if count is None:
            continue
        labels = arrays[f"{part}_labels"]
        label, least = smallest_class(labels, data.classes)
        if least < count:
            raise UserError(f"{where}.{key}: {count}, but class {label} has {least} {part} images; write at most that")
        kept = part_of_each_class(labels, count, at_random)
        arrays |= {name: arrays[name][kept] for name in (f"{part}_images", f"{part}_labels")}
    return arrays


def smallest_class(labels: np.ndarray, classes: int) -> tuple[int, int]:
    """Return the class that is the least often in ``labels`` (N,), and how often it is."""
    counts = np.bincount(labels, minlength=classes)
    return int(counts.argmin()), int(counts.min())


def part_of_each_class(labels: np.ndarray, count: int, at_random: bool) -> np.ndarray:
    """Return the ascending indices of ``count`` images per class, or of all images of a class that has fewer."""
    random_stream = np.random.default_rng(stream_seed(0, "subset"))
    kept = []
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        kept.append(random_stream.permutation(members)[:count] if at_random else members[:count])
    return np.sort(np.concatenate(kept))
