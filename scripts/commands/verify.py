"""make verify: render the tables in results/reference/ again from their numbers, and fail if one differs."""

import sys
from pathlib import Path

from commands import run
from unlearning.tables.columns import render_dictionary
from unlearning.tables.reference import REFERENCE, render


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


def first_difference(found: str, wanted: str) -> str:
    pairs = enumerate(zip([*found.splitlines(), "(end)"], [*wanted.splitlines(), "(end)"], strict=False), start=1)
    number, (line, other) = next((number, pair) for number, pair in pairs if pair[0] != pair[1])
    return f"line {number} is {line!r}; its numbers give {other!r}"


if __name__ == "__main__":
    run(main)
