"""The comparison table in Markdown, readable both as text and rendered."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pandas

from unlearning.config.model import EXTERNAL, REFERENCES
from unlearning.tables.cells import PENDING
from unlearning.tables.columns import COLUMN, COSTS, FURTHER, SCORES, Column, in_block
from unlearning.tables.markdown import markdown_table, mean_with_interval
from unlearning.tables.numbers import Numbers
from unlearning.tables.published import ranks, side_by_side
from unlearning.tables.warnings import nothing_to_forget, warnings_of

LABELS = {"original": "*original* (before unlearning)", "retrain": "*retrain* (the oracle)"}
PRIMARY = COLUMN["unlearn_score"]
SETTINGS = COLUMN["settings"]
NOTHING = "–"
PREVIEW_MARK = "**A preview:"
ORIGINAL, ORACLE = REFERENCES
STILL_KNOWN, LEAST_KEPT, FOUND, MORE_THAN_ORACLE = 0.1, 0.7, 0.6, 0.05
"""What a method must have forgotten and kept to be compared for the best of a column: see the legend."""
TRAININGS = ("pretrain", "retrain", "unlearn")
"""The rules that make a checkpoint."""


def render_table(
    numbers: Numbers,
    suite: str,
    published: pandas.DataFrame | None = None,
    errors: Mapping[str, Sequence[str]] | None = None,
) -> str:
    """Return the table of a suite; benchmarks and methods come in the order of metrics.csv.

    Means and intervals come from summary.csv, differences to baselines from comparisons.csv, and from costs.csv the
    cost columns, the device and the versions with which the cells were made. ``published`` has the published rows of
    the benchmarks that were run as published. A row with pending cells is marked and shows the seeds that are there;
    ``errors`` says for each benchmark why cells are not made.
    """
    metrics, costs = numbers.metrics, numbers.costs
    seeds = [str(seed) for seed in sorted(metrics["seed"].unique())]
    parts = [
        f"# Unlearning Bench: suite `{suite}`",
        *_so_far(metrics),
        f"Seeds {', '.join(seeds)} · {_made_on(costs)}",
        *_carried(costs),
        _legend(len(seeds)) + (f" {OF_EXTERNALS}" if (metrics["kind"] == EXTERNAL).any() else ""),
    ]
    for benchmark, frame in metrics.groupby("benchmark", sort=False):
        cells = _Cells(frame, _of(benchmark, numbers.summary), _of(benchmark, numbers.comparisons))
        reasons = [f"Not made: {_escaped(error)}" for error in (errors or {}).get(benchmark, [])]
        warnings = [f"**{warning}**" for warning in (*reasons, *warnings_of(frame, cells.summary, costs))]
        parts += [f"## {benchmark}", *warnings, _primary_block(cells), *_failures(cells.frame)]
        parts += ["Further metrics and costs:", _further_block(cells, _of(benchmark, costs))]
        if cells.baselines:
            parts += [f"Differences in `{PRIMARY.name}`, method minus baseline:", _paired_block(cells)]
        if published is not None and (published["benchmark"] == benchmark).any():
            parts += _published_blocks(cells, published)
    return "\n\n".join(parts) + "\n"


def _of(benchmark: str, table: pandas.DataFrame) -> pandas.DataFrame:
    return table[table["benchmark"] == benchmark]


def _so_far(metrics: pandas.DataFrame) -> list[str]:
    """Return a line that says how much of the table is there, if it is not whole."""
    done = (metrics["status"] != PENDING).sum()
    if done == len(metrics):
        return []
    return [
        f"{PREVIEW_MARK} {done} of {len(metrics)} cells are finished.** A row that lacks seeds says after its name how "
        "many are there; it is not compared for the best of a column."
    ]


def _made_on(costs: pandas.DataFrame) -> str:
    """Return e.g. "cpu, float32, 1 thread per job · torch 2.13.0, Python 3.11.7"; several values where jobs differ."""
    names = ("device", "precision", "threads", "torch", "python")
    values = {name: ", ".join(sorted(map(str, costs[name].dropna().unique()))) for name in names}
    threads = "1 thread" if values["threads"] == "1" else f"{values['threads']} threads"
    made_with = f"torch {values['torch']}, Python {values['python']}"
    return f"{values['device']}, {values['precision']}, {threads} per job · {made_with}"


OF_EXTERNALS = (
    "*External* models were unlearned by another program, outside of the protocol: they are measured like all others, "
    "but not compared for the best of a column."
)


def _carried(costs: pandas.DataFrame) -> list[str]:
    """Return a line about the trainings that were done elsewhere, if there are any."""
    if "carried" not in costs or costs["carried"].isna().all():
        return []
    trainings = costs[costs["rule"].isin(TRAININGS)]
    carried = trainings[trainings["carried"].notna()]
    commits = ", ".join(str(commit)[:10] for commit in sorted(carried["carried"].unique()))
    torch = ", ".join(sorted(map(str, carried["torch"].dropna().unique()))) or "unknown"
    return [
        f"Carried from elsewhere, not trained in this run: {len(carried)} of {len(trainings)} checkpoints "
        f"(the project's commit there: {commits}; torch there: {torch})."
    ]


def _legend(seeds: int) -> str:
    if seeds > 1:
        spread = f"Mean ± 95 % Student interval over {seeds} seeds."
        signs = "Differences are paired by seed; ▲ and ▼: the interval of the difference excludes zero."
    else:
        spread = "One seed, so there is no interval; (SE …) is DeLong's standard error of the AUC over draws of images."
        signs = "With one seed, differences have no interval either."
    return (
        f"{spread} {signs} *References* and *controls* are not methods and are not ranked. **Bold**: the best method "
        "of a column, among the methods that forget (forget_acc at most .1 above *retrain*'s), keep the rest "
        "(retain_acc at least .7 of *original*'s) and do not over-forget (a method over-forgets if the attack turned "
        "around, 1 − AUC, reaches .6, and .05 more than with *retrain*). In the columns of the AUC nothing is bold: "
        "the lowest AUC is not the best.\n\n"
        "↑: higher is better; ↓: lower is better; →: compare with *retrain*, which never saw the class. "
        f"{COLUMN['mean_abs_gap'].label}: the mean distance to *retrain* in retain_acc, forget_acc and two-sided AUC. "
        "The cost columns: seconds, steps and peak memory of the unlearning, and its seconds divided by the seconds of "
        f"training the oracle; {SETTINGS.label}: where the hyperparameters come from. Every column is explained in "
        "metrics.md."
    )


class _Cells:
    """The cells of one benchmark by method, with their rows of summary.csv and comparisons.csv."""

    def __init__(self, frame: pandas.DataFrame, summary: pandas.DataFrame, comparisons: pandas.DataFrame):
        frame = frame.loc[:, frame.notna().any()]
        self.frame = frame[frame["status"] != PENDING]
        self.summary = summary
        self.numbers = {(row.method, row.metric): row for row in summary.itertuples()}
        paired = comparisons[comparisons["metric"] == PRIMARY.name]
        self.differences = {(row.method, row.baseline): row for row in paired.itertuples()}
        planned = dict(list(frame.groupby("method", sort=False)))
        self.seeds = {name: len(rows) for name, rows in planned.items()}
        self.by_method = {name: rows[rows["status"] != PENDING] for name, rows in planned.items()}
        kinds = {name: rows["kind"].iloc[0] for name, rows in planned.items()}
        self.references = [name for name in REFERENCES if name in kinds]
        self.controls = [name for name, kind in kinds.items() if kind == "control"]
        self.baselines = [name for name, kind in kinds.items() if kind == "baseline"]
        self.externals = [name for name, kind in kinds.items() if kind == EXTERNAL]
        aside = self.references + self.controls + self.externals
        self.methods = [name for name in kinds if name not in aside]

    def rows(self, row_of: Callable[[str], list[str]], width: int) -> list[list[str]]:
        """Return labelled rows: references and controls, methods, external models, with an empty row between them.

        ``row_of`` maps a name to its ``width`` cells.
        """
        groups = [self.references + self.controls, self.methods, self.externals]
        labelled = [[[self.label(name), *row_of(name)] for name in names] for names in groups if names]
        gap = [""] * (width + 1)
        return [row for group in labelled for row in (gap, *group)][1:]

    def label(self, name: str) -> str:
        label = LABELS.get(name, name)
        if name in self.controls + self.externals:
            label = f"*{name}* ({'control' if name in self.controls else EXTERNAL})"
        done = len(self.by_method[name])
        if "changed_weights" in self.frame and (self.by_method[name]["changed_weights"] == 0).any():
            label += ", changed no weight"
        return label if done in (0, self.seeds[name]) else f"{label}, {done} of {self.seeds[name]} seeds"

    def is_whole(self, name: str) -> bool:
        return len(self.by_method[name]) == self.seeds[name]

    def failed(self, name: str) -> pandas.DataFrame:
        cells = self.by_method[name]
        return cells[cells["status"] != "ok"]

    def known(self, name: str, metric: str) -> Any:
        """Return a method's row of summary.csv, or None where the metric is not known for all its cells."""
        row = self.numbers.get((name, metric))
        return row if row is not None and row.seeds == len(self.by_method[name]) else None

    def mean(self, name: str, metric: str) -> float:
        """Return the mean as shown, NaN where it is not known for every cell, or there is no such row."""
        row = self.known(name, metric)
        return math.nan if row is None else round(row.mean, COLUMN[metric].decimals)

    def over_forgets(self, name: str) -> bool:
        """Return whether the attack, turned around, finds the members, and better than with the oracle."""
        auc, of_oracle = (self.mean(each, "forget_mia_auc") for each in (name, ORACLE))
        return auc <= 1 - FOUND and not auc > of_oracle - MORE_THAN_ORACLE

    def competes(self, name: str) -> bool:
        """Return whether a method is compared for the best of a column: see the legend."""
        retain, forget = self.mean(name, "retain_acc"), self.mean(name, "forget_acc")
        is_ruined = retain < LEAST_KEPT * self.mean(ORIGINAL, "retain_acc")
        still_knows = forget > self.mean(ORACLE, "forget_acc") + STILL_KNOWN
        return self.is_whole(name) and not (is_ruined or still_knows or self.over_forgets(name))

    def best(self, columns: Sequence[Column]) -> dict[str, float | None]:
        """Return the best mean of the methods in each column.

        The means are as shown, so that all that look equal to the best are bold.
        """
        has_best = not nothing_to_forget(self.frame, self.summary)
        competing = [name for name in self.methods if has_best and self.competes(name)]
        best = {}
        for column in columns:
            means = [self.mean(name, column.name) for name in competing]
            best[column.name] = column.best([mean for mean in means if not math.isnan(mean)])
        return best

    def shown(self, name: str, column: Column, best: Mapping[str, float | None]) -> str:
        """Return mean and interval, bold for a method that is compared and whose mean is in ``best``."""
        row = self.known(name, column.name)
        if row is None:
            return NOTHING
        mean = self.mean(name, column.name)
        is_best = name in self.methods and self.competes(name) and mean == best[column.name]
        shown = mean_with_interval(mean, row.half_width, column.decimals, is_best)
        has_error = column.standard_error and not pandas.isna(row.standard_error)
        return f"{shown} (SE {row.standard_error:.{column.decimals}f})" if has_error else shown


