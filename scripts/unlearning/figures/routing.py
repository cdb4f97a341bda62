"""Where the images of the forget class go: the classes that each model names for them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas
from matplotlib.figure import Figure

from unlearning.figures.cells import Cells
from unlearning.figures.marks import write_values
from unlearning.figures.output import ONE_COLUMN, TWO_COLUMNS, empty_figure
from unlearning.figures.scores import rows_by_mean
from unlearning.tables.cells import ORACLE

DISTANCE = "routing_tv"
MOST_NAMED = 20
"""With more classes than this, not every class is named under the figure."""


def routing(metrics: pandas.DataFrame, compared: Iterable[Mapping[str, Any]], benchmark: str) -> Figure:
    """Return the figure for metrics.csv and the contents of all compare.json of the benchmark."""
    cells = Cells(metrics, benchmark)
    shares: dict[str, list[list[float]]] = {}
    for cell in compared:
        if cell["routing"] is not None:
            shares.setdefault(cell["method"], []).append(cell["routing"])
    places = rows_by_mean(cells, DISTANCE, is_ascending=True)
    rows = [name for name in sorted(places, key=lambda name: (name != ORACLE, places[name])) if name in shares]
    if not rows:
        return empty_figure(f"{benchmark}: no cell is ok")
    matrix = np.array([np.mean(shares[name], axis=0) for name in rows])
    classes = matrix.shape[1]
    figure = Figure(figsize=(ONE_COLUMN if classes <= MOST_NAMED else TWO_COLUMNS, 0.9 + 0.135 * len(rows)))
    axes = figure.subplots()
    image = axes.imshow(matrix, vmin=0, vmax=1, aspect="auto", interpolation="nearest")
    if classes <= MOST_NAMED:
        write_values(axes, matrix, _share, dark=0.6)
    axes.set_yticks(range(len(rows)), [cells.label(name) for name in rows])
    axes.set_xticks(range(0, classes, 1 if classes <= MOST_NAMED else 10))
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.hlines(np.arange(len(rows) - 1) + 0.5, -0.5, classes - 0.5, color="white", lw=0.6)
    axes.set(title=benchmark, xlabel=f"class named for test images of class {benchmark.rsplit('-class', 1)[1]}")
    right = axes.secondary_yaxis("right")
    right.set_yticks(range(len(rows)), [_distance(cells.mean(name, DISTANCE)) for name in rows])
    right.tick_params(length=0)
    right.spines[:].set_visible(False)
    right.set_ylabel("distance to the oracle (routing ↓)")
    figure.colorbar(image, ax=axes, location="bottom", shrink=0.6, aspect=30, pad=0.02, label="share of the images")
    return figure


def _share(value: float) -> str:
    shown = f"{value:.2f}"
    return {"0.00": "", "1.00": "1"}.get(shown, shown.removeprefix("0"))


def _distance(value: float) -> str:
    return "" if np.isnan(value) else f"{value:.2f}"
