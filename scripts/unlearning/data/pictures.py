"""Folders of pictures, one folder per class, as arrays."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps
from tqdm import tqdm

from unlearning.errors import UserError

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm")

PART_FOLDERS = {
    "train": ("train", "training"),
    "val": ("val", "valid", "validation"),
    "test": ("test", "testing"),
}
"""The names of the folders for the parts of a data set."""

GREY = ("1", "L", "LA", "La")
TRANSPARENT = ("LA", "La", "PA", "RGBA", "RGBa")
TURNED = (5, 6, 7, 8)
"""Values of EXIF's orientation that exchange height and width."""

ORIENTATION = 0x0112
SHOWN = 3


@dataclass(frozen=True)
class Pictures:
    """Images uint8 (N, H, W) or (N, H, W, 3) and labels (N,) of each part, the names of the classes, and remarks."""

    parts: Mapping[str, tuple[np.ndarray, np.ndarray]]
    names: Sequence[str]
    remarks: Sequence[str]


def read_pictures(folder: Path, size: int | None) -> Pictures:
    """Read ``folder``: folders train, test and perhaps val with a folder per class in each, or a folder per class.

    Pictures are brought to ``size`` x ``size``; without it, all must have one size. Raises UserError for a class
    without pictures, pictures that cannot be read, and pictures of several sizes without ``size``.
    """
    parts = {part: _classes_in(path) for part, path in _part_folders(folder).items()}
    names = _in_order({name for classes in parts.values() for name in classes})
    labels = {name: label for label, name in enumerate(names)}
    files = {
        part: [(file, labels[name]) for name in names if name in classes for file in classes[name]]
        for part, classes in parts.items()
    }
    shape, remarks = _shape(folder, [file for its in files.values() for file, _ in its], size)
    arrays = {}
    for part, its in files.items():
        images = _decoded(folder, [file for file, _ in its], shape)
        arrays[part] = (images, np.array([label for _, label in its], dtype=np.int64))
    return Pictures(arrays, names, [*_left_out(folder, files), *remarks])


def _part_folders(folder: Path) -> dict[str, Path]:
    """Return the folder of each part. A class may be called train as well: then there are pictures in it."""
    by_name = {path.name.lower(): path for path in _folders_in(folder)}
    found = {
        part: next((by_name[name] for name in names if name in by_name), None) for part, names in PART_FOLDERS.items()
    }
    parts = {part: path for part, path in found.items() if path is not None and _folders_in(path)}
    if "train" in parts:
        return parts
    if parts:
        raise UserError(f"{folder}: it has {', '.join(path.name for path in parts.values())}/, but no train/")
    return {"train": folder}


def _folders_in(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))


def _classes_in(folder: Path) -> dict[str, list[Path]]:
    classes = {path.name: [file for file in _files_in(path) if _is_picture(file)] for path in _folders_in(folder)}
    if not any(classes.values()):
        raise UserError(
            f"{folder}: nothing in it is a data set: a folder per class with pictures in it ({', '.join(SUFFIXES)}), "
            "files of MNIST's format idx, or a folder of torchvision"
        )
    empty = [name for name, files in classes.items() if not files]
    if empty:
        raise UserError(f"{folder / empty[0]}: the class has no picture ({', '.join(SUFFIXES)}); fill or remove it")
    return classes


def _files_in(folder: Path) -> list[Path]:
    """Return the files in ``folder`` and its folders, but for hidden ones: programs keep copies of pictures there."""
    return sorted(file for file in folder.rglob("*") if file.is_file() and not _is_hidden(file.relative_to(folder)))


def _is_hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def _is_picture(file: Path) -> bool:
    return file.suffix.lower() in SUFFIXES


def _in_order(names: Iterable[str]) -> list[str]:
    """Return the names of the classes in their order: numbers as numbers, all others by the alphabet."""
    names = sorted(names)
    return sorted(names, key=int) if all(name.isdecimal() for name in names) else names


