"""The plot in results/sweep.md: what every setting keeps, against what the attack finds, one panel per benchmark."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
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
    is_compared = _compared(ok)
    for name in shown:
        for rank, compared in ((ASIDE, False), (BEST, True)):
            points = [_point(row) for row in ok if row["method"] == name and is_compared(row) == compared]
            if points:
                axes.plot(*zip(*points, strict=True), **mark_of(name, rank))
    competing = [row for row in ok if row["kind"] not in ("reference", "control") and is_compared(row)]
    draw_front(axes, pareto_front([_point(row) for row in competing]))


def _compared(ok: Sequence[Row]) -> Callable[[Row], bool]:
    """Return a function that says whether a setting is compared, by the references among the rows of a benchmark."""
    references = {row["method"]: row for row in ok if row["kind"] == "reference"}

    def is_compared(row: Row) -> bool:
        def mean(name: str, metric: str) -> float:
            value = (row if name == row["method"] else references.get(name, {})).get(metric)
            return math.nan if value is None else float(value)

        return may_be_best(mean, row["method"])

    return is_compared


def _point(row: Row) -> Point:
    return row[ACCURACY], row[ATTACK]
