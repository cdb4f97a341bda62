"""Several classes of one model and data set under one name: class* for all of them, class0-4 for the classes 0 to 4."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from unlearning.config.messages import known
from unlearning.errors import UserError

NUMBER = "0|[1-9][0-9]*"
CLASSES = re.compile(
    rf"(?P<pretraining>[a-z0-9_]+-(?P<dataset>[a-z0-9_]+))-class((?P<all>\*)|(?P<first>{NUMBER})(-(?P<last>{NUMBER}))?)"
)
"""A name in a suite: one class, a range of classes, or all classes."""


def with_single_classes(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``settings`` where every suite names its benchmarks one by one, each once, where it stands first.

    ``settings`` have passed the schema. Raises UserError if a name is no benchmark, or if a name of several classes has
    no settings, no data set, or other classes than its data set. A single class is checked by `check_names`.
    """
    suites = {}
    for suite, its in settings["suites"].items():
        where = f"configuration: suites.{suite}.benchmarks"
        names = [name for given in its["benchmarks"] for name in single_classes(given, settings, where)]
        suites[suite] = {**its, "benchmarks": list(dict.fromkeys(names))}
    return {**settings, "suites": suites}


def single_classes(name: str, settings: Mapping[str, Any], where: str) -> list[str]:
    """Return the benchmarks that ``name`` stands for, by ascending class. UserErrors begin with ``where``.

    ``settings`` are the whole configuration, from which the classes of the data set come.
    """
    match = CLASSES.fullmatch(name)
    if match is None:
        raise UserError(
            f"{where}: {name!r} is no benchmark; write MODEL-DATASET-classK, e.g. resnet20-cifar10-class0, "
            "class0-4 for the classes 0 to 4, or class* for all classes"
        )
    pretraining, dataset = match["pretraining"], match["dataset"]
    if not is_several_classes(name):
        return [name]
    known(pretraining, settings["benchmarks"], where)
    known(dataset, settings["datasets"], f"configuration: benchmarks.{pretraining}")
    end = settings["datasets"][dataset]["classes"] - 1
    first, last = (0, end) if match["all"] else (int(match["first"]), int(match["last"]))
    if first > last:
        raise UserError(f"{where}: {name}: the first class comes first; write {pretraining}-class{last}-{first}")
    if last > end:
        raise UserError(f"{where}: {name}: {dataset} has the classes 0 to {end}")
    return [f"{pretraining}-class{number}" for number in range(first, last + 1)]


def is_several_classes(name: str) -> bool:
    """Return whether ``name`` is a name of all classes or of a range."""
    match = CLASSES.fullmatch(name)
    return match is not None and bool(match["all"] or match["last"])
