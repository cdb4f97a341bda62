"""Mini-batches from uint8 images in memory, augmented and normalised one whole batch at a time.

Data flow: `TensorData.read` once -> `Batches.epoch` (shuffle, crop, flip, normalise) -> the model.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from unlearning.clocks import spent_on
from unlearning.data.datasets import DataSet, read_dataset
from unlearning.errors import UserError

WHITE = 255.0

AT_A_TIME = 1_000
"""Number of images that are counted or resized at a time, in a copy that is up to eight times as large as they are."""


def fit_images(images: np.ndarray, size: int, fit: str) -> Tensor:
    """Return ``images`` uint8 (N, H, W, C) as a uint8 tensor (N, size, size, C).

    ``fit`` is "pad" (black border, FashionMNIST's 28 -> 32) or "resize" (bilinear, antialiased when it shrinks).
    Raises ValueError if "pad" is asked to shrink an image.
    """
    tensor = torch.from_numpy(images)
    height, width = tensor.shape[1:3]
    if (height, width) == (size, size):
        return tensor
    if fit == "resize":
        fitting = torch.empty((len(tensor), size, size, tensor.shape[-1]), dtype=torch.uint8)
        for start in range(0, len(tensor), AT_A_TIME):
            part = tensor[start : start + AT_A_TIME].permute(0, 3, 1, 2).float()
            resized = F.interpolate(part, (size, size), mode="bilinear", antialias=True)
            fitting[start : start + AT_A_TIME] = resized.round().clamp(0, 255).permute(0, 2, 3, 1)
        return fitting
    if max(height, width) > size:
        raise ValueError(f"images of {height} x {width} do not fit into {size} x {size} by padding")
    top, left = (size - height) // 2, (size - width) // 2
    return F.pad(tensor, (0, 0, left, size - width - left, top, size - height - top))


@dataclass(frozen=True)
class Normalisation:
    """Per channel: the number subtracted from an image, and the number it is then divided by, on the scale 0 to 255."""

    mean: Tensor
    std: Tensor

    @classmethod
    def named(cls, name: str, images: np.ndarray) -> Normalisation:
        """Return the normalisation for a data set's setting ``name`` and its training images ``images`` (N, H, W, C).

        "channels": their mean and standard deviation; "half": to -1 to 1; "none": to 0 to 1.
        """
        if name == "channels":
            return cls.of(images)
        ones = torch.ones(images.shape[-1])
        return cls(WHITE / 2 * ones, WHITE / 2 * ones) if name == "half" else cls(0 * ones, WHITE * ones)

    @classmethod
    def of(cls, images: np.ndarray) -> Normalisation:
        """Return mean and standard deviation of ``images`` uint8 (N, H, W, C). A constant channel has deviation 1."""
        # One pass over a histogram: exact, and without a float copy of the data set.
        levels, counts = np.arange(256), np.zeros((images.shape[-1], 256), dtype=np.int64)
        for start in range(0, len(images), AT_A_TIME):
            part = images[start : start + AT_A_TIME]
            counts += [np.bincount(part[..., channel].ravel(), minlength=256) for channel in range(len(counts))]
        means = [np.average(levels, weights=count) for count in counts]
        stds = [np.average((levels - m) ** 2, weights=count) ** 0.5 for m, count in zip(means, counts, strict=True)]
        return cls(torch.tensor(means).float(), torch.tensor([std or 1.0 for std in stds]).float())

    def apply(self, images: Tensor) -> Tensor:
        """Map uint8 (B, H, W, C) to float32 (B, C, H, W) in channels-last memory format."""
        return ((images.float() - self.mean) / self.std).permute(0, 3, 1, 2)

    def to(self, device: torch.device | str) -> Normalisation:
        """Return the same normalisation on ``device``, the device of the images."""
        return Normalisation(self.mean.to(device), self.std.to(device))


def crop_and_flip(images: Tensor, rows: Tensor, columns: Tensor, flips: Tensor, padding: int) -> Tensor:
    """Cut each image, padded with black, at its own offset, and mirror those with ``flips``.

    images uint8 (B, H, W, C); rows, columns int64 (B,) from 0 to 2 * padding; flips bool (B,). The shape is kept.
    """
    batch, height, width, _ = images.shape
    padded = F.pad(images, (0, 0, padding, padding, padding, padding))
    y = rows[:, None] + torch.arange(height, device=images.device)
    x = torch.arange(width, device=images.device).expand(batch, width)
    x = columns[:, None] + torch.where(flips[:, None], width - 1 - x, x)
    image = torch.arange(batch, device=images.device)
    return padded[image[:, None, None], y[:, :, None], x[:, None, :]]


def draw_crops_and_flips(
    size: int, padding: int, flip: bool, random_stream: torch.Generator
) -> tuple[Tensor, Tensor, Tensor]:
    """Return rows, columns and flips (size,) for `crop_and_flip`, on the CPU."""
    rows, columns = torch.randint(2 * padding + 1, (2, size), generator=random_stream)
    return rows, columns, torch.rand(size, generator=random_stream) < (0.5 if flip else 0.0)


def augment(images: Tensor, protocol: dict[str, Any], random_stream: torch.Generator) -> Tensor:
    """Return uint8 (N, H, W, C) images, each cropped and flipped once, as ``protocol`` does in training."""
    padding = protocol["crop_padding"]
    draws = draw_crops_and_flips(len(images), padding, protocol["flip"], random_stream)
    rows, columns, flips = (draw.to(images.device) for draw in draws)
    return crop_and_flip(images, rows, columns, flips, padding)


def send(tensor: Tensor, device: torch.device) -> Tensor:
    """Return ``tensor``, which lies on the CPU, on ``device``, without waiting for the pending work of a GPU."""
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor.to(device)


class Batches:
    """Shuffled mini-batches of a subset of images; the last, short batch of an epoch is kept.

    Random numbers are drawn on the CPU, one epoch at a time, so that every device sees the same batches and the CPU
    never waits for a GPU.
    """

    def __init__(
        self,
        images: Tensor,
        labels: Tensor,
        normalisation: Normalisation,
        batch_size: int,
        crop_padding: int,
        flip: bool,
        random_stream: torch.Generator,
        subset: Tensor | None = None,
    ):
        """images uint8 (N, H, W, C), labels int64 (N,), the indices of the subset int64 (M,), all on one device.

        Without ``subset``, all images are used. Nothing is copied: large data sets lie in memory once.
        """
        self.images = images
        self.labels = labels
        self.subset = torch.arange(len(images), device=images.device) if subset is None else subset
        self.normalisation = normalisation
        self.batch_size = batch_size
        self.crop_padding = crop_padding
        self.flip = flip
        self.random_stream = random_stream

    def __len__(self) -> int:
        """Return the number of batches in an epoch."""
        return -(-len(self.subset) // self.batch_size)

    def epoch(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield (images float32 (B, C, H, W), labels int64 (B,)) until every image was seen once."""
        size, random_stream, device = len(self.subset), self.random_stream, self.images.device
        order = self.subset[send(torch.randperm(size, generator=random_stream), device)]
        draws = draw_crops_and_flips(size, self.crop_padding, self.flip, random_stream)
        rows, columns, flips = (send(draw, device) for draw in draws)
        for start in range(0, size, self.batch_size):
            chosen = order[start : start + self.batch_size]
            images = self.images[chosen]
            if self.crop_padding or self.flip:
                here = slice(start, start + self.batch_size)
                images = crop_and_flip(images, rows[here], columns[here], flips[here], self.crop_padding)
            yield self.normalisation.apply(images), self.labels[chosen]

    def forever(self) -> EndlessBatches:
        """Return an iterator over the batches of one epoch after another."""
        return EndlessBatches(self)


class EndlessBatches:
    """Batches of one epoch after another. The iteration can continue later from any place."""

    def __init__(self, batches: Batches):
        self.batches = batches
        self._begin(batches.random_stream.get_state())

    def _begin(self, stream: Tensor) -> None:
        self.batches.random_stream.set_state(stream)
        self.epoch_stream, self.taken = stream, 0
        self.epoch = self.batches.epoch()

    def __iter__(self) -> EndlessBatches:
        return self

    def __next__(self) -> tuple[Tensor, Tensor]:
        if self.taken == len(self.batches):
            self._begin(self.batches.random_stream.get_state())
        self.taken += 1
        return next(self.epoch)

    def place(self) -> dict[str, Any]:
        """Return the place: the random stream's state when the epoch began, and the number of batches since then."""
        return {"stream": self.epoch_stream, "taken": self.taken}

    def go_to(self, place: dict[str, Any]) -> None:
        """Continue from the ``place`` that `place` returned."""
        self._begin(place["stream"])
        for _ in range(place["taken"]):
            next(self)


@dataclass(frozen=True)
class TensorData:
    """A data set on a device, ready for training: images uint8 (N, size, size, C), labels int64 (N,)."""

    train_images: Tensor
    train_labels: Tensor
    test_images: Tensor
    test_labels: Tensor
    normalisation: Normalisation
    classes: int
    channels: int

    @classmethod
    @spent_on("files")
    def read(
        cls,
        path: str | os.PathLike,
        device: torch.device | str,
        *,
        classes: int,
        image_size: int,
        fit: str,
        normalisation: str,
    ) -> TensorData:
        """Read and check the data set file ``path`` and move it to ``device``. Raises UserError as both steps do."""
        return cls.on(device, read_dataset(path, classes), image_size, fit, normalisation)

    @classmethod
    def on(cls, device: torch.device | str, data: DataSet, image_size: int, fit: str, normalisation: str) -> TensorData:
        """Move ``data`` to ``device``. ``normalisation`` is computed from the stored images: see `Normalisation.named`.

        Raises UserError if the images are larger than ``image_size`` and ``fit`` is "pad".
        """
        try:
            train_images, test_images = (
                fit_images(images, image_size, fit) for images in (data.train_images, data.test_images)
            )
        except ValueError as error:
            raise UserError(f"{error}; set the data set's fit: resize or a larger image_size") from None
        return cls(
            train_images.to(device),
            torch.from_numpy(data.train_labels).to(device),
            test_images.to(device),
            torch.from_numpy(data.test_labels).to(device),
            Normalisation.named(normalisation, data.train_images).to(device),
            data.classes,
            data.channels,
        )

    def pooled(self) -> TensorData:
        """Return a data set that has the training images, followed by the test images, as training images."""
        images = torch.cat([self.train_images, self.test_images])
        return replace(self, train_images=images, train_labels=torch.cat([self.train_labels, self.test_labels]))

    def unlearning_batches(
        self, chosen: np.ndarray, protocol: dict[str, Any], random_stream: torch.Generator
    ) -> Batches:
        """Return `train_batches` for unlearning. ``protocol`` may turn augmentation off for it."""
        plain = {} if protocol["unlearn"]["augment"] else {"crop_padding": 0, "flip": False}
        return self.train_batches(chosen, protocol | plain, random_stream)

    def train_batches(self, chosen: np.ndarray, protocol: dict[str, Any], random_stream: torch.Generator) -> Batches:
        """Return batches of the training images at the indices ``chosen``, as ``protocol`` augments them."""
        return Batches(
            self.train_images,
            self.train_labels,
            self.normalisation,
            protocol["batch_size"],
            protocol["crop_padding"],
            protocol["flip"],
            random_stream,
            torch.from_numpy(chosen).to(self.train_images.device),
        )
