"""What several figures draw: the marks of a method, the front, the oracle's strip, labels and the legend."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Literal, cast

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Annotation
from matplotlib.transforms import Bbox

from unlearning.figures.front import Point
from unlearning.figures.looks import BAND, GREY, REFERENCE_LOOKS, look_of
from unlearning.figures.output import settle

RANKS = BEST, SURPASSED, ASIDE = "best", "surpassed", "aside"
"""The ranks of a method in a figure: on the front, behind it, or not competing (references, controls, collapsed)."""

LARGEST = {"*": 7.0, "X": 5.0, "p": 5.0, "P": 5.0, "h": 5.0, "D": 3.9, "s": 4.1}
"""Sizes at which the markers look equally large; others have the size in the style."""

OFFSETS = [
    (4, 4),
    (4, -8),
    (-4, 4),
    (-4, -8),
    (0, 9),
    (0, -13),
    (7, 12),
    (7, -16),
    (-7, 12),
    (-7, -16),
    (0, 17),
    (0, -21),
]
"""Where a label may stand, in points from its mark, the first first."""


def rank_of(name: str, front: Collection[str], competing: Collection[str]) -> str:
    """Return the rank of a method in a figure with this front."""
    return BEST if name in front else SURPASSED if name in competing else ASIDE


def mark_of(name: str, rank: str = BEST) -> dict[str, Any]:
    """Return the settings of a large mark: in the method's colour, grey if it is surpassed, white if it is aside."""
    look = look_of(name)
    face = {BEST: look.colour, SURPASSED: GREY, ASIDE: "white"}[rank]
    if name in REFERENCE_LOOKS:
        face = look.colour
    is_black = name in REFERENCE_LOOKS
    settings: dict[str, Any] = {"marker": look.marker, "linestyle": "none", "markerfacecolor": face}
    settings |= {"markeredgecolor": "white" if is_black else look.colour, "markeredgewidth": 0.3 if is_black else 0.7}
    return settings | ({"markersize": LARGEST[look.marker]} if look.marker in LARGEST else {})


def draw_points(
    axes: Axes, name: str, xs: np.ndarray, ys: np.ndarray, rank: str = BEST, mean: Point | None = None
) -> None:
    """Draw the seeds as small dots, and their mean, or ``mean`` if it is given, as a large mark."""
    colour = GREY if rank == SURPASSED else look_of(name).colour
    x, y = mean or (float(np.mean(xs)), float(np.mean(ys)))
    above = {ASIDE: 2.0, SURPASSED: 3.0, BEST: 4.0}[rank]
    if len(xs) > 1:
        axes.plot(xs, ys, ".", color=colour, markersize=2.4, alpha=0.7, markeredgewidth=0, zorder=above - 1)
    axes.plot(x, y, zorder=above + (3 if name in REFERENCE_LOOKS else 0), clip_on=False, **mark_of(name, rank))


def draw_front(axes: Axes, points: Sequence[Point], to_the_right: bool = True) -> None:
    """Draw the front as steps: a point surpasses all that is worse in both values. ``points`` ascend in the first."""
    if points:
        axes.step(*zip(*points, strict=True), where="pre" if to_the_right else "post", color="0.35", lw=0.7, zorder=1.5)


def draw_strip(axes: Axes, values: np.ndarray, across: bool) -> None:
    """Draw the range of the oracle's values as a grey strip: across the axes (a range of y), or upright (of x)."""
    if len(values):
        span, line = (axes.axhspan, axes.axhline) if across else (axes.axvspan, axes.axvline)
        span(float(values.min()), float(values.max()), color=BAND, lw=0, zorder=0.5)
        line(float(values.mean()), color="0.6", lw=0.5, zorder=0.6)


