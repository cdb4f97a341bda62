"""make subset: write a data set with fewer training images, the same number per class, and the same test images.

For trials on a CPU: make subset ARGS="data/cifar10.npz 4000 data/cifar10_small.npz"
"""

import argparse
import sys
from pathlib import Path

from commands import run, tells_mistakes
from unlearning.data.datasets import DataFile, read_dataset
from unlearning.data.parts import part_of, smallest_class
from unlearning.errors import UserError
from unlearning.files import write_arrays


@tells_mistakes
def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", help="the data set, e.g. data/cifar10.npz")
    parser.add_argument("images", type=int, help="how many training images to keep, as many of each class")
    parser.add_argument("target", help="the file to write, e.g. data/cifar10_small.npz")
    parser.add_argument("--classes", type=int, default=10, help="how many classes it has (default: 10)")
    parser.add_argument(
        "--first", action="store_true", help="keep the first of each class, instead of some at random (always the same)"
    )
    given = parser.parse_args(arguments)
    if Path(given.target).exists():
        raise UserError(f"{given.target} is there already; name a file that is not, or remove it")
    data = read_dataset(DataFile(Path(given.source), largest_gb=float("inf")), given.classes)
    images = len(data.train_labels)
    if given.images < data.classes:
        raise UserError(f"{given.images} images are less than one of each of the {data.classes} classes")
    if given.images > images:
        raise UserError(f"{given.source}: it has {images} training images, not {given.images}")
    if rest := given.images % data.classes:
        raise UserError(
            f"{given.images} images are not as many of each of the {data.classes} classes; write {given.images - rest}"
        )
    each, (label, least) = given.images // data.classes, smallest_class(data.train_labels, data.classes)
    if least < each:
        raise UserError(
            f"{given.source}: class {label} has {least} training images; write at most {least * data.classes}"
        )
    write_arrays(given.target, part_of(data, each, at_random=not given.first))
    return 0


if __name__ == "__main__":
    run(main, sys.argv[1:])
