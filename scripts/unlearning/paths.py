"""The path of each result, relative to the working directory."""

from __future__ import annotations

import re
from typing import Any

from unlearning.watched_code import SCRIPTS

RESULTS = "results"
DATASETS = f"{RESULTS}/datasets"
PRETRAINING = f"{RESULTS}/{{model}}-{{dataset}}/seed{{seed}}"
BENCHMARK = f"{RESULTS}/{{model}}-{{dataset}}-class{{forget_class}}"
CELL = f"{BENCHMARK}/seed{{seed}}/{{method}}"
SHADOW = f"{BENCHMARK}/shadow{{shadow}}"

KNOWN_DIGEST = f"{DATASETS}/{{dataset}}.digest"
"""The digest of a data set's file, as the last job read it."""

MEASURED = ("metrics", "costs", "floor", "image_errors")
FOLLOWING = ("summary", "comparisons", "agreement")
"""The tables behind table.md: those from which all others follow, and those that follow from them."""

TABLES = {name: f"{RESULTS}/{name}.csv" for name in (*MEASURED, *FOLLOWING)}

PUBLISHED = SCRIPTS.parent / "workflow" / "resources" / "published.csv"
"""The published results: not our results, but an input of the table."""

CELL_FILE = re.compile(rf"{RESULTS}/(?P<benchmark>[^/]+)/seed(?P<seed>[0-9]+)/(?P<method>[^/]+)/[^/]+")


def cell_at(path: str) -> dict[str, Any]:
    """Return the benchmark, method and seed of the cell that the file at ``path`` belongs to.

    Raises:
        ValueError: the path is not a cell's.
    """
    match = CELL_FILE.fullmatch(path)
    if match is None:
        raise ValueError(f"{path} is no file of a cell: results/<benchmark>/seed<N>/<method>/<file>")
    return {"benchmark": match["benchmark"], "method": match["method"], "seed": int(match["seed"])}


def checkpoint_of(method: str) -> str:
    """Return the checkpoint of a row of the table, with wildcards."""
    if method == "original":
        return f"{PRETRAINING}/pretrained.pt"
    return f"{CELL}/{'retrained' if method == 'retrain' else 'unlearned'}.pt"


def benchmark_of(path: str) -> str:
    """Return the benchmark that the file at ``path`` belongs to."""
    return path.removeprefix(f"{RESULTS}/").partition("/")[0]
