"""The forms in which people have images, each read into the arrays of a data set.

A folder of pictures, files of MNIST's format idx, a folder that torchvision downloaded, a file of MedMNIST.
"""

from __future__ import annotations

import re
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from unlearning.data.parts import some_of_each_class
from unlearning.data.pictures import read_pictures
from unlearning.data.sources import opened_by_torchvision, read_idx
from unlearning.errors import UserError

OF_TORCHVISION = {"cifar-10-batches-py": "CIFAR10", "cifar-100-python": "CIFAR100"}
"""Folders of pickled files, which are read only if their checksums are right: a pickle can run code."""

IDX_FOLDERS = (".", "raw", "FashionMNIST/raw", "MNIST/raw")
IDX_NAME = re.compile(
    r"(?P<set>.*?)(?P<part>train|t10k|test)[-_.](?P<what>images|labels)[-_.]idx[134][-_.]ubyte(\.gz)?", re.IGNORECASE
)
ARCHIVES = (".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".7z", ".rar")
UNREADABLE = (OSError, ValueError, TypeError, KeyError, EOFError, zipfile.BadZipFile, zlib.error)


@dataclass(frozen=True)
class Found:
    """What was found: images and labels of the parts train, val and test, as they are in the files.

    ``names`` are those of the classes, by label, if the files say them.
    """

    form: str
    parts: Mapping[str, tuple[np.ndarray, np.ndarray]]
    names: Sequence[str] = ()
    remarks: Sequence[str] = field(default_factory=list)


def read_any(path: Path, size: int | None = None, test_share: float | None = None) -> Found:
    """Return what is at ``path``, with the parts train and test alone, and labels 0, 1, 2 ... without a gap.

    ``size`` is for pictures alone. Without a test part, ``test_share`` of each class becomes it. Raises UserError, in
    one line that says what to write instead, for anything that is no data set of this project.
    """
    found = _read(path, size)
    if size is not None and found.form != PICTURES:
        raise UserError(f"{path}: SIZE is for folders of pictures; images of {found.form} keep their size")
    found = replace(found, parts={part: _with_flat_labels(path, part, *its) for part, its in found.parts.items()})
    return _with_labels_from_zero(path, _with_test_part(path, found, test_share))


PICTURES = "a folder of pictures"


def _read(path: Path, size: int | None) -> Found:
    if not path.exists():
        raise UserError(f"{path}: there is no such file or folder")
    if path.is_file():
        if path.suffix == ".npz":
            return _read_medmnist(path)
        if IDX_NAME.fullmatch(path.name):
            raise UserError(f"{path}: name the folder that it is in: {path.parent}")
        advice = "unpack it first" if path.suffix.lower() in ARCHIVES else "name a folder, or a .npz file"
        raise UserError(f"{path}: {advice}")
    folders = [path, *(path / name for name in OF_TORCHVISION)]
    pickled = [folder for folder in folders if folder.name in OF_TORCHVISION and folder.is_dir()]
    idx = [folder for folder in (path / name for name in IDX_FOLDERS) if folder.is_dir() and _idx_files(folder)]
    if len(pickled) + len(idx) > 1:
        raise UserError(f"{path}: several data sets: {', '.join(map(str, [*pickled, *idx]))}; name one of them")
    if pickled:
        return _read_torchvision(pickled[0])
    if idx:
        return _read_idx_folder(idx[0])
    pictures = read_pictures(path, size)
    return Found(PICTURES, pictures.parts, pictures.names, pictures.remarks)


def _read_medmnist(path: Path) -> Found:
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {
                part: (file[f"{part}_images"], file[f"{part}_labels"])
                for part in ("train", "val", "test")
                if {f"{part}_images", f"{part}_labels"} <= set(file.files)
            }
            names = file["class_names"].tolist() if "class_names" in file.files else ()
            held = ", ".join(file.files)
    except UNREADABLE as error:
        raise UserError(f"{path}: it cannot be read ({_one_line(error)}); save plain arrays with numpy.savez") from None
    if "train" not in arrays:
        raise UserError(f"{path}: it has the arrays {held}; a data set has train_images and train_labels")
    return Found("a file of MedMNIST's layout", arrays, names)


def _read_torchvision(folder: Path) -> Found:
    parts = opened_by_torchvision(OF_TORCHVISION[folder.name], folder.parent, fetch=False)
    if parts is None:
        raise UserError(f"{folder}: a file is missing, or has a wrong checksum; download the folder again")
    arrays = {part: (np.asarray(its.data), np.asarray(its.targets)) for part, its in parts.items()}
    return Found("a folder of torchvision", arrays, parts["train"].classes)


def _idx_files(folder: Path) -> list[tuple[re.Match, Path]]:
    """Return the files of the format idx. torchvision leaves packed and unpacked ones: the unpacked come first."""
    files = sorted((path.suffix == ".gz", path) for path in folder.iterdir() if path.is_file())
    return [(match, path) for _, path in files if (match := IDX_NAME.fullmatch(path.name))]


def _read_idx_folder(folder: Path) -> Found:
    files: dict[tuple[str, str], Path] = {}
    sets = sorted({match["set"] for match, _ in _idx_files(folder)})
    if len(sets) > 1:
        raise UserError(f"{folder}: files of several data sets: {', '.join(sets)}; copy one's files into a folder")
    for match, path in _idx_files(folder):
        part = "train" if match["part"].lower() == "train" else "test"
        files.setdefault((part, match["what"].lower()), path)
    for part in {part for part, _ in files} | {"train"}:
        for what in ("images", "labels"):
            if (part, what) not in files:
                raise UserError(f"{folder}: the file of the {part} {what} is missing")
    parts = {}
    for part in {part for part, _ in files}:
        parts[part] = _idx(files[part, "images"]), _idx(files[part, "labels"])
    return Found("files of MNIST's format idx", parts)


def _idx(path: Path) -> np.ndarray:
    try:
        return read_idx(path)
    except (*UNREADABLE, IndexError) as error:
        raise UserError(f"{path}: not a whole file of the format idx ({_one_line(error)})") from None


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def _with_flat_labels(path: Path, part: str, images: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim == 2:
        raise UserError(
            f"{path}: {labels.shape[1]} {part} labels per image; here, each image is of one class and has one label"
        )
    if labels.ndim != 1 or labels.dtype.kind not in "iu":
        raise UserError(f"{path}: the {part} labels are {labels.dtype} {labels.shape}; they must be integers (N,)")
    if images.ndim < 3:
        raise UserError(
            f"{path}: the {part} images have the shape {images.shape}; it must be (N, height, width) or more"
        )
    if len(images) != len(labels):
        raise UserError(f"{path}: {len(images)} {part} images, but {len(labels)} labels")
    return images, labels


def _with_test_part(path: Path, found: Found, share: float | None) -> Found:
    """Return ``found`` with a train and a test part, and a remark where the test part is not the one of the files."""
    parts, remarks = dict(found.parts), list(found.remarks)
    val = parts.pop("val", None)
    if "test" in parts and val is not None:
        remarks.append(f"left out: the validation part, {len(val[1])} images")
    if "test" not in parts and val is not None:
        parts["test"] = val
        remarks.append("the validation part is the test part here, because there is no other")
    if "test" in parts:
        if share is not None:
            raise UserError(f"{path}: it has a test part; leave TEST_SHARE out")
        return replace(found, parts=parts, remarks=remarks)
    if share is None:
        raise UserError(f"{path}: it has no test part; write TEST_SHARE=0.2 to have 20 % of each class set aside")
    images, labels = parts["train"]
    few = [label for label, count in zip(*np.unique(labels, return_counts=True), strict=True) if count < 2]
    if few:
        name = found.names[few[0]] if len(found.names) else few[0]
        raise UserError(f"{path}: class {name} has one image; TEST_SHARE needs one to train on and one to test")
    is_test = some_of_each_class(labels, share, "test part")
    parts = {"train": (images[~is_test], labels[~is_test]), "test": (images[is_test], labels[is_test])}
    remarks.append(f"the test part is {share:.0%} of each class, chosen at random but always the same")
    return replace(found, parts=parts, remarks=remarks)


def _with_labels_from_zero(path: Path, found: Found) -> Found:
    present = {part: set(np.unique(labels).tolist()) for part, (_, labels) in found.parts.items()}
    labels = sorted(set().union(*present.values()))
    names = {label: found.names[label] if 0 <= label < len(found.names) else label for label in labels}
    if len(labels) < 2:
        raise UserError(f"{path}: all images are of one class, {names[labels[0]]}" if labels else f"{path}: no images")
    for part, its in present.items():
        missing = [label for label in labels if label not in its]
        if missing:
            raise UserError(
                f"{path}: class {names[missing[0]]} has no {part} image; each class needs some in both parts"
            )
    remarks = list(found.remarks)
    if labels != list(range(len(labels))):
        remarks.append(f"the labels {_listed(labels)} became 0 to {len(labels) - 1}")
    kind = np.uint8 if len(labels) <= 256 else np.uint16
    parts = {part: found.parts[part] for part in ("train", "test")}  # the same order gives the same file
    parts = {part: (images, np.searchsorted(labels, its).astype(kind)) for part, (images, its) in parts.items()}
    names_in_order = [str(names[label]) for label in labels] if len(found.names) else []
    return replace(found, parts=parts, names=names_in_order, remarks=remarks)


def _listed(labels: Sequence[int]) -> str:
    return ", ".join(map(str, labels)) if len(labels) <= 5 else f"{labels[0]}, {labels[1]} ... {labels[-1]}"
