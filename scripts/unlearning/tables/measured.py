"""What every method reached on small real images: docs/methods-measured.md, and one line per method in docs/methods.md.

All numbers come from results/reference/: small-* has every method as configured, small_settings-* the best setting of
a sweep and the authors' setting where these are others, small_fashion-* the best setting on the second benchmark where
none of these comes near it, small_before-* methods that were changed, as they were.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pandas

from unlearning.files import read_table
from unlearning.meaning import by_meaning
from unlearning.tables.cells import ORACLE, ORIGINAL
from unlearning.tables.columns import COLUMN, Column
from unlearning.tables.intervals import half_width
from unlearning.tables.legend import LEVEL
from unlearning.tables.markdown import markdown_table, mean_with_interval, shown
from unlearning.tables.numbers import Numbers, numbers_from
from unlearning.tables.reference import REFERENCE, numbers_of
from unlearning.tables.sweep import choose

SMALL, OTHERS, FASHION, BEFORE = "small", "small_settings", "small_fashion", "small_before"
"""The names of the kept tables."""

TUNED, AUTHORS = "_tuned", "_authors"
"""The ends of the names of a method's rows with another setting than the configured one."""

ON_FASHION = "_fashion"
"""The same in the table `FASHION`, which is of a later run on another processor, with models of its own."""

SCRATCH = "scratch"
"""The control that starts anew: a method that is not nearer to the oracle than this has saved nothing."""

GAP = COLUMN["mean_abs_gap"]
COMPARED = [COLUMN[name] for name in ("retain_acc", "forget_acc", "forget_mia_auc", "unlearn_score", "mean_abs_gap")]
SCHEDULE = "forget_pass"
"""The hyperparameter that says how often a method passes over the forget set."""

Settings = Mapping[str, Mapping[str, Any]]
"""The hyperparameters of each row."""


def best_settings(sweep: pandas.DataFrame, benchmark: int = 0) -> dict[str, str]:
    """Return the setting, as text, with the smallest gap to the oracle on one benchmark in the rows of sweep.csv.

    The settings in `OTHERS` were chosen on the first, those in `FASHION` on the second one, which was swept later.
    Methods of which one setting was tried are left out.
    """
    tried = tried_on(sweep["benchmark"].unique()[benchmark], sweep).to_dict("records")
    return {chosen["method"]: chosen["by_gap"] for chosen in choose(tried) if chosen["settings"] > 1}


def tried_on(benchmark: str, sweep: pandas.DataFrame) -> pandas.DataFrame:
    """Return the rows of methods on one benchmark from the rows of sweep.csv."""
    return sweep[sweep["benchmark"] == benchmark].dropna(subset="setting")


def mean_with_level(means: pandas.DataFrame, row: str, column: Column) -> str:
    """Return a mean, with a mark if it is within the noise floor; – if the row was not run, or has no such number.

    ``means`` are rows of summary.csv of one benchmark, by method and metric.
    """
    its = means.loc[(row, column.name)] if (row, column.name) in means.index else None
    if its is None or pandas.isna(its["mean"]):
        return "–"
    is_level = its["is_within_floor"] is True and row != ORACLE
    return f"{its['mean']:.{column.decimals}f}{f' {LEVEL}' if is_level else ''}"


