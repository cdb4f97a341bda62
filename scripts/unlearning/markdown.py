"""What the written tables share: how a mean with its interval is shown, and how rows become a table."""

from __future__ import annotations

import math
from collections.abc import Sequence

from tabulate import tabulate

DECIMALS = 3


def mean_with_interval(
    mean: float, half: float | None, is_best: bool = False, decimals: int = DECIMALS, sign: str = ""
) -> str:
    """Return e.g. "0.123 ± 0.045", the mean in bold if it is the best; alone where half the interval is not known.

    ``sign`` is that of a format: "+" for differences.
    """
    shown = f"{mean:{sign}.{decimals}f}"
    if is_best:
        shown = f"**{shown}**"
    if half is not None and not math.isnan(half):
        shown += f" ± {half:.{decimals}f}"
    return shown


def markdown_table(rows: Sequence[Sequence[str]], titles: Sequence[str], texts: int = 1) -> str:
    """Return the table in Markdown, its first ``texts`` columns aligned as text, the rest as numbers."""
    alignment = ["left"] * texts + ["right"] * (len(titles) - texts)
    return tabulate(rows, titles, "pipe", colalign=alignment, disable_numparse=True)
