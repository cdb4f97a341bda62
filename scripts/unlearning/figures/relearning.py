"""How many epochs of fine-tuning bring the forget class back, beside the models that bound it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from unlearning.figures.cells import Cells
from unlearning.figures.looks import look_of
from unlearning.figures.marks import (
    ASIDE,
    BEST,
    draw_row,
    draw_strip,
    entries_of_marks,
    legend_below,
    legend_entry,
    mark_of,
    name_rows,
)
from unlearning.figures.output import TWO_COLUMNS, empty_figure
from unlearning.figures.scores import INCHES_OF_ROW, ends_of, rows_by_mean
from unlearning.tables.cells import ORACLE, ORIGINAL

TITLES = {
    "relearn_epochs_reset": "the class's row of the head reset first",
    "relearn_epochs_as_is": "from the model as it is",
}
FRESH = "relearn_epochs_random"
DASHES: dict[str, Any] = {"color": "0.3", "lw": 0.7, "ls": (0, (4, 2))}


INCHES_OF_CURVES = 1.5

Curves = dict[str, dict[str, list[Sequence[float]]]]
"""By column of metrics.csv and row of the table: the forget class's accuracy after 0, 1, ... epochs, one per seed."""


def curves_of(cells: Iterable[Mapping[str, Any]]) -> Curves:
    """Return the curves in the contents of relearning.json. A cell that was not relearned has none."""
    found: Curves = {}
    for cell in cells:
        for column, curve in cell.get("curves", {}).items():
            found.setdefault(column, {}).setdefault(cell["method"], []).append(curve)
    return found


def relearning(metrics: pandas.DataFrame, summary: pandas.DataFrame, curves: Curves, benchmark: str) -> Figure:
    """Return the figure for metrics.csv, summary.csv and `curves_of` a benchmark: a column for each of the two starts.

    Above the epochs of each method, below the way there, where it is known.
    """
    cells = Cells(metrics, benchmark)
    asked = [metric for metric in TITLES if cells.with_values(cells.names, metric)]
    if not asked:
        return empty_figure(f"{benchmark}: no relearning was asked for (--config relearning=true)")
    places = rows_by_mean(cells, asked[0], cells.with_values(cells.names, asked[0]))
    heights = [INCHES_OF_ROW * (max(places.values()) + 1), *([INCHES_OF_CURVES] if curves else [])]
    figure = Figure(figsize=(TWO_COLUMNS, 0.95 + sum(heights)))
    panels, *below = figure.subplots(
        len(heights), len(asked), sharey="row", sharex=True, squeeze=False, height_ratios=heights
    )
    for panel, metric in zip(panels, asked, strict=True):
        ends = ends_of(summary, benchmark, metric)
        competing = cells.competing(metric)
        draw_strip(panel, cells.values(ORACLE, metric), across=False)
        for name, place in places.items():
            draw_row(
                panel, place, name, cells.values(name, metric), ends.get(name), BEST if name in competing else ASIDE
            )
        if cells.with_values([ORIGINAL], FRESH):
            panel.axvline(cells.mean(ORIGINAL, FRESH), zorder=1, **DASHES)
        name_rows(panel, {place: cells.label(name) for name, place in places.items()})
        panel.set(title=TITLES[metric], xlabel="epochs until the class is back")
    for panel, metric in zip(below[0] if below else [], asked, strict=bool(below)):
        ranks = {name: BEST if name in cells.competing(metric) else ASIDE for name in places}
        _draw_curves(panel, curves.get(metric, {}), ranks, curves.get(FRESH, {}).get(ORIGINAL, []))
    if below:
        below[0][0].set_ylabel("forget_acc")
    panels[0].set_xlim(left=-0.02 * panels[0].get_xlim()[1])
    figure.suptitle(benchmark)
    entries = entries_of_marks(max(cells.seeds.values()))
    fresh = [legend_entry("a model with random weights", **DASHES)] if cells.with_values([ORIGINAL], FRESH) else []
    if entries or fresh:
        legend_below(figure, entries + fresh)
    return figure


def _draw_curves(
    axes: Axes,
    curves: Mapping[str, Sequence[Sequence[float]]],
    ranks: Mapping[str, str],
    fresh: Sequence[Sequence[float]],
) -> None:
    """Draw the mean over seeds of each row's curves, with its mark where the last seed has ended."""
    for name, rank in ranks.items():
        if curves.get(name):
            mean = _mean(curves[name])
            axes.plot(mean, color=look_of(name).colour, lw=0.8, zorder=2)
            axes.plot(len(mean) - 1, mean[-1], zorder=3, clip_on=False, **mark_of(name, rank))
    if fresh:
        axes.plot(_mean(fresh), zorder=1, **DASHES)
    axes.set(xlabel="epochs of fine-tuning", ylim=(-0.03, 1.03))


def _mean(seeds: Sequence[Sequence[float]]) -> np.ndarray:
    """Return the mean over seeds by epoch. A seed that has ended counts with its last value."""
    return pandas.concat([pandas.Series(curve) for curve in seeds], axis=1).ffill().mean(axis=1).to_numpy()