def _primary_block(cells: _Cells) -> str:
    columns = in_block(SCORES)
    best = cells.best(columns)

    def row_of(name: str) -> list[str]:
        state = _state(cells, name)
        if state:
            return [state, *[NOTHING] * (len(columns) - 1)]
        over_forgets = name not in cells.references and cells.over_forgets(name)
        marks = [" (over-forgets)" if over_forgets and column == PRIMARY else "" for column in columns]
        return [cells.shown(name, column, best) + mark for column, mark in zip(columns, marks, strict=True)]

    return markdown_table(cells.rows(row_of, len(columns)), ["method", *(column.heading for column in columns)])


def _state(cells: _Cells, name: str) -> str:
    """Return what a row says in place of numbers: that it is pending or has failed; nothing if it has numbers."""
    if cells.by_method[name].empty:
        return PENDING
    failed = cells.failed(name)
    if failed.empty:
        return ""
    return f"{failed['status'].iloc[0]} ({len(failed)} of {len(cells.by_method[name])} seeds)"


def _further_block(cells: _Cells, costs: pandas.DataFrame) -> str:
    """Return the block of further metrics, costs and settings; metrics on request only where they were asked for."""
    known = set(cells.summary["metric"])
    columns = [column for column in in_block(FURTHER) if column.name in known]
    best = cells.best(columns)
    headings = [column.heading for column in columns] + [column.label for column in (*in_block(COSTS), SETTINGS)]

    def row_of(name: str) -> list[str]:
        if _state(cells, name):
            return [NOTHING] * len(headings)
        has_settings = name not in cells.references + cells.externals
        settings = cells.by_method[name][SETTINGS.name].iloc[0] if has_settings else NOTHING
        return [*(cells.shown(name, column, best) for column in columns), *_cost(costs, name), settings]

    return markdown_table(cells.rows(row_of, len(headings)), ["method", *headings])


