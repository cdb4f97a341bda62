"""unlearn_score of every method, with its seeds and its spread, beside the oracle."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from unlearning.figures.cells import Cells
from unlearning.figures.front import Point
from unlearning.figures.marks import (
    ASIDE,
    BEST,
    draw_row,
    draw_strip,
    entries_of_marks,
    legend_below,
    legend_entry,
    name_rows,
)
from unlearning.figures.output import ONE_COLUMN, empty_figure
from unlearning.tables.cells import ORACLE
from unlearning.tables.columns import COLUMN

SCORE = "unlearn_score"
INCHES_OF_ROW = 0.135


def scores(metrics: pandas.DataFrame, summary: pandas.DataFrame, published: pandas.DataFrame, benchmark: str) -> Figure:
    """Return the figure; ``published`` has the published entries of the benchmarks that were run as published."""
    cells = Cells(metrics, benchmark)
    if not cells.with_values(cells.names, SCORE):
        return empty_figure(f"{benchmark}: no cell is ok")
    places = rows_by_mean(cells, SCORE)
    figure = Figure(figsize=(ONE_COLUMN, 0.85 + INCHES_OF_ROW * (max(places.values()) + 1)))
    axes = figure.subplots()
    theirs = published[published["benchmark"] == benchmark]
    competing, ends = cells.competing(SCORE), ends_of(summary, benchmark, SCORE)
    low, high = limits(cells, SCORE, competing, theirs[SCORE].nlargest(1).to_numpy())
    draw_strip(axes, cells.values(ORACLE, SCORE), across=False)
    for name, place in places.items():
        rank = BEST if name in competing else ASIDE
        mean = cells.mean(name, SCORE)
        draw_row(axes, place, name, cells.values(name, SCORE), ends.get(name), rank, float(np.clip(mean, low, high)))
        _note_beyond(axes, place, mean, low, high)
    axes.set_xlim(low, high)
    name_rows(axes, {place: cells.label(name) for name, place in places.items()})
    axes.set(title=benchmark, xlabel=COLUMN[SCORE].in_words)
    entries = entries_of_marks(max(cells.seeds.values()))
    legend_below(figure, entries + _draw_published(axes, theirs, places, (low, high)))
    return figure


def rows_by_mean(
    cells: Cells, metric: str, names: Sequence[str] | None = None, is_ascending: bool = False
) -> dict[str, float]:
    """Return the place of each row: references and controls in the table's order, a gap, then the best mean first.

    ``names`` are all rows if not given. Models of other programs stand with the controls. A method without a value
    comes last.
    """
    names = cells.names if names is None else names
    sign = 1 if is_ascending else -1
    ranked = [name for name in cells.ranked if name in names]
    ranked.sort(key=lambda name: np.nan_to_num(sign * cells.mean(name, metric), nan=np.inf))
    aside = [name for name in names if name not in ranked]
    gap = 0.5 if aside else 0
    places: dict[str, float] = {name: place for place, name in enumerate(aside)}
    return places | {name: len(aside) + gap + place for place, name in enumerate(ranked)}


def limits(cells: Cells, metric: str, names: Sequence[str], further: np.ndarray | None = None) -> Point:
    """Return the ends of an axis for all seeds of ``names`` and of the oracle, and for ``further`` values.

    What lies beyond them is drawn at the end: a method that has not forgotten would press all others together. Without
    any value, such as a distance to an oracle that has failed, the ends are 0 and 1.
    """
    shown = names or cells.with_values(cells.names, metric)
    values = np.concatenate(
        [*(cells.values(name, metric) for name in [*shown, ORACLE]), [] if further is None else further]
    )
    if not len(values):
        return 0.0, 1.0
    room = 0.06 * (values.max() - values.min()) or 0.01
    return float(values.min() - room), float(values.max() + room)


def ends_of(summary: pandas.DataFrame, benchmark: str, metric: str) -> dict[str, Point]:
    """Return the ends of what the table shows behind each mean: the range of few seeds, the 95 % interval of more."""
    rows = summary[(summary["benchmark"] == benchmark) & (summary["metric"] == metric)].dropna(subset=["low", "high"])
    return {row.method: (row.low, row.high) for row in rows.itertuples()}


def _note_beyond(axes: Axes, place: float, mean: float, low: float, high: float) -> None:
    """Write the value of a mean that lies beyond the axis next to its mark, which stands on the end."""
    if low <= mean <= high or np.isnan(mean):
        return
    end, points, side = (low, 5, "left") if mean < low else (high, -5, "right")
    box = {"boxstyle": "square,pad=0.1", "facecolor": "white", "linewidth": 0}
    style: dict[str, Any] = {"va": "center", "ha": side, "fontsize": 5, "bbox": box, "zorder": 2.7}
    axes.annotate(f"{mean:.2f}", (end, place), (points, 0), textcoords="offset points", **style)


def _draw_published(axes: Axes, theirs: pandas.DataFrame, places: dict[str, float], ends: Point) -> list:
    """Draw the best published score as a line, and each published baseline in the row of our method of this name.

    What lies beyond the ``ends`` of the axis is drawn there.
    """
    if theirs.empty:
        return []
    best = theirs.loc[theirs[SCORE].idxmax()]
    axes.axvline(best[SCORE], color="0.3", lw=0.7, ls=(0, (4, 2)), zorder=1)
    same = theirs[(theirs["type"] == "baseline") & theirs["entry"].isin(places)]
    beyond = same[SCORE].clip(*ends)
    axes.plot(beyond, same["entry"].map(places), "|", color="0.3", ms=5, mew=0.8, zorder=4, clip_on=False)
    return [
        legend_entry(f"best published: {best[SCORE]:.3f}", color="0.3", lw=0.7, ls=(0, (4, 2))),
        legend_entry("as published", marker="|", color="0.3", ls="none", ms=5, mew=0.8),
    ]
