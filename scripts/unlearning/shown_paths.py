"""The paths of figures and pages. In a file of their own, because every training watches `unlearning.paths`."""

from __future__ import annotations

import re

from unlearning.paths import RESULTS
from unlearning.watched_code import SCRIPTS

FIGURE_FORMATS = ("svg", "pdf", "png")
FIGURE = f"{RESULTS}/figures/{{figure}}-{{benchmark}}.{{format}}"
FIGURE_FILE = re.compile(rf"{RESULTS}/figures/(?P<figure>[a-z]+)-(?P<benchmark>.+)\.(?:{'|'.join(FIGURE_FORMATS)})")

STYLE = SCRIPTS / "unlearning" / "figures" / "style.mplstyle"
"""The style of all figures: no Python, and therefore an input of theirs."""


REPORT = SCRIPTS.parent / "workflow" / "report"
"""The introduction and the captions of the report, and what its pages are made of."""

PAGE = [REPORT / f"page{suffix}" for suffix in (".html", ".css", ".js")]
"""The frame, the style and the program of a page."""


def figure_files(figure: str) -> dict[str, str]:
    """Return the files of a figure by format, with the wildcard ``benchmark``."""
    return {each: FIGURE.format(figure=figure, benchmark="{benchmark}", format=each) for each in FIGURE_FORMATS}