def draw_labels(axes: Axes, names: Sequence[str], points: Mapping[str, Point]) -> None:
    """Write each name next to its point; leave out what has no room, which the legend has.

    A name covers no other name, and no other mark is nearer to it than its own, so that it covers none. This settles
    the figure's layout, in which the places are measured: draw everything else first.
    """
    settle(cast(Figure, axes.get_figure(root=True)))
    places = {name: axes.transData.transform(point) for name, point in points.items()}
    taken: list[Bbox] = []
    for name in names:
        label = axes.annotate(name, points[name], (0, 0), textcoords="offset points", fontsize=5.5, zorder=9)
        for offset in OFFSETS:
            box = _placed(label, offset)
            is_free = not any(box.overlaps(other) for other in taken) and _is_within(box, axes.bbox)
            if is_free and min(places, key=lambda each: _distance(box, places[each])) == name:
                taken.append(box)
                break
        else:
            label.remove()


def _distance(box: Bbox, place: np.ndarray) -> float:
    """Return how far a place is from a box, 0 inside it."""
    x, y = place
    return math.hypot(max(box.x0 - x, 0, x - box.x1), max(box.y0 - y, 0, y - box.y1))


def _placed(label: Annotation, offset: tuple[int, int]) -> Bbox:
    label.set_position(offset)
    sides: dict[int, Literal["left", "right", "center"]] = {1: "left", -1: "right", 0: "center"}
    label.set_horizontalalignment(sides[int(np.sign(offset[0]))])
    return label.get_window_extent()


def _is_within(box: Bbox, outer: Bbox) -> bool:
    return bool(outer.x0 <= box.x0 and box.x1 <= outer.x1 and outer.y0 <= box.y0 and box.y1 <= outer.y1)


def entries_of_marks(seeds: int) -> list[Line2D]:
    """Return the entries of a legend for what stands for no method: the dots of seeds, and the oracle's strip."""
    dot = legend_entry("one seed", marker=".", color="0.4", ls="none", ms=2.5, mew=0)
    strip = legend_entry("oracle: mean and range of seeds", marker="s", color=BAND, ls="none", ms=5)
    return [dot, strip] if seeds > 1 else []


def legend_entry(label: str, **settings: Any) -> Line2D:
    """Return an entry of a legend."""
    return Line2D([], [], label=label, **settings)


def legend_below(figure: Figure, handles: Sequence[Line2D], columns: int = 3) -> None:
    """Put a legend under the axes, for which the layout makes room."""
    figure.legend(handles=list(handles), loc="outside lower center", ncols=columns)


def write_values(axes: Axes, matrix: np.ndarray, shown: Callable[[float], str], dark: float) -> None:
    """Write each value of a heat map into its cell, as ``shown`` says; white where its size is above ``dark``."""
    for (row, column), value in np.ndenumerate(matrix):
        colour = "white" if abs(value) > dark else "black"
        axes.text(column, row, shown(value), ha="center", va="center", fontsize=4.8, color=colour)


def draw_row(
    axes: Axes,
    place: float,
    name: str,
    values: np.ndarray,
    ends: Point | None,
    rank: str = BEST,
    mean: float | None = None,
) -> None:
    """Draw one row of a figure with a row per method: the seeds as dots, ``ends`` as a line, the mean as a mark.

    The mark stands at ``mean`` if it is given.
    """
    colour = look_of(name).colour
    if ends is not None:
        axes.plot(ends, (place, place), color=colour, lw=1.1, alpha=0.55, solid_capstyle="butt", zorder=2)
    if len(values) > 1:
        axes.plot(values, np.full(len(values), place), ".", color=colour, ms=2.4, mew=0, alpha=0.8, zorder=2.5)
    if len(values):
        at = float(values.mean()) if mean is None else mean
        axes.plot(at, place, zorder=3, clip_on=False, **mark_of(name, rank))


def name_rows(axes: Axes, labels: Mapping[float, str] | Mapping[int, str]) -> None:
    """Name the rows of a figure at their places, the first at the top, and draw a hairline through each."""
    axes.set_yticks(list(labels), list(labels.values()))
    axes.set_ylim(max(labels) + 0.7, min(labels) - 0.7)
    axes.grid(axis="y")
    axes.tick_params(axis="y", length=0, pad=5)
    axes.spines["left"].set_visible(False)