def _left_out(folder: Path, files: Mapping[str, Sequence[tuple[Path, int]]]) -> list[str]:
    """Return remarks on files that are no pictures by their name, and on pictures outside of the parts' classes."""
    taken = {file for its in files.values() for file, _ in its}
    rest = [file for file in _files_in(folder) if file not in taken]
    kinds = {
        "no pictures by their names": [file for file in rest if not _is_picture(file)],
        "in no folder of a class": [file for file in rest if _is_picture(file)],
    }
    return [f"left out, {why}: {_some(folder, these)}" for why, these in kinds.items() if these]


def _some(folder: Path, files: Sequence[Path]) -> str:
    """Return the first few of ``files``, and how many more there are."""
    shown = ", ".join(str(file.relative_to(folder)) for file in files[:SHOWN])
    return shown if len(files) <= SHOWN else f"{shown} and {len(files) - SHOWN} more"


def _shape(folder: Path, files: Sequence[Path], size: int | None) -> tuple[tuple[int, ...], list[str]]:
    """Return the shape of all images, from the heads of their files, and remarks."""
    sizes: set[tuple[int, int]] = set()
    modes: set[str] = set()
    bad, deep, clear = [], [], []
    for file in files:
        try:
            with _opened(file) as picture:
                width, height = picture.size
                sizes.add((width, height) if _orientation(picture) in TURNED else (height, width))
                modes.add(picture.mode)
                if picture.mode[0] in "IF":
                    deep.append(file)
                if _is_transparent(picture):
                    clear.append(file)
        except Exception:  # Pillow raises errors of many kinds for a damaged file
            bad.append(file)
    _refuse(folder, bad, len(files))
    if deep:
        raise UserError(f"{folder}: more than 8 bits per pixel: {_some(folder, deep)}; save them with 8 bits")
    channels = () if all(mode in GREY for mode in modes) else (3,)
    remarks = [f"what is transparent became white: {_some(folder, clear)}"] if clear else []
    if size is not None:
        remarks += [f"resized to {size} x {size}, nothing cut off"] if sizes != {(size, size)} else []
        return (size, size, *channels), remarks
    if len(sizes) > 1:
        least, most = min(sizes), max(sizes)
        raise UserError(
            f"{folder}: the pictures have {len(sizes)} sizes, {least[0]} x {least[1]} to {most[0]} x {most[1]}; write "
            "SIZE=32 to have all of them resized to 32 x 32"
        )
    return (*sizes.pop(), *channels), remarks


def _orientation(picture: Image.Image) -> int | None:
    """Return how the camera was held, as EXIF says it. Of a PNG, to ask would decode the whole picture: no camera."""
    return None if picture.format == "PNG" else picture.getexif().get(ORIENTATION)


def _is_transparent(picture: Image.Image) -> bool:
    return picture.mode in TRANSPARENT or "transparency" in picture.info


def _opened(file: Path) -> Image.Image:
    with warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)  # a few bytes that unpack to gigabytes
        return Image.open(file)


def _decoded(folder: Path, files: Sequence[Path], shape: tuple[int, ...]) -> np.ndarray:
    images, bad = np.empty((len(files), *shape), dtype=np.uint8), []
    for index, file in enumerate(tqdm(files, "pictures", disable=None, leave=False)):  # on a terminal alone
        try:
            with _opened(file) as picture:
                images[index] = _fitted(picture, shape)
        except Exception:  # Pillow raises errors of many kinds for a damaged file
            bad.append(file)
    _refuse(folder, bad, len(files))
    return images


def _fitted(picture: Image.Image, shape: tuple[int, ...]) -> np.ndarray:
    """Return the picture as it is meant to be seen, on white where it is transparent, in ``shape``."""
    upright = ImageOps.exif_transpose(picture) if _orientation(picture) else picture
    if _is_transparent(picture):
        upright = upright.convert("RGBA")
        upright = Image.alpha_composite(Image.new("RGBA", upright.size, "white"), upright)
    upright = upright.convert("RGB" if len(shape) == 3 else "L")
    if upright.size != (shape[1], shape[0]):
        upright = upright.resize((shape[1], shape[0]), Image.Resampling.BILINEAR)
    return np.asarray(upright)


def _refuse(folder: Path, bad: Sequence[Path], count: int) -> None:
    if bad:
        raise UserError(
            f"{folder}: {len(bad)} of {count} pictures cannot be read: {_some(folder, bad)}; mend or remove them"
        )
