"""Accuracies epoch by epoch: the training of the references, and the unlearning where it was looked at."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import pandas
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from unlearning.figures.cells import Cells
from unlearning.figures.looks import REFERENCE_LOOKS, look_of
from unlearning.figures.marks import LARGEST, legend_below, legend_entry
from unlearning.figures.output import TWO_COLUMNS, empty_figure
from unlearning.files import read_table
from unlearning.runner.outcomes import LOOKED_AT
from unlearning.tables.cells import ORIGINAL
from unlearning.tables.columns import COLUMN

MARKS = 0.25
"""The distance between two markers on a curve, as a share of the panel."""

Histories = Mapping[str, Sequence[pandas.DataFrame]]
"""By row of the table: the contents of history.csv, one per seed."""


def read_history(path: str) -> pandas.DataFrame:
    """Read a history.csv, which is empty if the cell failed before its first epoch ended."""
    try:
        return read_table(path)
    except pandas.errors.EmptyDataError:
        return pandas.DataFrame()


def curves(metrics: pandas.DataFrame, histories: Histories, benchmark: str) -> Figure:
    """Return the figure for metrics.csv and all histories of a benchmark.

    The training has its test accuracy in every n-th epoch, and its loss in all. A method's losses are of its own making
    and not comparable: only the accuracies are drawn that the protocol's unlearn.evaluate_every asks for.
    """
    cells = Cells(metrics, benchmark)
    trained = {name: histories[name] for name in cells.names if name in REFERENCE_LOOKS and histories.get(name)}
    looked = {
        name: mean
        for name in cells.names
        if name not in REFERENCE_LOOKS and len(mean := _mean(histories.get(name, []), LOOKED_AT))
    }
    if not trained and not looked:
        return empty_figure(f"{benchmark}: no history of a training is there")
    panels_needed = 2 + (2 if looked else 0)
    rows = math.ceil(len(looked) / 4)
    figure = Figure(figsize=(TWO_COLUMNS * panels_needed / 4, 1.9 + 0.1 * rows))
    panels = figure.subplots(1, panels_needed, squeeze=False)[0]
    for panel, column in zip(panels, ("train_loss", "test_accuracy"), strict=False):
        _draw_training(panel, trained, column)
    for panel, column in zip(panels[2:], LOOKED_AT, strict=False):
        _draw_unlearning(panel, looked, column)
    figure.suptitle(benchmark)
    entries = [
        legend_entry("training of original, a line per seed", color="black", lw=0.7, ls=(0, (4, 1.5))),
        legend_entry("of retrain (oracle)", color="black", lw=0.7),
    ]
    legend_below(
        figure,
        entries + [legend_entry(cells.label(name), **_line(name)) for name in looked],
        columns=4 if looked else 2,
    )
    return figure


def _draw_training(axes: Axes, trained: Histories, column: str) -> None:
    for name, seeds in trained.items():
        for history in seeds:
            known = history.dropna(subset=[column]) if column in history else history.iloc[:0]
            dashes = (0, (4, 1.5)) if name == ORIGINAL else "-"
            if len(known):
                axes.plot(known["epoch"] + 1, known[column], color="black", lw=0.7, ls=dashes)
    axes.set(title=f"training: {column.replace('_', ' ')}", xlabel="epoch")


def _draw_unlearning(axes: Axes, looked: Mapping[str, pandas.DataFrame], column: str) -> None:
    for name, mean in looked.items():
        axes.plot(mean.index + 1, mean[column], markevery=MARKS, **_line(name))
    axes.set(title=f"unlearning: {COLUMN[column].heading}", xlabel="epoch", ylim=(-0.03, 1.03))


def _mean(seeds: Sequence[pandas.DataFrame], columns: Sequence[str]) -> pandas.DataFrame:
    """Return the mean of ``columns`` over the seeds by epoch; no rows where they were not looked at.

    It ends where the first seed ends, one that failed: behind that, the mean would be of other seeds.
    """
    looked = [history for history in seeds if {"epoch", *columns} <= set(history)]
    if not looked:
        return pandas.DataFrame()
    of_epoch = pandas.concat(looked).groupby("epoch")[list(columns)]
    return of_epoch.mean()[of_epoch.size() == len(looked)].dropna()


def _line(name: str) -> dict:
    look = look_of(name)
    return {"color": look.colour, "marker": look.marker, "ms": 0.7 * LARGEST.get(look.marker, 4.5), "lw": 0.8}