@dataclass(frozen=True)
class Measured:
    """The kept numbers, and the hyperparameters of all rows (``settings``)."""

    settings: Settings

    @cached_property
    def small(self) -> Numbers:
        return numbers_of(SMALL)

    @cached_property
    def others(self) -> Numbers:
        return numbers_of(OTHERS)

    @cached_property
    def numbers(self) -> Numbers:
        """Every method, and its further settings, in one table."""
        further = self.others.metrics[self.others.metrics["method"].isin(self.further_rows)]
        metrics = pandas.concat([self.small.metrics, further], ignore_index=True)
        costs = pandas.concat([self.small.costs, self.others.costs], ignore_index=True)
        return numbers_from(metrics, costs, self.small.floor)

    @cached_property
    def means(self) -> pandas.DataFrame:
        """The rows of summary.csv, by benchmark, method and metric."""
        return self.numbers.summary.set_index(["benchmark", "method", "metric"])

    @cached_property
    def sweep(self) -> pandas.DataFrame:
        return read_table(REFERENCE / f"{SMALL}-sweep.csv")

    @cached_property
    def best(self) -> list[dict[str, str]]:
        """The best settings on the first and on the second benchmark."""
        return [best_settings(self.sweep, number) for number in (0, 1)]

    @cached_property
    def benchmarks(self) -> list[str]:
        return list(self.numbers.metrics["benchmark"].unique())

    @cached_property
    def further_rows(self) -> set[str]:
        """The rows that are a method in another than its configured setting."""
        return set(self.others.metrics["method"]) - set(self.small.metrics["method"])

    @property
    def names(self) -> list[str]:
        """The names of the methods."""
        return [name for name in self.settings if name not in self.further_rows]

    def rows_of(self, name: str) -> list[str]:
        """Return the rows of a method: as configured, then with other settings."""
        configured = [name] if name in self.small.metrics["method"].values else []
        return configured + [name + end for end in (AUTHORS, TUNED) if name + end in self.further_rows]

    def value(self, benchmark: str, row: str, column: str) -> float:
        return float(self.means.loc[(benchmark, row, column), "mean"])

    def gap(self, benchmark: str, row: str) -> str:
        """Return the gap, with a mark if it is within the noise floor; – if the row was not run on the benchmark."""
        return mean_with_level(self.means.loc[benchmark], row, GAP)

    def line_of(self, name: str) -> str | None:
        """Return what a method reached in one line, None for a method that is not in the kept table."""
        rows = self.rows_of(name)
        if not rows:
            return None
        parts = []
        for row in rows:
            how = {name: "as configured", name + AUTHORS: f"with the authors' {self.difference(row)}"}
            is_best = ", the best of the sweep on CIFAR-10" if self.is_best(name, row) else ""
            parts.append(f"{self._gaps(row)} {how.get(row, f'with {self.difference(row)}')}{is_best}")
        if name != SCRATCH:
            parts.append(f"{self._gaps(SCRATCH)} from *scratch*")
        return "gap to the oracle " + "; ".join(parts)

    def is_best(self, name: str, row: str, benchmark: int = 0) -> bool:
        """Return whether a row of the method ``name`` has the setting with the smallest gap in the sweep."""
        return row in self.settings and self.best[benchmark].get(name) == shown(by_meaning(self.settings[row]))

    def role(self, benchmark: str, name: str, row: str) -> str:
        """Return whose the setting of a row of the method ``name`` is, as `settings_table` says it."""
        here = self.benchmarks.index(benchmark)
        roles = {
            "authors'": row == name + AUTHORS,
            "sweep's best": self.is_best(name, row, here),
            "best on the other": self.is_best(name, row, 1 - here) and not self.is_best(name, row, here),
        }
        return ", ".join(role for role, has in roles.items() if has)

    def _gaps(self, row: str) -> str:
        return " and ".join(self.gap(benchmark, row) for benchmark in self.benchmarks)

    def difference(self, row: str) -> str:
        """Return the hyperparameters of a row that the method's configured setting has not, as text."""
        end = next((end for end in (TUNED, ON_FASHION) if row.endswith(end)), AUTHORS)
        configured = self.settings[row.removesuffix(end)]
        return shown({key: value for key, value in self.settings[row].items() if configured.get(key) != value})


def settings_table(measured: Measured, benchmark: str) -> str:
    """Return every method with each of its settings: means over seeds, and the distance to starting anew."""
    gaps = gaps_of(measured.numbers, benchmark)
    rows = []
    for name in [ORACLE, *measured.names]:
        for row in measured.rows_of(name):
            if row in gaps:
                setting = "" if row == name else measured.difference(row)
                whose, title = measured.role(benchmark, name, row), name if row == name else ""
                rows.append([title, whose, setting, *compared(measured.means.loc[benchmark], gaps, row)])
    return markdown_table(rows, ["method", "setting", "", *HEADINGS], texts=3)


def fashion_table(measured: Measured) -> str:
    """Return the best settings on the second benchmark that no other table has, and *scratch* of the same run."""
    numbers = numbers_of(FASHION)
    (benchmark,) = numbers.metrics["benchmark"].unique()
    gaps = gaps_of(numbers, benchmark)
    means = numbers.summary.set_index(["benchmark", "method", "metric"]).loc[benchmark]
    rows = [
        [
            row.removesuffix(ON_FASHION),
            measured.difference(row) if row.endswith(ON_FASHION) else "",
            *compared(means, gaps, row),
        ]
        for row in numbers.metrics["method"].unique()
        if row != ORIGINAL
    ]
    return markdown_table(rows, ["method", "setting", *HEADINGS], texts=2)


