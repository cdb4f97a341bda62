"""The trade-off: what a method keeps of the retained classes, against what the attack finds of the forget class."""

from __future__ import annotations

import math

import numpy as np
import pandas
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from unlearning.figures.cells import Cells
from unlearning.figures.front import on_front
from unlearning.figures.marks import (
    RANKS,
    draw_front,
    draw_labels,
    draw_points,
    draw_strip,
    entries_of_marks,
    legend_below,
    legend_entry,
    mark_of,
    rank_of,
)
from unlearning.figures.output import ONE_COLUMN, empty_figure
from unlearning.figures.scales import DISTANCES, SHARES, STRETCHED_AT_ONE, STRETCHED_AT_ZERO, set_ticks
from unlearning.tables.cells import ORACLE

KEPT, ATTACK = "retain_acc", "forget_mia_auc_two_sided"
CHANCE = 0.5
NEAR_ONE = 0.97
"""From here on, the axis of the accuracy ends at 1."""

NEAR_ZERO = 0.002
"""Up to here, the axis of the attack's distance from chance begins at 0."""


def tradeoff(metrics: pandas.DataFrame, published: pandas.DataFrame, benchmark: str) -> Figure:
    """Return the figure for metrics.csv and the published entries of the benchmark, if it was run as published."""
    cells = Cells(metrics, benchmark)
    shown = cells.with_values(cells.names, KEPT, ATTACK)
    if not shown:
        return empty_figure(f"{benchmark}: no cell is ok")
    means = {name: (cells.mean(name, KEPT), cells.mean(name, ATTACK) - CHANCE) for name in shown}
    competing = cells.competing(KEPT, ATTACK)
    front = on_front({name: means[name] for name in competing})
    ranks = {name: rank_of(name, front, competing) for name in shown}
    figure = Figure(figsize=(ONE_COLUMN, 2.5 + 0.1 * math.ceil((len(shown) + 4) / 2)))
    axes = figure.subplots()
    points = {name: (cells.values(name, KEPT), cells.values(name, ATTACK) - CHANCE) for name in shown}
    for name, (kept, found) in points.items():
        draw_points(axes, name, kept, found, ranks[name])
    for across, values in enumerate(points.get(ORACLE, ([], []))):
        draw_strip(axes, np.asarray(values), across=bool(across))
    draw_front(axes, [means[name] for name in front])
    theirs = published[published["benchmark"] == benchmark]
    axes.plot(theirs[KEPT], (theirs["forget_mia_auc"] - CHANCE).abs(), "+", color="0.6", ms=3, mew=0.5, zorder=1)
    _scale(axes)
    axes.set(title=benchmark, xlabel=f"{KEPT} (higher is better)", ylabel="|AUC of the attack − .5| (lower is better)")
    entries = [legend_entry("Pareto front (means)", color="0.35", lw=0.7), *entries_of_marks(max(cells.seeds.values()))]
    entries += [legend_entry("published entry", marker="+", color="0.6", ls="none", ms=3, mew=0.5)] * bool(len(theirs))
    by_rank = sorted(shown, key=lambda name: (name not in cells.references, RANKS.index(ranks[name])))
    entries += [legend_entry(cells.label(name), **mark_of(name, ranks[name])) for name in by_rank]
    legend_below(figure, entries, columns=2)
    draw_labels(axes, [*front, *cells.references], means)
    return figure


def _scale(axes: Axes) -> None:
    """Stretch both axes towards the good corner."""
    axes.set_xscale("function", functions=STRETCHED_AT_ONE)
    axes.set_yscale("function", functions=STRETCHED_AT_ZERO)
    if axes.get_xlim()[1] > NEAR_ONE:
        axes.set_xlim(right=1)
    if axes.get_ylim()[0] < NEAR_ZERO:
        axes.set_ylim(bottom=0)
    set_ticks(axes.xaxis, SHARES)
    set_ticks(axes.yaxis, DISTANCES)
