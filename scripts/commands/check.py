"""make check: say what is wrong in the last table, and exit with status 1 (make: 2) if anything is.

It finds cells that failed or diverged, benchmarks with nothing to forget, comparisons across several devices, and jobs
of the last run that did not end well: then the table is of an earlier run.
"""

import argparse
import csv
import sys
from pathlib import Path

from commands import audit, run
from unlearning.paths import TABLES
from unlearning.workflow.progress import failures
from unlearning.workflow.watch import cell_in_words

METRICS, SUMMARY, COSTS = (Path(TABLES[name]) for name in ("metrics", "summary", "costs"))


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="make check", description=__doc__)
    parser.add_argument("--audit", action="store_true", help="run make audit as well")
    given = parser.parse_args(arguments)
    broken = failures()
    for why in broken:
        print(f"not made in the last run: {why}", file=sys.stderr)
    missing = [path for path in (METRICS, SUMMARY, COSTS) if not path.exists()]
    if missing:
        print(f"error: {missing[0]} is not there; make it with: make table", file=sys.stderr)
        return 1
    with METRICS.open(newline="") as file:
        cells = list(csv.DictReader(file))
    failed = [cell for cell in cells if cell["status"] != "ok"]
    for cell in failed:
        print(f"{cell_in_words(cell)}: {cell['status']}: {cell['reason']}", file=sys.stderr)
    warnings = warnings_of_benchmarks()
    for warning in warnings:
        print(warning, file=sys.stderr)
    of_table = " of the last whole table" if broken else ""
    print(f"{len(cells) - len(failed)} of {len(cells)} cells{of_table} are ok")
    audited = audit.main() if given.audit else 0
    return 1 if failed or warnings or audited or broken else 0


def warnings_of_benchmarks() -> list[str]:
    """Return the warnings about each benchmark as a whole."""
    from unlearning.files import read_table
    from unlearning.tables.warnings import warnings_of

    metrics, costs = (read_table(path) for path in (METRICS, COSTS))
    return [
        f"{benchmark}: {warning.replace('*', '')}"
        for benchmark, cells in metrics.groupby("benchmark", sort=False)
        for warning in warnings_of(cells, costs)
    ]


if __name__ == "__main__":
    run(main, sys.argv[1:])
