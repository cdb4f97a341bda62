"""make verify: render the tables in results/reference/ again from their numbers, and fail if one differs."""

import sys
from pathlib import Path

from unlearning.config.model import as_published
from unlearning.files import read_json, read_table
from unlearning.tables.columns import render_dictionary
from unlearning.tables.comparison import render_table
from unlearning.tables.numbers import Numbers, numbers_from
from unlearning.watched_code import SCRIPTS
from unlearning.workflow.paths import PUBLISHED

REFERENCE = SCRIPTS.parent / "results" / "reference"


def main(folder: Path = REFERENCE) -> int:
    tables = sorted(folder.glob("*-table.md"))
    rendered = {path: render(path.name.removesuffix("-table.md"), folder) for path in tables}
    rendered[folder / "metrics.md"] = render_dictionary()
    status = 0
    for path, wanted in rendered.items():
        found = path.read_text(encoding="utf-8")
        if found != wanted:
            print(f"{path}: {first_difference(found, wanted)}", file=sys.stderr)
            status = 1
    print(f"{len(rendered)} files compared")
    return status


def numbers_of(suite: str, folder: Path = REFERENCE) -> Numbers:
    """Return the kept metrics.csv and costs.csv of ``suite``, and the means and differences that follow from them."""
    return numbers_from(*(read_table(folder / f"{suite}-{name}.csv") for name in ("metrics", "costs")))


def render(suite: str, folder: Path) -> str:
    """Return the table made from the numbers of ``suite`` in ``folder``.

    Only benchmarks that ran as published, according to the suite's provenance, are compared with published values.
    """
    published, provenance = read_table(PUBLISHED), folder / f"{suite}-provenance.json"
    comparable = as_published(read_json(provenance)["runs"][0]["config"]) if provenance.exists() else []
    return render_table(numbers_of(suite, folder), suite, published[published["benchmark"].isin(comparable)])


def first_difference(found: str, wanted: str) -> str:
    pairs = enumerate(zip([*found.splitlines(), "(end)"], [*wanted.splitlines(), "(end)"], strict=False), start=1)
    number, (line, other) = next((number, pair) for number, pair in pairs if pair[0] != pair[1])
    return f"line {number} is {line!r}; its numbers give {other!r}"


if __name__ == "__main__":
    sys.exit(main())