def _cost(costs: pandas.DataFrame, name: str) -> list[str]:
    """Return the cost columns, means over seeds: of the unlearning, or of the training for the oracle.

    The memory is the GPU's where there is one.
    """
    jobs = costs[costs["rule"] == ORACLE] if name == ORACLE else costs[costs["method"] == name]
    jobs = jobs[jobs["training_seconds"].notna()]
    jobs = jobs.assign(peak_memory_mb=jobs["peak_gpu_memory_mb"].fillna(jobs["peak_memory_mb"]))
    means = [(jobs[column.name].mean(), column.decimals) for column in in_block(COSTS)]
    return [NOTHING if pandas.isna(mean) else f"{mean:.{decimals}f}" for mean, decimals in means]


def _paired_block(cells: _Cells) -> str:
    def row_of(name: str) -> list[str]:
        return [_difference(cells, name, baseline) for baseline in cells.baselines]

    titles = ["method", *(f"− {name}" for name in cells.baselines)]
    return markdown_table(cells.rows(row_of, len(cells.baselines)), titles)


def _difference(cells: _Cells, name: str, baseline: str) -> str:
    row = cells.differences.get((name, baseline))
    if row is None or len(cells.failed(name)) or len(cells.failed(baseline)):
        return NOTHING
    has_sign = not pandas.isna(row.excludes_zero) and bool(row.excludes_zero)
    mark = ("▲" if row.difference > 0 else "▼") if has_sign else ""
    return f"{mean_with_interval(row.difference, row.half_width, PRIMARY.decimals, sign='+')} {mark}".rstrip()


