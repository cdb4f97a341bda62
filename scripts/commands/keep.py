"""make keep: keep a table and its numbers in results/reference/, joined from runs with other seeds or other methods.

make keep ARGS="paper results"
make keep ARGS="paper results42 results43 results44"    copies of results/ of runs with SEEDS=42, 43 and 44
make keep ARGS="paper results --add"                    the rows of a run beside those that are kept already
make keep ARGS="fashion results --attack resnet20-fashion-class0"    also what the figure of the attack is drawn from
"""

from __future__ import annotations

import argparse
import csv
import itertools
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from commands import run, tells_mistakes
from unlearning.config.messages import known
from unlearning.config.model import REFERENCES, Benchmark
from unlearning.errors import UserError
from unlearning.figures.attack import as_arrays, chosen_methods, sides_by_method
from unlearning.figures.cells import Cells
from unlearning.files import read_arrays, read_json, read_table, write_arrays, write_csv, write_json, write_text
from unlearning.tables.provenance import OF_THE_MACHINE
from unlearning.tables.reference import ATTACK, REFERENCE, render

IDENTITY = {
    "metrics": ["benchmark", "method", "seed"],
    "costs": ["rule", "benchmark", "method", "seed"],
    "image_errors": ["benchmark", "method", "metric"],
    "floor": ["benchmark", "metric"],
}
"""The columns that identify a row."""

OF_ALL_SEEDS = ("image_errors", "floor")
"""The tables whose rows are over all seeds: they cannot be joined from parts with different seeds."""

OF_DOWNLOAD = ("mirror", "largest_gb")
"""Settings of a data set that do not change its images."""

ALIKE = 0.0005
"""How far the shared rows of two runs may be apart: the rounding of another processor, not another model."""


@dataclass(frozen=True)
class Part:
    """A part of a table: the tables in the folder of a run, or those of a suite that are kept already."""

    folder: Path
    prefix: str = ""

    def file(self, name: str) -> Path:
        return self.folder / f"{self.prefix}{name}"

    def rows(self, name: str) -> list[dict[str, str]]:
        with self.file(f"{name}.csv").open(encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))

    def columns(self, name: str) -> list[str]:
        with self.file(f"{name}.csv").open(encoding="utf-8", newline="") as file:
            return next(csv.reader(file), [])

    def runs(self) -> list[dict[str, Any]]:
        """Return the provenance of each run behind the part."""
        content = read_json(self.file("provenance.json"))
        return content["runs"] if self.prefix else [content]

    def seeds(self) -> set[str]:
        return {row["seed"] for row in self.rows("metrics")}


@tells_mistakes
def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("suite", help="the name of the suite, e.g. paper")
    parser.add_argument("folders", nargs="+", type=Path, help="folders with metrics.csv, costs.csv and provenance.json")
    parser.add_argument("--to", type=Path, default=REFERENCE, help="(default: results/reference)")
    parser.add_argument("--add", action="store_true", help="add to the rows of the suite that are kept already")
    parser.add_argument(
        "--attack", metavar="BENCHMARK", help="keep the attack's scores on the figure's methods as well"
    )
    given = parser.parse_args(arguments)
    if given.add and given.attack:
        parser.error("--attack cannot be combined with --add: the scores of the rows kept before are not there")
    parts = [Part(folder) for folder in given.folders]
    if given.add:
        parts.insert(0, kept_part(given.suite, given.to))
    runs = [(part, run_) for part in parts for run_ in part.runs()]
    check_alike(given.suite, runs)
    metrics = join("metrics", parts)
    check_complete(metrics)
    attacked = scores_of(given.attack, given.folders, metrics) if given.attack else None
    tables: dict[str, list[dict[str, str]] | None] = {"metrics": metrics, "costs": join("costs", parts)}
    tables |= {name: join_of_all_seeds(name, parts) for name in OF_ALL_SEEDS}
    given.to.mkdir(parents=True, exist_ok=True)
    columns = {name: parts[0].columns(name) for name, rows in tables.items() if rows is not None}
    for name, rows in tables.items():
        kept = given.to / f"{given.suite}-{name}.csv"
        if rows is None:
            kept.unlink(missing_ok=True)  # those of another table would be wrong beside these numbers
            print(f"{kept.name} is not kept: it is over all seeds, and the runs have different seeds, or one lacks it")
        else:
            write_csv(kept, rows, columns[name])
    write_json(given.to / f"{given.suite}-provenance.json", {"runs": [of_run(run_) for _, run_ in runs]})
    write_text(given.to / f"{given.suite}-table.md", render(given.suite, given.to))
    keep_attack(given.suite, given.to, given.attack, attacked)
    return 0


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


def kept_part(suite: str, folder: Path) -> Part:
    """Return what is kept of ``suite``. Raises UserError if nothing is."""
    part = Part(folder, f"{suite}-")
    if not part.file("metrics.csv").exists():
        raise UserError(f"{folder} holds no rows of {suite}: keep the first ones without --add")
    if not part.file("provenance.json").exists():
        raise UserError(
            f"{part.file('provenance.json')} is missing, so nothing says from which settings the kept rows come; "
            "nothing can be added to them"
        )
    return part


