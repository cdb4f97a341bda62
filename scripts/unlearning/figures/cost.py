"""What a method costs, against its score and its distance to the oracle."""

from __future__ import annotations

import math

import numpy as np
import pandas
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter

from unlearning.figures.cells import Cells
from unlearning.figures.front import on_front
from unlearning.figures.looks import BAND
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
from unlearning.figures.scores import limits
from unlearning.tables.cells import ORACLE
from unlearning.tables.columns import COLUMN

SCORE, GAP = "unlearn_score", "mean_abs_gap"


def cost(metrics: pandas.DataFrame, costs: pandas.DataFrame, floor: pandas.DataFrame, benchmark: str) -> Figure:
    """Return the figure for metrics.csv, costs.csv and floor.csv: the score above, the distance to the oracle below."""
    cells = Cells(metrics, benchmark)
    seconds = seconds_of(costs, benchmark)
    shown = [name for name in cells.with_values(cells.names, SCORE) if seconds.get(name, 0) > 0 and name != ORACLE]
    if not shown:
        return empty_figure(f"{benchmark}: no cell is ok")
    figure = Figure(figsize=(ONE_COLUMN, 3.6 + 0.1 * math.ceil((len(shown) + 5) / 2)))
    panels = figure.subplots(2, sharex=True, gridspec_kw={"hspace": 0.06})
    fronts = [
        _draw_panel(panel, cells, metric, seconds, shown) for panel, metric in zip(panels, (SCORE, GAP), strict=True)
    ]
    draw_strip(panels[0], cells.values(ORACLE, SCORE), across=True)
    _draw_floor(panels[1], floor[(floor["benchmark"] == benchmark) & (floor["metric"] == GAP)])
    for panel in panels:
        panel.set_xscale("log")
        panel.xaxis.set_major_formatter(FuncFormatter(lambda value, _place: f"{value:g}"))
        panel.xaxis.set_minor_formatter(NullFormatter())
        if ORACLE in seconds:
            panel.axvline(seconds[ORACLE], color="black", lw=0.6, ls=(0, (1, 1.5)), zorder=1)
    panels[0].set_title(benchmark)
    panels[1].set_xlabel("seconds of the unlearning, mean over the seeds ↓")
    on_any, competing = {name for front in fronts for name in front}, cells.competing(SCORE)
    ranks = {name: rank_of(name, on_any, competing) for name in shown}
    by_rank = sorted(shown, key=lambda name: RANKS.index(ranks[name]))
    entries = [
        legend_entry("Pareto front (means)", color="0.35", lw=0.7),
        legend_entry("training the oracle takes so long", color="black", lw=0.6, ls=(0, (1, 1.5))),
        *entries_of_marks(max(cells.seeds.values())),
        *(legend_entry(cells.label(name), **mark_of(name, ranks[name])) for name in by_rank),
    ]
    legend_below(figure, entries, columns=2)
    for panel, metric, front in zip(panels, (SCORE, GAP), fronts, strict=True):
        means = {name: (seconds[name], cells.mean(name, metric)) for name in cells.with_values(shown, metric)}
        draw_labels(panel, front, means)
    return figure


def seconds_of(costs: pandas.DataFrame, benchmark: str) -> dict[str, float]:
    """Return the mean seconds of the training or unlearning of each row, from costs.csv."""
    rows = costs[(costs["benchmark"] == benchmark) & costs["rule"].isin(["retrain", "unlearn"])]
    names = rows["method"].fillna(ORACLE)  # the job that trains the oracle names no method
    return rows["training_seconds"].groupby(names).mean().dropna().to_dict()


def _draw_panel(axes: Axes, cells: Cells, metric: str, seconds: dict[str, float], shown: list[str]) -> list[str]:
    """Draw a metric against the seconds, and return the methods on the front."""
    sign = -1 if COLUMN[metric].better == "↑" else 1
    known = cells.with_values(shown, metric)
    means = {name: (seconds[name], cells.mean(name, metric)) for name in known}
    competing = [name for name in cells.competing(metric) if name in means]
    front = on_front({name: (-means[name][0], sign * means[name][1]) for name in competing})
    low, high = limits(cells, metric, competing)
    for name in known:
        values = cells.values(name, metric)
        on_edge = (seconds[name], float(np.clip(means[name][1], low, high)))
        at = np.full(len(values), seconds[name])
        draw_points(axes, name, at, values, rank_of(name, front, competing), on_edge)
    draw_front(axes, sorted(means[name] for name in front), to_the_right=False)
    axes.set_ylabel(COLUMN[metric].heading)
    axes.set_ylim(low, high)
    return front


def _draw_floor(axes: Axes, floor: pandas.DataFrame) -> None:
    for row in floor.itertuples():
        axes.axhspan(0, row.furthest, color=BAND, lw=0, zorder=0.5)
        axes.axhline(row.mean, color="0.6", lw=0.5, zorder=0.6)