def _failures(frame: pandas.DataFrame) -> list[str]:
    """Return one paragraph or none: where and why each cell that is not ok ended, and why U-LiRA has no result."""
    places = ("epoch", "step", "line")
    lines = []
    for row in frame.to_dict("records"):
        if isinstance(row.get("ulira_failure"), str):
            lines.append(f"- {row['method']}, seed {row['seed']}: no U-LiRA: {_escaped(row['ulira_failure'])}")
        if row["status"] == "ok":
            continue
        where = ", ".join(f"{name} {row[name]:.0f}" for name in places if not math.isnan(row.get(name, math.nan)))
        place = f" ({where})" if where else ""
        lines.append(f"- {row['method']}, seed {row['seed']}: {row['status']}{place}: {_escaped(row['reason'])}")
    return ["\n".join(lines)] if lines else []


def _escaped(reason: str) -> str:
    return reason.replace("|", "\\|")


def _published_blocks(cells: _Cells, published: pandas.DataFrame) -> list[str]:
    whole = [name for name in cells.methods if not len(cells.failed(name))]
    means = cells.summary[cells.summary["method"].isin(whole)]
    rows = [_compared_with_published(row) for row in side_by_side(means, published).itertuples()]
    standing = [
        [row.method, f"{row.mean:.{PRIMARY.decimals}f}", f"{row.rank} of {row.entries}"]
        for row in ranks(means, published).itertuples()
        if not nothing_to_forget(cells.frame, cells.summary)
    ]
    blocks = []
    if rows:
        titles = ["method", "metric", "ours", "published", "difference"]
        blocks += ["Comparison with the published results (one seed each):", markdown_table(rows, titles)]
    if standing:
        titles = ["method", PRIMARY.label, "rank"]
        heading = f"Rank by `{PRIMARY.name}` among the published entries and the method itself:"
        blocks += [heading, markdown_table(standing, titles)]
    return blocks


def _compared_with_published(row: Any) -> list[str]:
    column = COLUMN[row.metric]
    ours = mean_with_interval(row.mean, row.half_width, column.decimals)
    published, difference = f"{row.published:.{column.decimals}f}", f"{row.difference:+.{column.decimals}f}"
    return [row.method, column.label, ours, published, difference]
