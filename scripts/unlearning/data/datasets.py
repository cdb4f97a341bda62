"""Data sets on disk: one .npz file each, in the layout of MedMNIST, checked when it is read.

train_images  uint8 (N, H, W) grey or (N, H, W, 3) RGB        test_images  likewise
train_labels  integers (N,) or (N, 1), 0 ... classes - 1      test_labels  likewise
"""

from __future__ import annotations

import math
import os
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from unlearning.clocks import spent_on
from unlearning.errors import UserError

LARGEST_GB = 8.0
"""The most that a data set may unpack to if its entry does not say. A larger file is a mistake or an attack."""

LEAST_RANGE = 3
"""Grey levels between the darkest and the brightest pixel. With fewer, the image shows nothing."""

MOST_PLAIN = 0.99
"""The largest accepted share of images of one colour. With more, the data set was damaged on the way."""

ARRAYS = ("train_images", "train_labels", "test_images", "test_labels")


@dataclass(frozen=True)
class DataFile(os.PathLike):
    """The file of a data set, with facts about it for checks and messages.

    ``largest_gb``: the most that it may unpack to. ``comes_again``: whether it is made again after it is deleted.
    """

    path: Path
    largest_gb: float = LARGEST_GB
    comes_again: bool = False

    def __fspath__(self) -> str:
        return str(self.path)

    def __str__(self) -> str:
        return str(self.path)

    @classmethod
    def of(cls, path: str | os.PathLike) -> DataFile:
        return path if isinstance(path, DataFile) else cls(Path(path))

    @property
    def instead(self) -> str:
        """Return advice for a damaged file."""
        return "delete it to have it made again" if self.comes_again else "put a whole one in its place"


@dataclass(frozen=True)
class DataSet:
    """Images uint8 (N, H, W, channels) and labels int64 (N,) of both parts, and the number of classes."""

    train_images: np.ndarray
    train_labels: np.ndarray
    test_images: np.ndarray
    test_labels: np.ndarray
    classes: int

    @property
    def channels(self) -> int:
        return self.train_images.shape[-1]


def read_dataset(path: str | os.PathLike, classes: int) -> DataSet:
    """Read and check ``path``. Raises UserError, naming the file and the array, for anything but the layout above.

    It also raises UserError for images that show nothing, with the likely reason.
    """
    arrays = _read_arrays(DataFile.of(path), ARRAYS)
    for part in ("train", "test"):
        images, labels = f"{part}_images", f"{part}_labels"
        arrays[images] = _checked_images(path, images, arrays[images])
        arrays[labels] = _checked_labels(path, labels, arrays[labels], classes, len(arrays[images]))
    shapes = {arrays[f"{part}_images"].shape[1:] for part in ("train", "test")}
    if len(shapes) > 1:
        raise UserError(f"{path}: train_images and test_images differ in image shape: {sorted(shapes)}")
    for name in ("train_images", "test_images"):
        _check_contents(path, name, arrays[name])
    return DataSet(**arrays, classes=classes)


def _check_contents(path: str | os.PathLike, name: str, images: np.ndarray) -> None:
    """Raise UserError if all but a few of the images show nothing, or if all images are the same."""
    pixels = images.reshape(len(images), -1, images.shape[-1])
    darkest, brightest = pixels.min(axis=1), pixels.max(axis=1)  # of each image and channel
    if int(brightest.max()) - int(darkest.min()) < LEAST_RANGE:
        likely = "all images look alike"
        if brightest.max() <= 1:
            likely = "were they floats from 0 to 1? multiply by 255 before they are stored as uint8"
        raise UserError(f"{path}: {name} has values from {darkest.min()} to {brightest.max()} only; {likely}")
    plain = int((darkest == brightest).all(axis=1).sum())
    if plain > MOST_PLAIN * len(images):
        raise UserError(f"{path}: {name}: {plain} of {len(images)} images are of one colour; store what they show")
    if len(images) > 1 and np.array_equal(images[0], images[-1]) and (images == images[0]).all():
        raise UserError(f"{path}: {name}: all {len(images)} images are the same; store each image once")


