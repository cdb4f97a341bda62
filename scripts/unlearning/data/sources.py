"""Where the data sets come from: scikit-learn's bundled digits, or torchvision's downloaders.

The heavy imports stand in the functions, because each job needs only one of them.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import numpy as np

from unlearning.errors import UserError
from unlearning.files import write_arrays

DIGITS_TEST_SHARE = 0.25

SIZES = {
    "digits": (1_347, 450),
    "CIFAR10": (50_000, 10_000),
    "CIFAR100": (50_000, 10_000),
    "FashionMNIST": (60_000, 10_000),
}
"""Training and test images of what is not on the disk yet."""

CHANNELS = {"digits": 1, "CIFAR10": 3, "CIFAR100": 3, "FashionMNIST": 1}


def make_dataset(source: str, target: str | os.PathLike) -> None:
    """Write the data set ``source`` ("digits" or the name of a torchvision class) as ``target``, a .npz file.

    Raises UserError if it cannot be downloaded.
    """
    arrays = digits() if source == "digits" else download(source, Path(target))
    write_arrays(target, arrays)


def digits() -> dict[str, np.ndarray]:
    """Return scikit-learn's 1797 digits (8 x 8, 17 grey levels spread over 0 to 255) in a fixed stratified split."""
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


def download(source: str, target: Path) -> dict[str, np.ndarray]:
    """Fetch ``source`` with torchvision's downloader, which verifies checksums, and return its arrays."""
    downloader = getattr(import_torchvision_datasets(), source)
    target.parent.mkdir(parents=True, exist_ok=True)
    folder = tempfile.mkdtemp(prefix=f".{source}-", dir=target.parent)  # beside the target: the same disk's space
    try:
        parts = {part: downloader(folder, train=part == "train", download=True) for part in ("train", "test")}
    except Exception as error:  # torchvision raises URLError, RuntimeError (checksum, all mirrors), OSError, ...
        reason = " ".join(f"{type(error).__name__}: {error}".split())  # some fill several lines
        raise UserError(
            f"could not fetch {source} ({reason}); try again, or put {target} in place by hand: "
            "the README says what it holds"
        ) from None
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    arrays = {}
    for part, images in parts.items():
        arrays[f"{part}_images"] = np.asarray(images.data, dtype=np.uint8)
        arrays[f"{part}_labels"] = np.asarray(images.targets, dtype=np.uint8)
    return arrays


def import_torchvision_datasets():
    """Return the module torchvision.datasets, also beside a torch for which torchvision was not built.

    The wheel of torchvision is built against CUDA torch. Beside a CPU-only torch its compiled operators do not load
    and the import stops with "operator torchvision::nms does not exist"; with the two operators that it registers
    fake versions of declared beforehand, its Python parts work. Nothing here ever calls the operators.
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
