"""How every figure begins and ends: its style, its width, and its three files, with the same bytes each time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path

import matplotlib
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_pdf import FigureCanvasPdf
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from unlearning.files import whole_file

ONE_COLUMN, TWO_COLUMNS = 3.4, 7.0
"""The width of a figure in inches: one column of a paper, or both."""

WRITERS: dict[str, Callable[[Figure, Path], None]] = {
    "svg": lambda figure, path: FigureCanvasSVG(figure).print_svg(path, metadata={"Date": None}),
    "pdf": lambda figure, path: FigureCanvasPdf(figure).print_pdf(path, metadata={"CreationDate": None}),
    "png": lambda figure, path: FigureCanvasAgg(figure).print_png(path),
}
"""How each format is written, without a date, which would differ from one run to the next. `Figure.savefig` would draw
everything twice, in search of a layout that is settled here."""


def styled(style: str) -> AbstractContextManager[None]:
    """Return a context in which matplotlib has the settings of the file ``style``, and else its own defaults."""
    return matplotlib.rc_context(fname=style)


def save(figure: Figure, files: Mapping[str, str]) -> None:
    """Write a figure into ``files``, paths by format (of `WRITERS`); the same figure gives the same bytes."""
    settle(figure)
    resolution = figure.dpi
    for name, path in files.items():
        figure.dpi = resolution  # the writers of svg and pdf leave another one
        with whole_file(path) as partial:
            WRITERS[name](figure, partial)


def settle(figure: Figure) -> None:
    """Find the layout of a figure, and keep it: it need not be found again for each format."""
    if figure.get_layout_engine() is not None:
        for _ in range(2 if figure.legends else 1):  # the room for a legend is known after the first time
            figure.draw_without_rendering()
        figure.set_layout_engine("none")


def empty_figure(reason: str) -> Figure:
    """Return a figure that says why there is nothing to draw."""
    figure = Figure(figsize=(ONE_COLUMN, 0.5))
    figure.text(0.5, 0.5, reason, ha="center", va="center")
    return figure
