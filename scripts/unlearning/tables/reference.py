"""results/reference/: the numbers that are kept in git, and the tables that follow from them."""

from __future__ import annotations

from pathlib import Path

from unlearning.config.model import as_published
from unlearning.files import read_json, read_table
from unlearning.paths import MEASURED, PUBLISHED
from unlearning.tables.comparison import render_table
from unlearning.tables.numbers import Numbers, numbers_from
from unlearning.watched_code import SCRIPTS

REFERENCE = SCRIPTS.parent / "results" / "reference"
ATTACK = "{suite}-attack.npz"
"""What the figure of the attack on a benchmark of the suite is drawn from, where it is kept."""


def numbers_of(suite: str, folder: Path = REFERENCE) -> Numbers:
    """Return the kept tables of ``suite``, and the means and differences that follow from them.

    metrics.csv and costs.csv are always kept; what follows from these is made where the others are not kept.
    """
    files = [folder / f"{suite}-{name}.csv" for name in MEASURED]
    return numbers_from(*(read_table(file) if file.exists() else None for file in files))


def render(suite: str, folder: Path) -> str:
    """Return the table made from the numbers of ``suite`` in ``folder``.

    Only benchmarks that ran as published, according to the suite's provenance, are compared with published values.
    """
    published, provenance = read_table(PUBLISHED), folder / f"{suite}-provenance.json"
    runs = read_json(provenance)["runs"] if provenance.exists() else []
    comparable = [name for run in runs for name in as_published(run["config"])]
    return render_table(numbers_of(suite, folder), suite, published[published["benchmark"].isin(comparable)])