def join(name: str, parts: Sequence[Part]) -> list[dict[str, str]]:
    """Return the rows of a table of all parts, as text: the first of those with one identity.

    The rows of metrics.csv have the order of one run: benchmarks and methods as in the parts, seeds ascending.
    Raises UserError if a part has another metrics.csv than the first, or a row that contradicts an earlier one.
    """
    for part in parts:
        if name == "metrics" and part.columns(name) != parts[0].columns(name):
            files = [its.file(f"{name}.csv") for its in (part, parts[0])]
            raise UserError(
                "{} has other columns than {}: it is of another version, or only one of them asked for relearning or "
                "shadow models".format(*files)
            )
    rows: dict[tuple[str, ...], dict[str, str]] = {}
    for part in parts:
        for row in part.rows(name):
            first = rows.setdefault(tuple(row[column] for column in IDENTITY[name]), row)
            if name == "metrics" and first is not row:
                check_shared(first, row, part)
    joined = list(rows.values())
    if name == "metrics":
        orders = {column: list(dict.fromkeys(row[column] for row in joined)) for column in ("benchmark", "method")}
        joined.sort(key=lambda row: (*(order.index(row[column]) for column, order in orders.items()), int(row["seed"])))
    return joined


def join_of_all_seeds(name: str, parts: Sequence[Part]) -> list[dict[str, str]] | None:
    """Return the rows of a table of OF_ALL_SEEDS, or None if a part lacks it or the parts have different seeds."""
    if any(part.seeds() != parts[0].seeds() or not part.file(f"{name}.csv").exists() for part in parts):
        return None
    return join(name, parts)


def check_shared(first: Mapping[str, str], again: Mapping[str, str], part: Part) -> None:
    """Raise UserError if a row is in two parts, unless it is a reference's and both measured the same model."""
    cell = ", ".join(again[column] for column in IDENTITY["metrics"])
    if again["method"] not in REFERENCES:
        raise UserError(f"metrics.csv: {cell} is in more than one of the folders")
    for column in ("retain_acc", "forget_acc", "forget_mia_auc"):
        one, other = first[column], again[column]
        if one != other and not abs(float(one or "nan") - float(other or "nan")) <= ALIKE:
            raise UserError(
                f"{part.folder}: {cell} is another model, its {column} is {other or 'missing'} in place of "
                f"{one or 'missing'}; methods are compared from the same models"
            )


def check_complete(rows: Sequence[Mapping[str, str]]) -> None:
    """Raise UserError if a method lacks a seed on a benchmark: means over different seeds cannot be compared."""
    if not rows:
        raise UserError("metrics.csv has no rows: nothing has been measured")
    there = {tuple(row[column] for column in IDENTITY["metrics"]) for row in rows}
    for cell in itertools.product(*(dict.fromkeys(row[column] for row in rows) for column in IDENTITY["metrics"])):
        if cell not in there:
            raise UserError(
                f"no folder has {', '.join(cell)}: every method needs every benchmark and seed of the table; let the "
                "run go on to the end, or leave out its seed or its method"
            )


def check_alike(suite: str, runs: Sequence[tuple[Part, Mapping[str, Any]]]) -> None:
    """Raise UserError if a run is of another suite, or if two runs have different settings for what both of them have.

    Runs may differ in seeds, methods and benchmarks, and in what changes no row: see `settings_of`.
    """
    for part, provenance in runs:
        if (its := provenance["config"]["suite"]) != suite:
            raise UserError(f"{part.folder} is of the suite {its}, not of {suite}")
    settings = [(part, settings_of(part, provenance["config"])) for part, provenance in runs]
    for (before, one), (part, other) in itertools.combinations(settings, 2):
        if (key := difference(one, other)) is not None:
            raise UserError(
                f"{part.folder}: {key} of its configuration is not that of {before.folder}: they cannot be joined"
            )


def settings_of(part: Part, config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings behind the rows of ``part``: those of its methods, benchmarks, protocols and data sets.

    Rows that were joined come from several runs: of those, the ones that ``config`` knows. A file counts by its name,
    because each machine has a path of its own.
    """
    rows = part.rows("metrics")
    methods = {name: config["methods"][name] for name in {row["method"] for row in rows} & config["methods"].keys()}
    for name, entry in methods.items():
        file = Path(entry.get("file") or f"{name}.py").name
        methods[name] = {"file": file, "hyperparameters": entry.get("hyperparameters", {})}
    unused = () if any(column.startswith("relearn_") for column in part.columns("metrics")) else ("relearn",)
    names = {Benchmark.parse(row["benchmark"]) for row in rows}
    names = {name for name in names if name.pretraining in config["benchmarks"] and name.dataset in config["datasets"]}
    benchmarks = {name.pretraining: config["benchmarks"][name.pretraining] for name in names}
    protocols = {its["protocol"] for its in benchmarks.values()}
    return {
        "methods": methods,
        "benchmarks": benchmarks,
        "protocols": {name: _without(unused, config["protocols"][name]) for name in protocols},
        "datasets": {name.dataset: _without(OF_DOWNLOAD, config["datasets"][name.dataset]) for name in names},
    }


def _without(keys: Sequence[str], settings: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in settings.items() if key not in keys}


def difference(one: Any, other: Any, key: str = "") -> str | None:
    """Return the dotted key of the first value that differs, or None.

    What only one of two mappings has is no difference: a key that is younger than a run is not in its record.
    """
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        found = (difference(one[name], other[name], f"{key}.{name}") for name in one if name in other)
        return next((name for name in found if name is not None), None)
    return None if one == other else key.removeprefix(".")


def of_run(provenance: Mapping[str, Any]) -> dict[str, Any]:
    """Return the provenance of a run without the facts that belong to the machine."""
    return {**provenance, "config": _without(OF_THE_MACHINE, provenance["config"])}


if __name__ == "__main__":
    run(main, sys.argv[1:])
