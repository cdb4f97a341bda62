"""Shared by all written tables: a mean with its interval, rows as a table, and a table in its place on a page."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tabulate import tabulate

WIDTH = 118
"""Characters of a line of text in a table's file."""


def mean_with_interval(mean: float, half: float | None, decimals: int, is_best: bool = False, sign: str = "") -> str:
    """Return e.g. "0.123 ± 0.045" for the mean and half of its interval, or the mean alone if ``half`` is not known.

    The mean is bold if it is the best. ``sign`` is "+" for differences: they then always have a sign.
    """
    shown = f"{mean:{sign}.{decimals}f}"
    if is_best:
        shown = f"**{shown}**"
    if half is not None and not math.isnan(half):
        shown += f" ± {half:.{decimals}f}"
    return shown


def mean_with_range(mean: float, low: float | None, high: float | None, decimals: int, is_best: bool = False) -> str:
    """Return e.g. "0.123 (.101–.142)", or the mean alone if its spread is not known.

    The mean is bold if it is the best. The ends of the spread lack the leading zero of a share, to take little room.
    """
    shown = mean_with_interval(mean, None, decimals, is_best)
    if low is None or high is None or math.isnan(low) or math.isnan(high):
        return shown
    ends = (f"{end:.{decimals}f}".removeprefix("0" if decimals else "") for end in (low, high))
    return f"{shown} ({'–'.join(ends)})"


def markdown_table(rows: Sequence[Sequence[str]], titles: Sequence[str], texts: int = 1) -> str:
    """Return the table in Markdown, the first ``texts`` columns aligned as text, the others as numbers."""
    alignment = ["left"] * texts + ["right"] * (len(titles) - texts)
    return tabulate(rows, titles, "pipe", colalign=alignment, disable_numparse=True)


def fill_marked(text: str, makers: Mapping[str, Callable[..., str]]) -> str:
    """Return ``text`` with new content between each mark <!-- KIND ARGUMENTS --> and the next mark <!-- end -->.

    ``makers`` has a function for each kind: it gets the arguments and returns the content.
    """
    marked = re.compile(rf"(<!-- ({'|'.join(makers)}) ([\w ,-]*)-->\n).*?(?=<!-- end -->)", re.DOTALL)
    return marked.sub(lambda match: f"{match[1]}\n{makers[match[2]](*match[3].split()).rstrip()}\n\n", text)


def shown(hyperparameters: Mapping[str, Any]) -> str:
    """Return e.g. "alpha 0.5, steps 2", or "none"."""
    return ", ".join(f"{key} {json.dumps(value)}" for key, value in hyperparameters.items()) or "none"
