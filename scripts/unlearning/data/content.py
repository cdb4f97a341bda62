"""What a data set holds, whatever the order of its images: two files of the same images are the same data set."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from torch import Tensor

from unlearning.clocks import spent_on
from unlearning.data.batches import TensorData


@spent_on("files")
def content_of(data: TensorData) -> str:
    """Return a digest of the images as a model sees them before normalisation, each with its label, in no order."""
    parts = [(data.train_images, data.train_labels), (data.test_images, data.test_labels)]
    return hashlib.sha256(b"".join(_digest_of_part(*part) for part in parts)).hexdigest()[:16]


def _digest_of_part(images: Tensor, labels: Tensor) -> bytes:
    return hashlib.sha256(b"".join(sorted(digests_of(images, labels, range(len(images)))))).digest()


def digests_of(images: Tensor, labels: Tensor, indices: Iterable[int]) -> list[bytes]:
    """Return a digest of each chosen image of uint8 (N, size, size, C), with its label of int64 (N,).

    On a CPU, the images are not copied.
    """
    all_images, all_labels = images.cpu().numpy(), labels.cpu().numpy()
    return [hashlib.sha256(all_images[its].tobytes() + all_labels[its].tobytes()).digest() for its in indices]
