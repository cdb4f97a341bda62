"""The noise floor: how far the oracles of two seeds are from each other, in every distance to the oracle."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np
import pandas

from unlearning.evaluation.erasure import linear_cka, routing_distance
from unlearning.evaluation.metrics import jensen_shannon
from unlearning.evaluation.sample import unpack
from unlearning.files import read_arrays
from unlearning.paths import cell_at
from unlearning.tables.cells import ORACLE, mean_abs_gap, tow_of
from unlearning.tables.columns import COLUMN

COLUMNS = ["benchmark", "metric", "pairs", "mean", "furthest", "deviation"]

OF_OUTPUTS = {"js_to_oracle": jensen_shannon, "routing_tv": routing_distance}
"""The distances that follow from the logits (N, classes) of two models for the forget class's test images."""

OF_FEATURES = {"cka_to_oracle": linear_cka}
"""The likeness that follows from the features (N, width) of two models for the forget class's test images."""

Models = Mapping[str, Sequence[np.ndarray]]
"""One array per oracle, by benchmark: logits or features of the same images."""

Measured = tuple[Mapping[str, Callable[[Any, Any], float | None]], Models]
"""Distances that do not follow from metrics.csv, and what they compare."""


def outputs_of_oracles(
    cells: Iterable[Mapping[str, Any]],
    non_member_logits: Iterable[np.ndarray | None],
    shadows: Mapping[str, Sequence[np.ndarray]],
) -> Measured:
    """Return the distances between outputs, and the oracles' logits for the forget class's test images, by benchmark.

    ``cells`` have benchmark and method, ``non_member_logits`` are theirs, None for a cell without. ``shadows`` has, by
    benchmark, the logits of shadow models that never saw the class, for its training images and then its test images.
    """
    models: dict[str, list[np.ndarray]] = {}
    for cell, logits in zip(cells, non_member_logits, strict=True):
        if cell["method"] == ORACLE and logits is not None:
            models.setdefault(cell["benchmark"], []).append(logits)
    for benchmark, oracles in models.items():
        oracles += [pool[-len(oracles[0]) :] for pool in shadows.get(benchmark, [])]
    return OF_OUTPUTS, models


def features_of_oracles(files: Iterable[str]) -> Measured:
    """Return the likeness of features, and those of the oracles for the forget class's test images, by benchmark.

    ``files`` are the features.npz of the oracles.
    """
    models: dict[str, list[np.ndarray]] = {}
    for file in files:
        oracle = unpack(read_arrays(file))
        if oracle is not None:
            models.setdefault(cell_at(file)["benchmark"], []).append(oracle.features["forget_test"])
    return OF_FEATURES, models


def noise_floor(metrics: pandas.DataFrame, *measured: Measured) -> pandas.DataFrame:
    """Return floor.csv: each distance between two oracles, over all pairs of oracles of a benchmark.

    ``metrics`` is metrics.csv; ``measured`` are further distances. A method that is not further from the oracle than
    another oracle is not known to differ from it. One row per benchmark and distance for which there are two oracles;
    ``furthest`` is the largest distance, or for a likeness the smallest. All distances here are symmetric.
    """
    rows = []
    oracles = metrics[(metrics["method"] == ORACLE) & (metrics["status"] == "ok")]
    for benchmark, cells in oracles.groupby("benchmark", sort=False):
        seen = cells.to_dict("records")
        compared: dict[str, list[float]] = {}
        for name, of_rows in (("mean_abs_gap", mean_abs_gap), ("tow", tow_of)):
            compared[name] = [of_rows(a, b) for a, b in combinations(seen, 2)]
        for distances, models in measured:
            for name, distance in distances.items():
                values = [distance(a, b) for a, b in combinations(models.get(benchmark, []), 2)]
                compared[name] = [value for value in values if value is not None]
        rows += [(benchmark, name, *_row(name, values)) for name, values in compared.items() if values]
    return pandas.DataFrame(rows, columns=COLUMNS)


def _row(name: str, values: Sequence[float]) -> tuple[int, float, float, float | None]:
    furthest = min(values) if COLUMN[name].is_likeness else max(values)
    deviation = float(np.std(values, ddof=1)) if len(values) > 1 else None
    return len(values), float(np.mean(values)), furthest, deviation
