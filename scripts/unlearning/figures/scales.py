"""Axes that are stretched near zero by a square root, where good methods are close together; zero itself is on them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axis import Axis
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

DISTANCES = (0, 0.1, 0.5, 1, 0.05, 0.2, 0.3, 0.4, 0.02, 0.01, 0.7, 0.15, 0.25, 0.35, 0.6, 0.8, 0.9)
SHARES = (1, 0.9, 0.8, 0.5, 0, 0.95, 0.98, 0.7, 0.6, 0.4, 0.2, 0.99, 0.3, 0.1, 0.85, 0.75, 0.65, 0.55)
"""Where ticks may stand, the most wanted first: one that is too near to another before it is left out."""

LEAST_BETWEEN_TICKS = 0.08
"""As a share of an axis that is as wide as a column."""


def root(x: np.ndarray) -> np.ndarray:
    """Return the square root, and 0 below 0."""
    return np.sqrt(np.clip(x, 0, None))


def root_from_one(x: np.ndarray) -> np.ndarray:
    """Return a scale from 0 to 1 that is stretched near 1."""
    return 1 - root(1 - x)


STRETCHED_AT_ZERO = (root, np.square)
STRETCHED_AT_ONE = (root_from_one, lambda x: 1 - np.square(1 - x))
"""Functions for a scale of matplotlib, and their inverse."""


def set_ticks(axis: Axis, wanted: Sequence[float], least: float = LEAST_BETWEEN_TICKS) -> None:
    """Put ticks where there is room, at least the share ``least`` apart. Limits and scale of the axis must be final."""
    axis.set_major_locator(FixedLocator(_with_room(axis, wanted, least)))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda value, _place: f"{value:g}"))


def _with_room(axis: Axis, wanted: Sequence[float], least: float) -> list[float]:
    low, high = axis.get_view_interval()
    stretch = axis.get_transform().transform
    start, length = stretch(low), stretch(high) - stretch(low)
    kept: dict[float, float] = {}
    for tick in wanted:
        place = float(stretch(tick) - start) / length
        if low <= tick <= high and all(abs(place - other) > least for other in kept.values()):
            kept[tick] = place
    return sorted(kept)
