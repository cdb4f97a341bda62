"""From the files of the cells to the rows of metrics.csv and costs.csv: joined, and compared with the oracle."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from unlearning.config.model import REFERENCES
from unlearning.errors import UserError
from unlearning.evaluation.metrics import METRICS_FORMAT, jensen_shannon, tug_of_war
from unlearning.evaluation.on_request import FORMATS
from unlearning.files import read_json
from unlearning.runner.outcomes import MISFIT
from unlearning.tables.columns import CELL, ERASURE, FAILURE, MEASURED, ON_REQUEST, TO_ORACLE, WITHOUT_GAP

Row = dict[str, Any]

PENDING = "pending"
"""The status of a cell that is not made yet; only previews have such cells."""

OVERALL_GAP = ("retain_acc", "forget_acc", "forget_mia_auc")
"""The metrics behind mean_abs_gap. The area as it is: a folded one would call .44 and .56 the same."""

ORIGINAL, ORACLE = REFERENCES
TOW_ACCURACIES = ("forget_train_acc", "retain_train_acc", "test_acc")


def key_of(row: Mapping[str, Any]) -> tuple[str, int, str]:
    """Return benchmark, seed and method, which identify a cell."""
    return row["benchmark"], row["seed"], row["method"]


def read_cell(path: str | os.PathLike) -> Row:
    """Read a metrics.json. Raises UserError if it is damaged or a version with other metrics wrote it."""
    cell = _read_as(METRICS_FORMAT, path)
    for column in MEASURED:
        value = cell.get(column.name)
        if value is not None and (isinstance(value, bool) or not isinstance(value, (int, float))):
            raise UserError(f"{path}: damaged ({column.name} is {value!r}); delete it to have it made again")
    return cell


def read_on_request(path: str | os.PathLike) -> Row:
    """Read a relearning.json or a ulira.json. Raises UserError as `read_cell` does."""
    return _read_as(FORMATS[Path(path).name], path)


def _read_as(wanted: int, path: str | os.PathLike) -> Row:
    content = read_json(path)
    written_as = content.get("format", 1)
    if written_as != wanted:
        raise UserError(f"{path}: of format {written_as}, not {wanted}; delete it to have it made again")
    return content


def without_misfits(cells: Sequence[Row], *further: Sequence[Any]) -> tuple[list[Any], ...]:
    """Return ``cells`` without external models that do not fit their benchmark.

    ``further`` are sequences with one item per cell; they are returned after ``cells``, without the same items. Raises
    UserError for a model that fits no benchmark, with the reason for each.
    """
    for name in dict.fromkeys(cell["method"] for cell in cells if cell["status"] == MISFIT):
        of_model = [cell for cell in cells if cell["method"] == name]
        if all(cell["status"] == MISFIT for cell in of_model):
            reasons = "; ".join(f"{cell['benchmark']}: {cell['reason']}" for cell in of_model)
            raise UserError(f"the model {name} fits no benchmark of the suite: {reasons}")
    kept = [row for row in zip(cells, *further, strict=True) if row[0]["status"] != MISFIT]
    return tuple(list(column) for column in zip(*kept, strict=True))


def join_cells(
    cells: Sequence[Row],
    further: Sequence[Row],
    non_member_logits: Sequence[np.ndarray | None],
    kinds: Mapping[str, str],
    settings: Mapping[str, str] | None = None,
) -> list[Row]:
    """Return the rows of metrics.csv, in the order of ``cells``, the contents of the metrics.json files.

    ``further`` are the contents of compare.json, and of relearning.json and ulira.json, which are there for all cells
    or for none. ``non_member_logits`` has one array (N, classes) per cell, None where the cell is not ok. ``kinds``
    maps each method to its kind, ``settings`` to the origin of its hyperparameters. Unknown values are None.
    """
    asked = [column.name for column in ON_REQUEST if any(column.name in row for row in further)]
    measured = [column.name for column in MEASURED] + asked
    erasure = [column.name for column in ERASURE]
    known = [column.name for column in CELL] + measured + [column.name for column in TO_ORACLE] + erasure
    of_cell: dict[tuple, Row] = {}
    for row in further:
        of_cell.setdefault(key_of(row), {}).update(row)
    whole = {key_of(cell): of_cell.get(key_of(cell), {}) | cell if cell["status"] == "ok" else cell for cell in cells}
    logits = dict(zip(whole, non_member_logits, strict=True))
    rows = []
    for key, cell in whole.items():
        oracle = (*key[:2], ORACLE)
        cell |= {"kind": kinds[cell["method"]], "settings": (settings or {}).get(cell["method"])}
        row = {name: cell.get(name) for name in known}
        row |= to_oracle(cell, whole.get(oracle, {}), logits[key], logits.get(oracle), measured + erasure)
        rows.append(row | {column.name: cell.get(column.name) for column in FAILURE})
    return rows


def to_oracle(
    cell: Row, oracle: Row, logits: np.ndarray | None, oracle_logits: np.ndarray | None, measured: Sequence[str]
) -> Row:
    """Return the distances of a cell to the oracle of its benchmark and seed, all None if one of the two is not ok.

    ``logits`` and ``oracle_logits`` (N, classes) are of the same images; ``measured`` names the metrics.
    """
    gaps: dict[str, Any] = {
        name: _difference(cell.get(name), oracle.get(name)) for name in measured if name not in WITHOUT_GAP
    }
    distances = dict.fromkeys(column.name for column in TO_ORACLE)
    if cell["status"] == oracle.get("status") == "ok" and logits is not None and oracle_logits is not None:
        distances = {
            "mean_abs_gap": mean_abs_gap(cell, oracle),
            "tow": tow_of(cell, oracle),
            "js_to_oracle": jensen_shannon(logits, oracle_logits),
        }
    return distances | {f"gap_{name}": value for name, value in gaps.items()}


def mean_abs_gap(cell: Row, oracle: Row) -> float:
    """Return the mean of |difference| over the three metrics behind unlearn_score; the order of the two is free."""
    return float(np.mean([abs(cell[name] - oracle[name]) for name in OVERALL_GAP]))


def tow_of(cell: Row, oracle: Row) -> float:
    """Return `tug_of_war` between the rows of two cells; the order of the two is free."""
    accuracies, of_oracle = ([row[name] for name in TOW_ACCURACIES] for row in (cell, oracle))
    return tug_of_war(accuracies, of_oracle)


def _difference(value: float | None, of_oracle: float | None) -> float | None:
    return None if value is None or of_oracle is None else value - of_oracle


def join_costs(costs: Sequence[Row]) -> list[Row]:
    """Return the rows of costs.csv: the cost of each job with its benchmark, and its seconds divided by the oracle's.

    ``costs`` are the contents of the cost.json files.
    """
    rows = []
    for cost in costs:
        benchmark = f"{cost['model']}-{cost['dataset']}"
        if "forget_class" in cost:
            benchmark += f"-class{cost['forget_class']}"
        rows.append({"rule": cost["rule"], "benchmark": benchmark} | cost)
    oracles = {(row["benchmark"], row["seed"]): row["training_seconds"] for row in rows if row["rule"] == ORACLE}
    for row in rows:
        of_oracle = oracles.get((row["benchmark"], row["seed"]))
        if of_oracle and row.get("training_seconds") is not None:
            row["seconds_to_oracle"] = round(row["training_seconds"] / of_oracle, 4)
    return rows
