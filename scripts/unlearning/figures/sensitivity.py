"""How much each method depends on its hyperparameters: the settings of a sweep, one panel per method."""

from __future__ import annotations

import math
from typing import Any

import pandas
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from unlearning.figures.marks import legend_below, legend_entry, mark_of, name_rows
from unlearning.figures.output import TWO_COLUMNS, empty_figure
from unlearning.figures.scales import DISTANCES, STRETCHED_AT_ZERO, set_ticks
from unlearning.tables.columns import COLUMN

GAP, SCORE = "mean_abs_gap", "unlearn_score"
COLUMNS = 3


def sensitivity(sweep: pandas.DataFrame, benchmark: str) -> Figure:
    """Return the figure for sweep.csv: the distance to the oracle of every setting, of methods with several."""
    tried = sweep[(sweep["benchmark"] == benchmark) & sweep["setting"].notna()]
    methods = [(name, its) for name, its in tried.groupby("method", sort=False) if len(its) > 1]
    if not methods:
        return empty_figure(f"{benchmark}: no method with more than one setting")
    if tried[GAP].isna().all():
        return empty_figure(f"{benchmark}: no setting is ok, or the oracle is not")
    lines = [methods[start : start + COLUMNS] for start in range(0, len(methods), COLUMNS)]
    heights = [max(len(its) for _, its in line) + 2.2 for line in lines]
    figure = Figure(figsize=(TWO_COLUMNS, 0.5 + 0.125 * sum(heights)))
    panels = figure.subplots(len(lines), COLUMNS, squeeze=False, sharex=True, gridspec_kw={"height_ratios": heights})
    for line, row in zip(lines, panels, strict=True):
        for axes, (name, its) in zip(row, line, strict=False):
            _draw_method(axes, name, its, max(len(each) for _, each in line))
        for axes in row[len(line) :]:
            axes.set_axis_off()
    panels[0][0].set_xscale("function", functions=STRETCHED_AT_ZERO)
    panels[0][0].set_xlim(0, 1.05 * tried[GAP].max())
    set_ticks(panels[0][0].xaxis, DISTANCES, least=0.2)
    for column in panels.T[: len(methods)]:
        (lowest,) = [axes for axes in column if axes.axison][-1:]
        lowest.tick_params(labelbottom=True)
        lowest.set_xlabel(COLUMN[GAP].heading)
    figure.suptitle(benchmark)
    grey = {"marker": "o", "ls": "none"}
    legend_below(
        figure,
        [
            legend_entry("nearest to the oracle", color="0.3", **grey),
            legend_entry("other setting", markerfacecolor="white", markeredgecolor="0.3", markeredgewidth=0.7, **grey),
            legend_entry("best score", marker="|", ls="none", ms=9, color="black", mew=0.8),
        ],
    )
    return figure


def _draw_method(axes: Axes, name: str, its: pandas.DataFrame, rows: int) -> None:
    ok = its["status"] == "ok"
    nearest, best = (its.loc[ok, column].astype(float) for column in (GAP, SCORE))
    labels = dict(enumerate(_short(its["setting"])))
    for place, (index, row) in enumerate(its.iterrows()):
        if not ok[index]:
            axes.text(
                0.02, place, row["status"], transform=axes.get_yaxis_transform(), va="center", fontsize=5, color="0.4"
            )
            continue
        is_nearest = index == nearest.idxmin()
        axes.plot(
            row[GAP],
            place,
            clip_on=False,
            **mark_of(name) | ({} if is_nearest else {"markerfacecolor": "white"}),
            zorder=3,
        )
        if index == best.idxmax():
            axes.plot(row[GAP], place, "|", color="black", ms=9, mew=0.8, zorder=2)
    name_rows(axes, labels)
    axes.set_ylim(rows - 0.3, -0.7)
    axes.tick_params(axis="y", labelsize=5)
    axes.set_title(name)


def _short(settings: pandas.Series) -> list[str]:
    """Return what differs between settings such as "beta 0.1, forget_pass "once"", without what all of them share."""
    parts = [str(setting).split(", ") for setting in settings]
    shared = set.intersection(*map(set, parts))
    return [", ".join(_rounded(part) for part in its if part not in shared).replace('"', "") for its in parts]


def _rounded(part: str) -> str:
    name, _, value = part.rpartition(" ")
    return f"{name} {_number(value)}"


def _number(value: str) -> Any:
    try:
        number = float(value)
    except ValueError:
        return value
    return value if math.isinf(number) or len(value) <= 6 else f"{number:.4g}"
