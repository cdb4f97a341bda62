"""Whether two metrics put the methods into the same order, as a heat map."""

from __future__ import annotations

import math

import numpy as np
import pandas
from matplotlib.figure import Figure

from unlearning.figures.marks import write_values
from unlearning.figures.output import ONE_COLUMN, TWO_COLUMNS, empty_figure
from unlearning.tables.columns import COLUMN

FITS_ONE_COLUMN = 10
COLOURS = "RdBu"  # red: the reverse order, blue: the same; other colours than red and green


def agreement(agreed: pandas.DataFrame, benchmark: str) -> Figure:
    """Return the figure for agreement.csv: Kendall's tau between each two metrics that a table shows."""
    its = agreed[agreed["benchmark"] == benchmark]
    there = {*its["metric"], *its["other"]}
    metrics = [name for name, column in COLUMN.items() if column.block and name in there]
    if not metrics:
        return empty_figure(f"{benchmark}: too few methods to compare two orders")
    matrix = matrix_of(its, metrics)
    width = ONE_COLUMN if len(metrics) <= FITS_ONE_COLUMN else TWO_COLUMNS * 0.75
    figure = Figure(figsize=(width, width * 0.88))
    axes = figure.subplots()
    image = axes.imshow(matrix, cmap=COLOURS, vmin=-1, vmax=1)
    write_values(axes, matrix, _shown, dark=0.65)
    labels = [COLUMN[name].heading for name in metrics]
    axes.set_xticks(range(len(metrics)), labels, rotation=60, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(metrics)), labels)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.set_title(benchmark)
    label = f"Kendall's τ, {int(its['methods'].max())} methods and controls"
    figure.colorbar(image, ax=axes, shrink=0.6, pad=0.02, label=label)
    return figure


def matrix_of(its: pandas.DataFrame, metrics: list[str]) -> np.ndarray:
    """Return tau between each two of ``metrics`` for the rows of one benchmark; NaN where it is unknown."""
    taus = {(row.metric, row.other): row.tau for row in its.itertuples()}
    taus |= {(other, metric): tau for (metric, other), tau in taus.items()}
    return np.array([[1.0 if a == b else taus.get((a, b), math.nan) for b in metrics] for a in metrics])


def _shown(tau: float) -> str:
    return "" if math.isnan(tau) or tau == 1 else f"{round(tau, 1) + 0.0:.1f}".replace("0.", ".").replace("-", "−")
