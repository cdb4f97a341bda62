"""How many epochs of fine-tuning bring the forget class back, beside the models that bound it."""

from __future__ import annotations

from typing import Any

import pandas
from matplotlib.figure import Figure

from unlearning.figures.cells import Cells
from unlearning.figures.marks import (
    ASIDE,
    BEST,
    draw_row,
    draw_strip,
    entries_of_marks,
    legend_below,
    legend_entry,
    name_rows,
)
from unlearning.figures.output import ONE_COLUMN, TWO_COLUMNS, empty_figure
from unlearning.figures.scores import INCHES_OF_ROW, ends_of, rows_by_mean
from unlearning.tables.cells import ORACLE, ORIGINAL

TITLES = {
    "relearn_epochs_reset": "the class's row of the head reset first",
    "relearn_epochs_as_is": "from the model as it is",
}
FRESH = "relearn_epochs_random"
DASHES: dict[str, Any] = {"color": "0.3", "lw": 0.7, "ls": (0, (4, 2))}


def relearning(metrics: pandas.DataFrame, summary: pandas.DataFrame, benchmark: str) -> Figure:
    """Return the figure for metrics.csv and summary.csv, one panel for each of the two starts."""
    cells = Cells(metrics, benchmark)
    asked = [metric for metric in TITLES if cells.with_values(cells.names, metric)]
    if not asked:
        return empty_figure(f"{benchmark}: no relearning was asked for (--config relearning=true)")
    places = rows_by_mean(cells, asked[0], cells.with_values(cells.names, asked[0]))
    figure = Figure(
        figsize=(TWO_COLUMNS if len(asked) > 1 else ONE_COLUMN, 0.95 + INCHES_OF_ROW * (max(places.values()) + 1))
    )
    panels = figure.subplots(1, len(asked), sharey=True, sharex=True, squeeze=False)[0]
    for panel, metric in zip(panels, asked, strict=True):
        ends = ends_of(summary, benchmark, metric)
        competing = cells.competing(metric)
        draw_strip(panel, cells.values(ORACLE, metric), across=False)
        for name, place in places.items():
            draw_row(
                panel, place, name, cells.values(name, metric), ends.get(name), BEST if name in competing else ASIDE
            )
        if cells.with_values([ORIGINAL], FRESH):
            panel.axvline(cells.mean(ORIGINAL, FRESH), zorder=1, **DASHES)
        name_rows(panel, {place: cells.label(name) for name, place in places.items()})
        panel.set(title=TITLES[metric], xlabel="epochs until the class is back")
    panels[0].set_xlim(left=-0.02 * panels[0].get_xlim()[1])
    figure.suptitle(benchmark)
    entries = entries_of_marks(max(cells.seeds.values()))
    fresh = [legend_entry("a model with random weights", **DASHES)] if cells.with_values([ORIGINAL], FRESH) else []
    if entries or fresh:
        legend_below(figure, entries + fresh)
    return figure