@spent_on("files")
def read_labels(path: str | os.PathLike, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Read the training and test labels alone, int64 (N,). Raises UserError as `read_dataset` does."""
    arrays = _read_arrays(DataFile.of(path), ("train_labels", "test_labels"))
    train, test = (_checked_labels(path, name, array, classes) for name, array in arrays.items())
    return train, test


def _read_arrays(path: DataFile, names: tuple[str, ...]) -> dict[str, np.ndarray]:
    try:
        _check_size(path)
        with np.load(path, allow_pickle=False) as file:
            missing = [name for name in names if name not in file.files]
            if missing:
                raise UserError(f"{path}: array {missing[0]} is missing; a data set holds {', '.join(ARRAYS)}")
            return {name: _read_array(path, file, name) for name in names}
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except (zipfile.BadZipFile, zlib.error, EOFError, ValueError, KeyError, NotImplementedError) as error:
        raise UserError(f"{path}: not a whole .npz file ({error}); {path.instead}") from None


def _check_size(path: DataFile) -> None:
    """Raise UserError if the file would unpack to more than a data set may have, before anything is unpacked."""
    with zipfile.ZipFile(path) as archive:
        gigabytes = sum(member.file_size for member in archive.infolist()) / 1e9
    if gigabytes > path.largest_gb:
        raise UserError(
            f"{path}: it unpacks to {gigabytes:.3g} GB; a data set may have {path.largest_gb:g} GB, or what its entry "
            "says with largest_gb"
        )


def _check_header(archive: zipfile.ZipFile, name: str) -> None:
    """Raise ValueError if the size in the array's header is wrong: NumPy would reserve memory for that size."""
    member = archive.getinfo(f"{name}.npy")
    with archive.open(member) as file:
        major, _ = np.lib.format.read_magic(file)
        read = np.lib.format.read_array_header_1_0 if major == 1 else np.lib.format.read_array_header_2_0
        shape, _, dtype = read(file)
        if not dtype.hasobject and math.prod(shape) * dtype.itemsize != member.file_size - file.tell():
            raise ValueError("it is not as large as it says")


def _read_array(path: DataFile, file: np.lib.npyio.NpzFile, name: str) -> np.ndarray:
    try:
        assert file.zip is not None  # nosec B101: the archive is open
        _check_header(file.zip, name)
        return file[name]
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise UserError(f"{path}: array {name} is damaged ({error})") from None
    except ValueError as error:
        reason = "holds Python objects, which are never loaded" if "pickle" in str(error) else f"is damaged ({error})"
        raise UserError(f"{path}: array {name} {reason}; save it as a plain array of integers") from None


def _checked_images(path: str | os.PathLike, name: str, images: np.ndarray) -> np.ndarray:
    if images.dtype != np.uint8:
        raise UserError(f"{path}: {name} has type {images.dtype}; it must be uint8, 0 to 255")
    if images.ndim == 3:
        images = images[..., np.newaxis]
    if images.ndim != 4 or images.shape[-1] not in (1, 3) or 0 in images.shape:
        raise UserError(f"{path}: {name} has shape {images.shape}; it must be (N, H, W) or (N, H, W, 3), not empty")
    return images


def _checked_labels(
    path: str | os.PathLike, name: str, labels: np.ndarray, classes: int, length: int | None = None
) -> np.ndarray:
    if labels.dtype.kind not in "iu":
        raise UserError(f"{path}: {name} has type {labels.dtype}; it must be integers, 0 to {classes - 1}")
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim != 1 or len(labels) == 0 or (length is not None and len(labels) != length):
        wanted = "(N,) or (N, 1)" if length is None else f"({length},), one for each image"
        raise UserError(f"{path}: {name} has shape {labels.shape}; it must be {wanted}")
    outside = labels[(labels < 0) | (labels >= classes)]
    if len(outside):
        raise UserError(
            f"{path}: {name} has the label {outside[0]}; with {classes} classes the labels are 0 to {classes - 1}"
        )
    missing = np.flatnonzero(np.bincount(labels.astype(np.int64), minlength=classes) == 0)
    if len(missing):
        raise UserError(
            f"{path}: {name} never has the label {missing[0]}; each of the {classes} classes needs an image there"
        )
    return labels.astype(np.int64)


def class_split(train_labels: np.ndarray, test_labels: np.ndarray, forget_class: int) -> dict[str, np.ndarray]:
    """Return the ascending indices of retain_train, forget_train, retain_test and forget_test for labels (N,).

    Raises UserError if one of the four sets would be empty: nothing could be learned or measured on it.
    """
    split = {}
    for part, labels in (("train", train_labels), ("test", test_labels)):
        is_forget = labels == forget_class
        split[f"retain_{part}"], split[f"forget_{part}"] = np.flatnonzero(~is_forget), np.flatnonzero(is_forget)
    for name, indices in split.items():
        if len(indices) == 0:
            kind, part = name.split("_")
            others = "no image" if kind == "forget" else "no image but those"
            raise UserError(
                f"the {part} part of the data set has {others} of class {forget_class}; choose another class"
            )
    return split
