"""results/sweep.md and its plot: the settings of every method on the validation part, and the chosen ones."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from tabulate import tabulate

from unlearning.files import whole_file
from unlearning.tables.columns import COLUMN
from unlearning.tables.markdown import shown

Row = dict[str, Any]

SCORE, GAP, ACCURACY, ATTACK = "unlearn_score", "mean_abs_gap", "retain_acc", "forget_mia_auc_two_sided"
KEPT = ("status", "reason", ACCURACY, "forget_acc", ATTACK, SCORE, GAP)
"""The columns of metrics.csv that sweep.csv has as well."""

SHOWN = [COLUMN[name] for name in (ACCURACY, ATTACK, SCORE, GAP)]
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
        "All numbers are in sweep.csv. To use a setting, write it under the method's hyperparameters, with "
        "`settings: tuned`.\n"
    )


def _described(tried: Sequence[Row], method: str, setting: str | None) -> list[str]:
    if setting is None:
        return ["none is ok", *["–"] * len(SHOWN)]
    rows = [row for row in tried if (row["method"], row["setting"]) == (method, setting)]
    means = [(np.mean([row[column.name] for row in rows]), column.decimals) for column in SHOWN]
    return [setting, *(f"{mean:.{decimals}f}" for mean, decimals in means)]


def choose(tried: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return for each method the setting with the best mean unlearn_score and the one with the smallest mean_abs_gap.

    ``tried`` has one row per method, setting (text) and benchmark, with status, unlearn_score and mean_abs_gap. A
    setting that is not ok on every benchmark is not chosen; a method of which no setting is ok has None for both.
    """
    chosen = []
    for method, rows in _by(tried, "method"):
        settings = {setting: its for setting, its in _by(rows, "setting") if all(r["status"] == "ok" for r in its)}
        means = {
            setting: {key: float(np.mean([row[key] for row in its])) for key in (SCORE, GAP)}
            for setting, its in settings.items()
        }
        chosen.append(
            {
                "method": method,
                "settings": len({row["setting"] for row in rows}),
                "by_score": max(means, key=lambda s: means[s][SCORE], default=None),
                "by_gap": min(means, key=lambda s: means[s][GAP], default=None),
            }
        )
    return chosen


def _by(rows: Sequence[Mapping[str, Any]], key: str) -> list[tuple[Any, list[Mapping[str, Any]]]]:
    return [(value, [row for row in rows if row[key] == value]) for value in dict.fromkeys(row[key] for row in rows)]


def pareto_front(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return the points (retain_acc, two-sided AUC) on the front, ascending.

    A point is on the front if no other is better in one value and at least equal in the other.
    """
    front: list[tuple[float, float]] = []
    for retain, auc in sorted(set(points), key=lambda point: (-point[0], point[1])):
        if not front or auc < front[-1][1]:
            front.append((retain, auc))
    return front[::-1]


def draw_sweep(rows: Sequence[Row], path: str | os.PathLike) -> None:
    """Draw retain_acc against two-sided AUC, one panel per benchmark, with the front that no setting surpasses."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    benchmarks = list(dict.fromkeys(row["benchmark"] for row in rows))
    methods = list(dict.fromkeys(row["method"] for row in rows if row["setting"]))
    colours = [pyplot.colormaps["tab20"](index % 20) for index in range(len(methods))]
    figure, panels = pyplot.subplots(1, len(benchmarks), figsize=(5 * len(benchmarks) + 2, 5), squeeze=False)
    for panel, benchmark in zip(panels[0], benchmarks, strict=True):
        ok = [row for row in rows if row["benchmark"] == benchmark and row["status"] == "ok"]
        for index, (method, colour) in enumerate(zip(methods, colours, strict=True)):
            points = [_point(row) for row in ok if row["method"] == method]
            panel.scatter(*_axes(points), color=colour, marker="os^Dv"[index // 4 % 5], label=method)
        competing = [_point(row) for row in ok if row["kind"] not in ("reference", "control")]
        panel.plot(*_axes(pareto_front(competing)), color="0.7", zorder=0)
        for reference, marker in (("original", "x"), ("retrain", "+")):
            points = [_point(row) for row in ok if row["method"] == reference]
            panel.scatter(*_axes(points), color="black", marker=marker, s=90, label=reference)
        panel.set(title=benchmark, xlabel=COLUMN[ACCURACY].in_words, ylabel=COLUMN[ATTACK].in_words)
    handles, labels = panels[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="center right", frameon=False, fontsize="small")
    figure.tight_layout(rect=(0, 0, 1 - 2 / figure.get_figwidth(), 1))
    with whole_file(path) as partial:
        figure.savefig(partial, format="png", dpi=120)
    pyplot.close(figure)


def _point(row: Row) -> tuple[float, float]:
    return row[ACCURACY], row[ATTACK]


def _axes(points: Sequence[tuple[float, float]]) -> tuple[list[float], list[float]]:
    return [x for x, _ in points], [y for _, y in points]
