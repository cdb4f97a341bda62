"""results/sweep.md: the settings of every method on the validation part, and the chosen ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from tabulate import tabulate

from unlearning.tables.columns import COLUMN
from unlearning.tables.markdown import shown

Row = dict[str, Any]

SCORE, GAP, ACCURACY, ATTACK = "unlearn_score", "mean_abs_gap", "retain_acc", "forget_mia_auc_two_sided"
KEPT = ("status", "reason", ACCURACY, "forget_acc", ATTACK, SCORE, GAP)
"""The columns of metrics.csv that sweep.csv has as well."""

SHOWN = [COLUMN[name] for name in (ACCURACY, "forget_acc", ATTACK, SCORE, GAP)]
CHOSEN_BY = {"by_score": COLUMN[SCORE], "by_gap": COLUMN[GAP]}


def rows_of_sweep(cells: Sequence[Row], variants: Sequence[tuple[str, str, Mapping[str, Any]]]) -> list[Row]:
    """Return the rows of sweep.csv: one per cell, with the method and the setting that its variant stands for.

    ``cells`` are rows of metrics.csv. ``variants`` has the name of each variant, its method and its hyperparameters.
    A reference has no setting.
    """
    of_variant = {variant: (method, shown(settings)) for variant, method, settings in variants}
    rows = []
    for cell in cells:
        method, setting = of_variant.get(cell["method"], (cell["method"], ""))
        row = {"benchmark": cell["benchmark"], "method": method, "setting": setting, "kind": cell["kind"]}
        rows.append(row | {name: cell[name] for name in KEPT})
    return rows


def render_sweep(rows: Sequence[Row], seed: int, share: float) -> str:
    """Return results/sweep.md."""
    tried = [row for row in rows if row["setting"]]
    table = []
    for chosen in choose(tried):
        line = [chosen["method"], str(chosen["settings"])]
        for how in CHOSEN_BY:
            line += _described(tried, chosen["method"], chosen[how])
        table.append(line)
    titles = ["method", "settings"]
    for column in CHOSEN_BY.values():
        titles += [f"by {column.label}", *(shown.heading for shown in SHOWN)]
    benchmarks = ", ".join(dict.fromkeys(row["benchmark"] for row in rows))
    return (
        "# Sweep\n\n"
        f"Every setting in the grid of every method, one seed ({seed}), judged by {share:.0%} of the training data, "
        "which the models of the sweep have not seen; the test data were not used. Means over "
        f"{benchmarks}. A setting that failed on one of them is not chosen.\n\n"
        f"{tabulate(table, titles, 'pipe', disable_numparse=True)}\n\n"
        f"![{COLUMN[ACCURACY].label} against {COLUMN[ATTACK].label} of all settings](sweep.png)\n\n"
        "White marks do not compete: settings that have collapsed or still name the class, by the table's limits.\n\n"
        "All numbers are in sweep.csv. To use a setting, write it under the method's hyperparameters, with "
        "`settings: tuned`.\n"
    )


def _described(tried: Sequence[Row], method: str, setting: str | None) -> list[str]:
    if setting is None:
        return ["none is ok", *["–"] * len(SHOWN)]
    rows = [row for row in tried if (row["method"], row["setting"]) == (method, setting)]
    means = [(_mean(rows, column.name), column.decimals) for column in SHOWN]
    return [setting, *("–" if mean is None else f"{mean:.{decimals}f}" for mean, decimals in means)]


def _mean(rows: Sequence[Mapping[str, Any]], key: str) -> float | None:
    """Return the mean, or None if a value is not known: the distance to an oracle that is not ok."""
    values = [row[key] for row in rows]
    return None if None in values else float(np.mean(values))


def choose(tried: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return for each method the setting with the best mean unlearn_score and the one with the smallest mean_abs_gap.

    ``tried`` has one row per method, setting (text) and benchmark, with status, unlearn_score and mean_abs_gap. A
    setting that is not ok on every benchmark is not chosen, and none by the gap if an oracle is not ok; where there is
    none to choose, it is None.
    """
    chosen = []
    for method, rows in _by(tried, "method"):
        settings = {setting: its for setting, its in _by(rows, "setting") if all(r["status"] == "ok" for r in its)}
        by_score, by_gap = (
            {setting: mean for setting, its in settings.items() if (mean := _mean(its, key)) is not None}
            for key in (SCORE, GAP)
        )
        chosen.append(
            {
                "method": method,
                "settings": len({row["setting"] for row in rows}),
                "by_score": max(by_score, key=by_score.__getitem__, default=None),
                "by_gap": min(by_gap, key=by_gap.__getitem__, default=None),
            }
        )
    return chosen


def _by(rows: Sequence[Mapping[str, Any]], key: str) -> list[tuple[Any, list[Mapping[str, Any]]]]:
    return [(value, [row for row in rows if row[key] == value]) for value in dict.fromkeys(row[key] for row in rows)]
