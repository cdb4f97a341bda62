"""What a data set holds, whatever the order of its images: two files of the same images are the same data set."""

from __future__ import annotations

import hashlib

from torch import Tensor

from unlearning.clocks import spent_on
from unlearning.data.batches import TensorData


@spent_on("files")
def content_of(data: TensorData) -> str:
    """Return a digest of the images as a model sees them before normalisation, each with its label, in no order."""
    parts = [(data.train_images, data.train_labels), (data.test_images, data.test_labels)]
    return hashlib.sha256(b"".join(_digest_of_part(*part) for part in parts)).hexdigest()[:16]


def _digest_of_part(images: Tensor, labels: Tensor) -> bytes:
    return hashlib.sha256(b"".join(sorted(digests_of(images, labels)))).digest()


def digests_of(images: Tensor, labels: Tensor) -> list[bytes]:
    """Return a digest of each of the images, uint8 (N, size, size, C), with its label, int64 (N,)."""
    return [
        hashlib.sha256(image.tobytes() + label.tobytes()).digest()
        for image, label in zip(images.cpu().numpy(), labels.cpu().numpy(), strict=True)
    ]
