"""The sources of data sets: scikit-learn's bundled digits, or torchvision's downloaders.

The heavy imports stand in the functions, because each job needs only one of them.
"""

from __future__ import annotations

import fcntl
import gzip
import os
import shutil
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

import numpy as np

from unlearning.data.downloads import fetch
from unlearning.errors import UserError
from unlearning.files import write_arrays

DIGITS_TEST_SHARE = 0.25

PAUSES = (5.0, 30.0)
"""Seconds between attempts to download."""

LEFT_BEHIND = ".fetching-"
"""The start of names of folders in which a download is unpacked."""

DEBIANS = Path("/usr/share/datasets/fashion-mnist")
IDX_UINT8 = 8
GZIPPED = b"\x1f\x8b"

SIZES = {
    "digits": (1_347, 450),
    "CIFAR10": (50_000, 10_000),
    "CIFAR100": (50_000, 10_000),
    "FashionMNIST": (60_000, 10_000),
}
"""Numbers of training and test images of data sets that are not on the disk yet."""

CHANNELS = {"digits": 1, "CIFAR10": 3, "CIFAR100": 3, "FashionMNIST": 1}


def make_dataset(
    source: str | Sequence[str], target: str | os.PathLike, report: Callable[[str], None] | None = None
) -> None:
    """Write the data set ``source`` ("digits" or the name of a torchvision class) as ``target``, a .npz file.

    Behind the name may stand mirrors, the beginnings of addresses that are tried first. ``report`` is told the progress
    of a download; without it, the progress is printed. A file that another run has made in the meantime is left as it
    is. Raises UserError if the data set cannot be downloaded.
    """
    name, *mirrors = [source] if isinstance(source, str) else source
    file = Path(target)
    with _alone(file.with_name(f".{file.name}.lock")):
        if not file.exists():
            write_arrays(file, digits() if name == "digits" else download(name, file, mirrors, report or _say))


def digits() -> dict[str, np.ndarray]:
    """Return scikit-learn's 1797 digits (8 x 8, 17 grey levels from 0 to 255) in a fixed stratified split."""
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    bundled = load_digits()
    images = (bundled.images * (255 / 16)).round().astype(np.uint8)
    labels = bundled.target.astype(np.uint8)
    train, test = train_test_split(np.arange(len(labels)), test_size=DIGITS_TEST_SHARE, stratify=labels, random_state=0)
    return {
        "train_images": images[train],
        "train_labels": labels[train],
        "test_images": images[test],
        "test_labels": labels[test],
    }


def _say(line: str) -> None:
    print(line, flush=True)


def download(
    source: str, target: Path, mirrors: Sequence[str] = (), report: Callable[[str], None] = _say
) -> dict[str, np.ndarray]:
    """Return the arrays of ``source``, from files that are there already or by torchvision's downloader.

    torchvision's own files are looked for in the folder of ``target``, and Debian's files of FashionMNIST in the folder
    of Debian's package. Both replace a download. torchvision verifies checksums, but for files of FashionMNIST that are
    there already. Raises UserError if no source works.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    remove_left_behind(target.parent)
    found = from_debian() if source == "FashionMNIST" and DEBIANS.is_dir() else None
    found = found or _from_torchvision(source, target.parent, fetch=False)
    if found:
        return found
    with _alone(target.parent / f"{LEFT_BEHIND}{source}.lock"):  # two data sets may have one source
        return _fetched(source, target, mirrors, report)


def _archives(source: str, mirrors: Sequence[str]) -> list[tuple[str, list[str], str]]:
    """Return where torchvision looks for each file of ``source``, its addresses, and its checksum."""
    downloader = getattr(import_torchvision_datasets(), source)
    first = [mirror.rstrip("/") + "/" for mirror in mirrors]
    if hasattr(downloader, "resources"):
        beginnings = [*first, *downloader.mirrors]
        return [
            (f"{source}/raw/{name}", [beginning + name for beginning in beginnings], md5)
            for name, md5 in downloader.resources
        ]
    name = downloader.filename
    return [(name, [*(beginning + name for beginning in first), downloader.url], downloader.tgz_md5)]


def _fetched(source: str, target: Path, mirrors: Sequence[str], report: Callable[[str], None]) -> dict[str, np.ndarray]:
    """Download ``source``. Try again a few times if needed, with pauses: a busy server may be free a minute later.

    What came of a file stays for the next attempt, and for the next run.
    """
    kept = target.parent / f"{LEFT_BEHIND}{source}"
    for pause in (*PAUSES, None):
        # In the target's folder, to use the same disk. With the process in its name: see `remove_left_behind`.
        folder = tempfile.mkdtemp(prefix=f"{LEFT_BEHIND}{source}-{os.getpid()}-", dir=target.parent)
        try:
            for name, urls, md5 in _archives(source, mirrors):
                archive = kept / Path(name).name
                if not archive.exists():
                    fetch(urls, md5, archive, report)
                (Path(folder) / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(archive, Path(folder) / name)
            arrays = _from_torchvision(source, Path(folder), fetch=True) or {}  # it finds the files there
            shutil.rmtree(kept, ignore_errors=True)
            return arrays
        except Exception as error:  # BrokenError; torchvision raises RuntimeError (checksum), OSError, ...
            reason = " ".join(f"{type(error).__name__}: {error}".split())  # some messages have several lines
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            with suppress(OSError):
                kept.rmdir()  # if nothing has come
        if pause is not None:
            print(f"could not fetch {source} ({reason}); again in {pause:.0f} s", flush=True)
            time.sleep(pause)
    raise UserError(f"could not fetch {source} ({reason}); try again, or put {target} in place by hand: see the README")


@contextmanager
def _alone(lock: Path) -> Iterator[None]:
    """Hold the file ``lock`` against another run that shares the data, and remove it at the end."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    while True:
        with lock.open("a") as held:
            with suppress(OSError):  # a disk without locks
                fcntl.flock(held, fcntl.LOCK_EX)
            if not _is_at(lock, held):
                continue  # who held it before has removed it
            try:
                yield
            finally:
                lock.unlink(missing_ok=True)
            return


