"""make keep: keep a table and its numbers in results/reference/, joined from runs with different seeds.

make keep ARGS="paper results"
make keep ARGS="paper results42 results43 results44"    copies of results/ of runs with SEEDS=42, 43 and 44
make keep ARGS="fashion results --attack resnet20-fashion-class0"    also what the figure of the attack is drawn from
"""

from __future__ import annotations

import argparse
import csv
import itertools
import sys
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any

from commands import run
from unlearning.config.messages import known
from unlearning.errors import UserError
from unlearning.figures.attack import as_arrays, chosen_methods, sides_by_method
from unlearning.figures.cells import Cells
from unlearning.files import read_arrays, read_json, read_table, write_arrays, write_csv, write_json, write_text
from unlearning.paths import MEASURED
from unlearning.tables.reference import ATTACK, REFERENCE, render

IDENTITY = {"metrics": ["benchmark", "method", "seed"], "costs": ["rule", "benchmark", "method", "seed"]}
"""The columns that identify a row."""

PATHS = ("data_dir", "checkpoints")
"""Settings that name folders of one machine: they change no result, and are not kept."""


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("suite", help="the name of the suite, e.g. paper")
    parser.add_argument("folders", nargs="+", type=Path, help="folders with metrics.csv, costs.csv and provenance.json")
    parser.add_argument("--to", type=Path, default=REFERENCE, help="(default: results/reference)")
    parser.add_argument(
        "--attack", metavar="BENCHMARK", help="keep the attack's scores on the figure's methods as well"
    )
    given = parser.parse_args(arguments)
    try:
        provenances = [read_json(folder / "provenance.json") for folder in given.folders]
        check_alike(given.suite, given.folders, provenances)
        joined = {name: join(name, given.folders) for name in IDENTITY}
        check_complete(joined["metrics"])
        attacked = scores_of(given.attack, given.folders, joined["metrics"]) if given.attack else None
        given.to.mkdir(parents=True, exist_ok=True)
        keep_measured(given.suite, given.folders, given.to)
        for name, rows in joined.items():
            write_csv(given.to / f"{given.suite}-{name}.csv", rows)
        write_json(given.to / f"{given.suite}-provenance.json", {"runs": [of_run(its) for its in provenances]})
        write_text(given.to / f"{given.suite}-table.md", render(given.suite, given.to))
        keep_attack(given.suite, given.to, given.attack, attacked)
    except (UserError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def keep_measured(suite: str, folders: Sequence[Path], to: Path) -> None:
    """Copy the tables that need the outputs of all models at once. They hold for one folder, and cannot be joined."""
    for name in set(MEASURED) - set(IDENTITY):
        kept, source = to / f"{suite}-{name}.csv", folders[0] / f"{name}.csv"
        if len(folders) == 1 and source.exists():
            write_text(kept, source.read_text(encoding="utf-8"))
        else:
            kept.unlink(missing_ok=True)


def scores_of(benchmark: str, folders: Sequence[Path], metrics: Sequence[Mapping[str, str]]) -> list[Path]:
    """Return the files scores.npz of a ``benchmark``. Raises UserError if the table lacks it, or a folder its files."""
    known(benchmark, dict.fromkeys(row["benchmark"] for row in metrics), "--attack")
    found = {folder: sorted(folder.glob(f"{benchmark}/seed*/*/scores.npz")) for folder in folders}
    for folder, files in found.items():
        if not files:
            raise UserError(
                f"{folder} has no {benchmark}/seed*/*/scores.npz: it holds tables alone; keep without --attack"
            )
    return [file for files in found.values() for file in files]


def keep_attack(suite: str, to: Path, benchmark: str | None, scores: Sequence[Path] | None) -> None:
    """Keep the attack's log odds for the methods that its figure shows. Without ``scores``, nothing of it is kept."""
    kept = to / ATTACK.format(suite=suite)
    kept.unlink(missing_ok=True)
    if benchmark and scores:
        names = chosen_methods(Cells(read_table(to / f"{suite}-metrics.csv"), benchmark))
        cells = ((file.parent.name, read_arrays(file)) for file in scores)
        write_arrays(kept, as_arrays(sides_by_method(names, cells)))


def join(name: str, folders: Sequence[Path]) -> list[dict[str, str]]:
    """Return the rows of all folders' metrics.csv or costs.csv, as text.

    The rows of metrics.csv have the order of one run: benchmarks and methods as in the first folder, seeds ascending.
    Raises UserError if two folders have the same row, or different columns.
    """
    tables = [read_rows(folder / f"{name}.csv") for folder in folders]
    for folder, table in zip(folders, tables, strict=True):
        if list(table[0]) != list(tables[0][0]):
            raise UserError(f"{folder}/{name}.csv has other columns than {folders[0]}/{name}.csv: not of one version")
    rows = [row for table in tables for row in table]
    seen = Counter(tuple(row[column] for column in IDENTITY[name]) for row in rows)
    for key, count in seen.items():
        if count > 1:
            raise UserError(f"{name}.csv: {', '.join(filter(None, key))} is in more than one of the folders")
    if name == "metrics":
        benchmarks, methods = (list(dict.fromkeys(row[column] for row in rows)) for column in ("benchmark", "method"))
        rows.sort(key=lambda row: (benchmarks.index(row["benchmark"]), methods.index(row["method"]), int(row["seed"])))
    return rows


def read_rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    if not rows:
        raise UserError(f"{path}: it has no rows")
    return rows


def check_complete(rows: Sequence[Mapping[str, str]]) -> None:
    """Raise UserError if a method lacks a seed on a benchmark: means over different seeds cannot be compared."""
    there = {tuple(row[column] for column in IDENTITY["metrics"]) for row in rows}
    for cell in itertools.product(*(dict.fromkeys(row[column] for row in rows) for column in IDENTITY["metrics"])):
        if cell not in there:
            raise UserError(f"no folder has {', '.join(cell)}; let its run go on to the end, or leave its seed out")


def check_alike(suite: str, folders: Sequence[Path], provenances: Sequence[Mapping[str, Any]]) -> None:
    """Raise UserError if a run is of another suite, or if two configurations differ in more than seeds or data_dir."""
    first = settings_of(provenances[0])
    for folder, provenance in zip(folders, provenances, strict=True):
        if (its := provenance["config"]["suite"]) != suite:
            raise UserError(f"{folder} is of the suite {its}, not of {suite}")
        settings = settings_of(provenance)
        for key in first.keys() | settings.keys():
            if settings.get(key) != first.get(key):
                raise UserError(
                    f"{folder}: {key} of its configuration is not that of {folders[0]}: they cannot be joined"
                )


def settings_of(provenance: Mapping[str, Any]) -> dict[Hashable, Any]:
    return {key: value for key, value in provenance["config"].items() if key not in ("suites", *PATHS)}


def of_run(provenance: Mapping[str, Any]) -> dict[str, Any]:
    """Return the provenance of a run without the facts that belong to the machine."""
    config = {key: value for key, value in provenance["config"].items() if key not in PATHS}
    return {**provenance, "config": config}


if __name__ == "__main__":
    run(main, sys.argv[1:])
