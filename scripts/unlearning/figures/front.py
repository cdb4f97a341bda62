"""Which points no other point surpasses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

Point = tuple[float, float]


def pareto_front(points: Sequence[Point]) -> list[Point]:
    """Return the points on the front, ascending; a larger first value is better, and a smaller second one.

    A point is on the front if no other is better in one value and at least equal in the other.
    """
    front: list[Point] = []
    for first, second in sorted(set(points), key=lambda point: (-point[0], point[1])):
        if not front or second < front[-1][1]:
            front.append((first, second))
    return front[::-1]


def on_front(points: Mapping[str, Point]) -> list[str]:
    """Return the names of the points on the front, in its order; equal points are all on it."""
    front = pareto_front(list(points.values()))
    return sorted((name for name, point in points.items() if point in front), key=lambda name: points[name])