def _is_at(path: Path, file: IO[str]) -> bool:
    """Return whether the open ``file`` is the one at ``path``."""
    try:
        return os.path.samestat(path.stat(), os.fstat(file.fileno()))
    except FileNotFoundError:
        return False


def _from_torchvision(source: str, folder: Path, fetch: bool) -> dict[str, np.ndarray] | None:
    """Return the arrays that torchvision reads in ``folder``, or None if they are not there and ``fetch`` is false."""
    parts = opened_by_torchvision(source, folder, fetch)
    if parts is None:
        return None
    arrays = {}
    for part, images in parts.items():
        arrays[f"{part}_images"] = np.asarray(images.data, dtype=np.uint8)
        arrays[f"{part}_labels"] = np.asarray(images.targets, dtype=np.uint8)
    return arrays


def opened_by_torchvision(source: str, folder: Path, fetch: bool) -> dict[str, Any] | None:
    """Return torchvision's data set ``source`` of each part, or None if it is not there and ``fetch`` is false.

    torchvision reads a pickled file only if its checksum is right.
    """
    downloader = getattr(import_torchvision_datasets(), source)
    try:
        return {part: downloader(folder, train=part == "train", download=fetch) for part in ("train", "test")}
    except (RuntimeError, OSError, ValueError):  # missing, of another checksum, or damaged
        if fetch:
            raise
        return None


def from_debian() -> dict[str, np.ndarray] | None:
    """Return FashionMNIST from Debian's package dataset-fashion-mnist, or None if its files are not complete."""
    names = {"train": "train", "test": "t10k"}
    try:
        return {
            f"{part}_{what}": read_idx(DEBIANS / f"{name}-{what}-idx{axes}-ubyte.gz")
            for part, name in names.items()
            for what, axes in {"images": 3, "labels": 1}.items()
        }
    except (OSError, ValueError, EOFError, zlib.error):
        return None


def read_idx(path: Path) -> np.ndarray:
    """Return the bytes of a file, gzipped or not, in the format of MNIST (LeCun's idx): uint8 of any number of axes.

    Raises ValueError if it has another type, or another length than its header says.
    """
    content = path.read_bytes()
    if content.startswith(GZIPPED):
        content = gzip.decompress(content)
    zeros, kind, axes = content[:2], content[2], content[3]
    if zeros != b"\0\0" or kind != IDX_UINT8:
        raise ValueError(f"{path}: no bytes in the format idx")
    shape = np.frombuffer(content, ">i4", axes, offset=4)
    return np.frombuffer(content, np.uint8, offset=4 + 4 * axes).reshape(shape)


def remove_left_behind(folder: Path) -> None:
    """Remove folders of killed downloads: the name of such a folder has a process that no longer exists."""
    for left in folder.glob(f"{LEFT_BEHIND}*-*-*"):
        process = left.name.rsplit("-", 2)[1]
        if process.isdecimal() and not Path(f"/proc/{process}").exists():
            shutil.rmtree(left, ignore_errors=True)


def import_torchvision_datasets():
    """Return the module torchvision.datasets, also if torchvision was not built for the installed torch.

    The wheel of torchvision is built against CUDA torch. With a CPU-only torch, its compiled operators do not load, and
    the import stops with "operator torchvision::nms does not exist". torchvision registers fake versions of two
    operators; if these two are declared before the import, its Python parts work. Nothing here ever calls the
    operators.
    """
    import torch

    try:
        import torchvision.datasets
    except RuntimeError:
        library = torch.library.Library("torchvision", "FRAGMENT")
        library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        library.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        import_torchvision_datasets.library = library  # the declarations live as long as this object
        import torchvision.datasets
    return torchvision.datasets
