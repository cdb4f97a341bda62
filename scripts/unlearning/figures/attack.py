"""Members against non-members: the scores of the attack on the forget class, and its ROC curve."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

import numpy as np
import pandas
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from unlearning.evaluation.metrics import true_positive_rate
from unlearning.figures.cells import Cells
from unlearning.figures.looks import REFERENCE_LOOKS, look_of
from unlearning.figures.output import TWO_COLUMNS, empty_figure
from unlearning.tables.cells import ORIGINAL

SCORE = "unlearn_score"
MOST_METHODS = 4
BINS = 200
LARGEST_ODDS = 30.0
"""Log odds beyond this are not told apart: a softmax probability is then 1 for every purpose."""

SIDES = ("members", "non_members")
Sides = tuple[np.ndarray, np.ndarray]
"""The log odds of members and of non-members, of one seed."""
SidesBy = dict[str, list[Sides]]
"""The sides of every seed, by method."""


def chosen_methods(cells: Cells) -> list[str]:
    """Return the rows to draw: the references, and the methods with the best mean score, the best first."""
    by_score = sorted(cells.competing(SCORE), key=lambda name: -cells.mean(name, SCORE))
    return [*cells.references, *by_score[:MOST_METHODS]]


def log_odds(logits: np.ndarray) -> np.ndarray:
    """Return ln p / (1 − p), (N,), of the largest softmax probability p; logits (N, classes).

    The attack's score is p. The log odds order the images in the same way, and do not crowd at 1.
    """
    ordered = np.sort(logits.astype(np.float64), axis=1)
    others = ordered[:, :-1] - ordered[:, -2:-1]
    odds = ordered[:, -1] - ordered[:, -2] - np.log(np.exp(others).sum(axis=1))
    return np.clip(odds, -LARGEST_ODDS, LARGEST_ODDS)


def sides_by_method(names: Sequence[str], cells: Iterable[tuple[str, Mapping[str, np.ndarray]]]) -> SidesBy:
    """Return the sides of the methods with these ``names`` from ``cells``: methods with contents of scores.npz.

    The file of a failed cell is empty, and gives nothing.
    """
    found: SidesBy = {name: [] for name in names}
    for method, scores in cells:
        if method in found and scores:
            found[method].append((log_odds(scores["member_logits"]), log_odds(scores["non_member_logits"])))
    return found


def as_arrays(sides: Mapping[str, Sequence[Sides]]) -> dict[str, np.ndarray]:
    """Return ``sides`` as the arrays of one .npz file; `from_arrays` is the way back."""
    return {
        f"{method},{number},{side}": values.astype(np.float32)
        for method, seeds in sides.items()
        for number, both in enumerate(seeds)
        for side, values in zip(SIDES, both, strict=True)
    }


def from_arrays(arrays: Mapping[str, np.ndarray]) -> SidesBy:
    """Return the sides that `as_arrays` made into ``arrays``."""
    sides: SidesBy = {}
    for method, number in dict.fromkeys(tuple(key.split(",")[:2]) for key in arrays):
        members, others = (arrays[f"{method},{number},{side}"] for side in SIDES)
        sides.setdefault(method, []).append((members, others))
    return sides


def attack(metrics: pandas.DataFrame, sides: Mapping[str, Sequence[Sides]], benchmark: str) -> Figure:
    """Return the figure for metrics.csv and the two sides, by seed, of the `chosen_methods`."""
    shown = [name for name in chosen_methods(Cells(metrics, benchmark)) if sides.get(name)]
    if not shown:
        return empty_figure(f"{benchmark}: no cell is ok")
    figure = Figure(figsize=(TWO_COLUMNS, 2.6))
    left, right = cast(Sequence[SubFigure], figure.subfigures(1, 2, width_ratios=(1.6, 1)))
    _draw_densities(left, {name: sides[name] for name in shown}, benchmark)
    _draw_roc(right.subplots(), {name: sides[name] for name in shown})
    return figure


def _draw_densities(figure: SubFigure, sides: Mapping[str, Sequence[Sides]], benchmark: str) -> None:
    everything = np.concatenate([values for seeds in sides.values() for both in seeds for values in both])
    low, high = np.quantile(everything, [0.002, 0.998])
    low, high = low - 0.05 * (high - low), high + 0.05 * (high - low)
    panels = figure.subplots(2, (len(sides) + 1) // 2, sharex=True, squeeze=False).flatten()
    for panel, (name, seeds) in zip(panels, sides.items(), strict=False):
        colour = look_of(name).colour
        members, others = (np.concatenate(side) for side in zip(*seeds, strict=True))
        panel.fill_between(*density(members, low, high), color=colour, alpha=0.4, lw=0, label="members")
        panel.plot(*density(others, low, high), color="black", lw=0.7, label="non-members")
        panel.set_title(name)
        panel.set(yticks=[], ylim=(0, None), xlim=(low, high))
        panel.spines["left"].set_visible(False)
    for panel in panels[len(sides) :]:
        panel.set_axis_off()
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend([Patch(color="0.75"), handles[1]], labels, loc="outside upper right", ncols=2)
    figure.suptitle(benchmark, x=0.01, ha="left")
    figure.supxlabel("score of the attack: log odds of the largest probability", fontsize=6.5)
    figure.supylabel("density", fontsize=6.5)


def density(values: np.ndarray, low: float, high: float) -> tuple[np.ndarray, np.ndarray]:
    """Return places and the density there, smoothed by a Gaussian of Silverman's width."""
    width = max(1.06 * float(values.std()) * len(values) ** -0.2, (high - low) / BINS, 1e-9)
    edges = np.linspace(low - 3 * width, high + 3 * width, BINS + 1)
    places, step = (edges[:-1] + edges[1:]) / 2, edges[1] - edges[0]
    counts, _ = np.histogram(values, edges)
    reach = (np.arange(BINS - 1) - BINS // 2 + 1) * step  # odd in number, so that the middle is 0
    kernel = np.exp(-0.5 * (reach / width) ** 2)
    return places, np.convolve(counts, kernel / kernel.sum(), mode="same") / (len(values) * step)


def roc(members: np.ndarray, non_members: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return false and true positive rates, from one false alarm on, as `metrics.true_positive_rate` counts them."""
    rates = np.arange(1, len(non_members) + 1) / len(non_members)
    found = [true_positive_rate(members, non_members, rate) for rate in rates[:-1]]
    return rates, np.array([*found, 1.0])


def _draw_roc(axes: Axes, sides: Mapping[str, Sequence[Sides]]) -> None:
    rates = {name: [roc(*both) for both in seeds] for name, seeds in sides.items()}
    for name, curves in rates.items():
        mean = np.mean([found for _, found in curves], axis=0)
        look = look_of(name)
        line: dict[str, Any] = {"lw": 0.9, "marker": look.marker, "markevery": 0.2, "ms": 2.8}
        if name in REFERENCE_LOOKS:
            line = {"lw": 1.3, "ls": (0, (4, 1.5)) if name == ORIGINAL else "-"}
        axes.step(curves[0][0], mean, where="post", color=look.colour, label=name, **line)
    least = min(1 / len(others) for seeds in sides.values() for _, others in seeds)
    least_found = min(1 / len(members) for seeds in sides.values() for members, _ in seeds)
    axes.plot([least, 1], [least, 1], color="0.6", lw=0.6, ls=(0, (1, 1.5)), label="chance")
    axes.set(xscale="log", yscale="log", xlim=(least, 1), ylim=(min(least, least_found), 1.05))
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(LogLocator())
        axis.set_major_formatter(FuncFormatter(lambda value, _place: f"{value:g}"))
        axis.set_minor_formatter(NullFormatter())
    axes.set(xlabel="false positive rate", ylabel="true positive rate (mean over seeds)")
    axes.legend(loc="lower right")
