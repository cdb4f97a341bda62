"""make dataset NAME=x FROM=path: write data/x.npz, and say what to put into the configuration.

FROM is a folder with a folder of pictures per class (also in train/ and test/), a folder with files of MNIST's format
idx, a folder that torchvision downloaded, or a .npz file of MedMNIST.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from tabulate import tabulate

from commands import run
from unlearning.config.model import METHOD_NAME, Config
from unlearning.config.reading import CONFIG, read_config
from unlearning.data.datasets import LARGEST_GB, DataFile, read_dataset
from unlearning.data.formats import Found, read_any
from unlearning.errors import UserError
from unlearning.files import whole_file

Number = TypeVar("Number", int, float)

MODEL_SIZE = 32
"""The image_size of a benchmark unless it says another one."""

SHOWN_CLASSES = 20


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="make dataset", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("name", help="NAME, as in datasets of the configuration")
    parser.add_argument("source", help="FROM, the file or folder")
    parser.add_argument("--size", help="SIZE, to which pictures are resized, e.g. 32")
    parser.add_argument("--test-share", help="TEST_SHARE, set aside for the test if there is no test part, e.g. 0.2")
    parser.add_argument("--force", action="store_true", help="FORCE=1: replace a file that is there")
    parser.add_argument("--configfile", type=Path, nargs="+", default=[], help="laid over config.yaml")
    given = parser.parse_args(arguments)
    try:
        for line in make(given):
            print(line)
    except KeyboardInterrupt:
        print("stopped; nothing is written", file=sys.stderr)
        return 130
    except BrokenPipeError:
        raise  # the reader of the lines, not the data
    except (UserError, OSError) as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        return 1
    except MemoryError:
        print("error: the images do not fit into memory; write a smaller SIZE=", file=sys.stderr)
        return 1
    return 0


def make(given: argparse.Namespace) -> list[str]:
    """Write the data set, and return what to tell the user. Raises UserError for what cannot be a data set."""
    if not METHOD_NAME.fullmatch(given.name):
        raise UserError(
            f"NAME={given.name}: lower-case letters, digits and underscores, a letter first; e.g. make dataset "
            "NAME=shapes FROM=path/to/shapes"
        )
    if not given.source:
        raise UserError(f"where are the images? write make dataset NAME={given.name} FROM=path/to/them")
    size = _number("SIZE", given.size, int, 8, 256)
    share = _number("TEST_SHARE", given.test_share, float, 0.01, 0.9)
    config = read_config([CONFIG, *given.configfile], {})
    target = config.file_by_hand(given.name)
    if config.datasets.get(given.name) is not None and config.datasets[given.name].part_of is not None:
        raise UserError(f"NAME={given.name}: a part of another data set in the configuration; choose another name")
    if target.exists() and not given.force:
        raise UserError(f"{target} is there already; choose another NAME, or write FORCE=1 to replace it")
    source = Path(given.source).expanduser()
    found = read_any(source, size, share)
    _check_entry(config, given.name, found)
    _write(target, source, found)
    return [*described(source, found), f"{target} is written.", *lines_for(given.name, found, config)]


def _number(key: str, text: str | None, kind: type[Number], least: Number, most: Number) -> Number | None:
    if text is None:
        return None
    try:
        value = kind(text)
    except ValueError:
        value = None
    if value is None or not least <= value <= most:
        raise UserError(f"{key}={text}: write a number from {least} to {most}")
    return value


def _classes(found: Found) -> int:
    return int(found.parts["train"][1].max()) + 1


def _check_entry(config: Config, name: str, found: Found) -> None:
    entry = config.datasets.get(name)
    if entry is not None and entry.classes != _classes(found):
        raise UserError(
            f"NAME={name}: the configuration has datasets.{name} with {entry.classes} classes, and here are "
            f"{_classes(found)}; choose another name, or change the entry"
        )


def _write(target: Path, source: Path, found: Found) -> None:
    """Write the file, and read it as a job will, before it gets its name."""
    arrays: dict[str, Any] = {}
    for part, (images, labels) in found.parts.items():
        arrays |= {f"{part}_images": images, f"{part}_labels": labels}
    if found.names:
        arrays["class_names"] = np.array(found.names)
    with whole_file(target) as partial:
        with partial.open("wb") as file:
            np.savez(file, **arrays)
        try:
            read_dataset(DataFile(partial, largest_gb=float("inf")), _classes(found))
        except UserError as error:
            raise UserError(str(error).replace(str(partial), str(source))) from None


def described(source: Path, found: Found) -> list[str]:
    """Return what was found: the classes, their names and counts, and the size of the images."""
    counts = {part: np.bincount(labels) for part, (_, labels) in found.parts.items()}
    shape = found.parts["train"][0].shape
    colour = "colour" if len(shape) == 4 and shape[3] == 3 else "grey"
    names = found.names or [""] * _classes(found)
    rows = [
        [label, name, counts["train"][label], counts["test"][label]] for label, name in enumerate(names[:SHOWN_CLASSES])
    ]
    more = len(names) - len(rows)
    of_class = [f"{part} {its.min()} to {its.max()}" for part, its in counts.items()]
    return [
        f"{source}: {found.form}, {len(names)} classes, {shape[1]} x {shape[2]} {colour}",
        tabulate(rows, ["class", "name", "train", "test"], tablefmt="plain"),
        *([f"... and {more} classes more"] if more else []),
        f"images per class: {', '.join(of_class)}",
        *(f"note: {remark}" for remark in found.remarks),
    ]


FIRST = ("head_mask", "retain_finetune", "scrub", "mask_and_average")
"""The methods of a first table."""


def lines_for(name: str, found: Found, config: Config) -> list[str]:
    """Return the lines for the configuration, as a whole file, and how to use it."""
    images = found.parts["train"][0]
    largest = max(images.shape[1:3])
    fit = "pad" if MODEL_SIZE / 2 < largest <= MODEL_SIZE else "resize"
    gigabytes = sum(array.nbytes for pair in found.parts.values() for array in pair) / 1e9
    more = f", largest_gb: {gigabytes + 1:.0f}" if gigabytes > LARGEST_GB else ""
    entry = f"datasets: {{{name}: {{classes: {_classes(found)}, fit: {fit}{more}}}}}"
    suite = f"own_{name}" if name in config.suites else name
    return [
        "For its table, put these lines into a file mine.yaml, and run make table CONFIG=mine.yaml:",
        f"suite: {suite}",
        *([] if name in config.datasets else [entry]),
        f"benchmarks: {{resnet20-{name}: {{protocol: short}}}}  # a first look; paper: the published constants",
        f"suites: {{{suite}: {{benchmarks: [resnet20-{name}-class0], methods: [{', '.join(FIRST)}], seeds: [42]}}}}",
    ]


if __name__ == "__main__":
    run(main, sys.argv[1:])
