"""What the written tables share: how a mean is shown with its interval, how rows become a table, a table its place."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

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


def fill_marked(text: str, makers: Mapping[str, Callable[..., str]]) -> str:
    """Return ``text`` with what belongs between each <!-- KIND ARGUMENTS --> and the <!-- end --> after it.

    It is what the maker of that kind, one of ``makers``, returns for the arguments.
    """
    marked = re.compile(rf"(<!-- ({'|'.join(makers)}) ([\w -]+) -->\n).*?(?=<!-- end -->)", re.DOTALL)
    return marked.sub(lambda match: f"{match[1]}\n{makers[match[2]](*match[3].split()).rstrip()}\n\n", text)


def shown(hyperparameters: Mapping[str, Any]) -> str:
    """Return e.g. "alpha 0.5, steps 2", or "none"."""
    return ", ".join(f"{key} {json.dumps(value)}" for key, value in hyperparameters.items()) or "none"
