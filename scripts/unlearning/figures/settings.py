"""The plot in results/sweep.md: what every setting keeps, against what the attack finds, one panel per benchmark."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from unlearning.figures.front import Point, pareto_front
from unlearning.figures.marks import ASIDE, BEST, draw_front, legend_below, legend_entry, mark_of
from unlearning.figures.output import ONE_COLUMN
from unlearning.tables.cells import ORACLE, ORIGINAL
from unlearning.tables.columns import COLUMN
from unlearning.tables.limits import may_be_best
from unlearning.tables.sweep import ACCURACY, ATTACK

Row = Mapping[str, Any]


def settings(rows: Sequence[Row]) -> Figure:
    """Return the plot for the rows of sweep.csv, with the front that no setting of a method surpasses.

    Settings that have collapsed or still name the class are white and not on the front, by the table's limits.
    """
    benchmarks = list(dict.fromkeys(row["benchmark"] for row in rows))
    methods = list(dict.fromkeys(row["method"] for row in rows if row["setting"]))
    shown = [*methods, ORIGINAL, ORACLE]
    columns = 2 * len(benchmarks)
    figure = Figure(figsize=(ONE_COLUMN * len(benchmarks), 2.7 + 0.1 * math.ceil(len(shown) / columns)))
    panels = figure.subplots(1, len(benchmarks), squeeze=False)[0]
    for panel, benchmark in zip(panels, benchmarks, strict=True):
        _draw_panel(panel, [row for row in rows if row["benchmark"] == benchmark and row["status"] == "ok"], shown)
        panel.set(title=benchmark, xlabel=COLUMN[ACCURACY].in_words, ylabel=COLUMN[ATTACK].in_words)
    legend_below(figure, [legend_entry(name, **mark_of(name)) for name in shown], columns)
    return figure


def _draw_panel(axes: Axes, ok: Sequence[Row], shown: Sequence[str]) -> None:
    references = {row["method"]: row for row in ok if row["kind"] == "reference"}
    aside, compared = ([row for row in ok if _is_compared(row, references) == wanted] for wanted in (False, True))
    for name in shown:
        for rank, rows in ((ASIDE, aside), (BEST, compared)):
            points = [_point(row) for row in rows if row["method"] == name]
            if points:
                axes.plot(*zip(*points, strict=True), **mark_of(name, rank))
    competing = [row for row in compared if row["kind"] not in ("reference", "control")]
    draw_front(axes, pareto_front([_point(row) for row in competing]))


def _is_compared(row: Row, references: Mapping[str, Row]) -> bool:
    """Return whether a setting is compared, beside the original model and the oracle of its benchmark."""
    rows = {**references, row["method"]: row}

    def mean(name: str, metric: str) -> float:
        value = rows.get(name, {}).get(metric)
        return math.nan if value is None else float(value)

    return may_be_best(mean, row["method"])


def _point(row: Row) -> Point:
    return row[ACCURACY], row[ATTACK]