def gaps_of(numbers: Numbers, benchmark: str) -> pandas.DataFrame:
    """Return the gap of each row (columns) with each seed (index)."""
    of_benchmark = numbers.metrics[numbers.metrics["benchmark"] == benchmark]
    return of_benchmark.pivot(index="seed", columns="method", values=GAP.name)


def compared(means: pandas.DataFrame, gaps: pandas.DataFrame, row: str) -> list[str]:
    """Return the cells under `HEADINGS` of a row, from the rows of summary.csv by method and metric, and its gaps."""
    values = [f"{means.loc[(row, c.name), 'mean']:.{c.decimals}f}" for c in COMPARED[:-1]]
    further = gaps[row] - gaps[SCRATCH]
    beside = mean_with_interval(further.mean(), half_width(further), GAP.decimals, sign="+")
    floors = means.loc[(row, GAP.name), "in_floors"]
    return [*values, mean_with_level(means, row, GAP), f"{floors:.1f}", "–" if row == SCRATCH else beside]


HEADINGS = [*(column.heading for column in COMPARED), "× floor", f"gap − {SCRATCH}'s"]


def changed_table(measured: Measured, benchmark: str) -> str:
    """Return the methods that were changed: before → after, means over seeds."""
    before = numbers_of(BEFORE).summary.set_index(["benchmark", "method", "metric"])
    names = [name for name in measured.names if (benchmark, name, GAP.name) in before.index]
    rows = []
    for name in names:
        row = [name]
        for column in COMPARED:
            old = before.loc[(benchmark, name, column.name), "mean"]
            row.append(
                f"{old:.{column.decimals}f} → {measured.value(benchmark, name, column.name):.{column.decimals}f}"
            )
        rows.append(row)
    return markdown_table(rows, ["method", *(column.heading for column in COMPARED)])


def schedules_table(measured: Measured, benchmark: str) -> str:
    """Return the settings of the sweep on one benchmark that differ in the schedule of forget steps alone."""
    tried = tried_on(benchmark, measured.sweep)
    means = tried[tried["setting"].str.contains(SCHEDULE)].set_index(["method", "setting"])
    once, always = f'{SCHEDULE} "once"', f'{SCHEDULE} "always"'
    rows = []
    for (method, setting), values in means.iterrows():
        other = (method, setting.replace(once, always))
        if once in setting and other in means.index:
            rest = ", ".join(part for part in setting.split(", ") if not part.startswith(SCHEDULE)) or "–"
            pairs = (
                f"{values[c.name]:.{c.decimals}f} / {means.loc[other, c.name]:.{c.decimals}f}"
                for c in COMPARED_IN_SWEEP
            )
            rows.append([method, rest, *pairs])
    return markdown_table(rows, ["method", "other hyperparameters", *(c.heading for c in COMPARED_IN_SWEEP)], texts=2)


def chosen_table(measured: Measured, benchmark: str) -> str:
    """Return for each method of the sweep the setting with the smallest gap and the one with the highest score."""
    tried = tried_on(benchmark, measured.sweep)
    means = tried.set_index(["method", "setting"])
    rows = []
    for chosen in choose(tried.to_dict("records")):
        row = [chosen["method"], str(chosen["settings"])]
        settings = tried.loc[tried["method"] == chosen["method"], "setting"]
        of_all = set.intersection(*(set(setting.split(", ")) for setting in settings))
        for how in ("by_gap", "by_score"):
            values = means.loc[(chosen["method"], chosen[how])]
            varied = [part for part in chosen[how].split(", ") if part not in of_all]
            row += [", ".join(varied), *(f"{values[c.name]:.{c.decimals}f}" for c in COMPARED_IN_SWEEP[-3:])]
        rows.append(row)
    headings = [column.heading for column in COMPARED_IN_SWEEP[-3:]]
    titles = ["method", "settings", "with the smallest gap", *headings, "with the highest score", *headings]
    return markdown_table(rows, titles)


COMPARED_IN_SWEEP = [
    COLUMN[name] for name in ("retain_acc", "forget_acc", "forget_mia_auc_two_sided", "unlearn_score", "mean_abs_gap")
]

MAKERS: dict[str, Callable[..., str]] = {
    "settings": settings_table,
    "fashion": fashion_table,
    "changed": changed_table,
    "schedules": schedules_table,
    "chosen": chosen_table,
}
"""The tables of docs/methods-measured.md, by the word in their mark."""
