"""The comparison table in Markdown, made to be read both as text and rendered."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence

import pandas

from unlearning.config.model import EXTERNAL, REFERENCES
from unlearning.evaluation.metrics import METRICS
from unlearning.tables.cells import PENDING
from unlearning.tables.columns import COMPARED
from unlearning.tables.intervals import half_width, paired_differences, summary
from unlearning.tables.markdown import DECIMALS, markdown_table, mean_with_interval
from unlearning.tables.published import ranks, side_by_side
from unlearning.tables.warnings import nothing_to_forget, warnings_of

LABELS = {"original": "*original* (before unlearning)", "retrain": "*retrain* (the oracle)"}
HONEST = {
    "forget_mia_auc_two_sided": "AUC two-sided",
    "mean_abs_gap": "gap to oracle",
    "tow": "ToW",
    "js_to_oracle": "JS to oracle",
    "probe_acc": "probe",
    "relearn_epochs": "relearning",
    "ulira_auc": "U-LiRA",
}
"""The columns of the second block and their titles there; those on request only where they were asked for."""
NOTHING = "–"
PREVIEW_MARK = "**A preview:"
ORIGINAL, ORACLE = REFERENCES
NEVER_BOLD = ("forget_mia_auc", "forget_mia_auc_two_sided")
STILL_KNOWN, LEAST_KEPT, FOUND, MORE_THAN_ORACLE = 0.1, 0.7, 0.6, 0.05
"""What a method must have forgotten and kept to compete for the best of a column: see the legend."""
TRAININGS = ("pretrain", "retrain", "unlearn")
"""The rules that make a checkpoint."""


def render_table(
    metrics: pandas.DataFrame,
    costs: pandas.DataFrame,
    suite: str,
    published: pandas.DataFrame | None = None,
    errors: Mapping[str, Sequence[str]] | None = None,
) -> str:
    """Return the table of a suite; benchmarks and methods come in the order of ``metrics`` (metrics.csv).

    ``costs`` (costs.csv) gives the cost columns and says on which device and with which versions the cells were made.
    ``published`` has the published rows of those benchmarks that were run as published. Cells that are pending are
    marked as such, and what is said of a row is said of its other seeds; ``errors`` has by benchmark why cells are not
    made.
    """
    seeds = [str(seed) for seed in sorted(metrics["seed"].unique())]
    parts = [
        f"# Unlearning Bench: suite `{suite}`",
        *_so_far(metrics),
        f"Seeds {', '.join(seeds)} · {_made_on(costs)}",
        *_carried(costs),
        _legend(len(seeds)) + (f" {OF_EXTERNALS}" if (metrics["kind"] == EXTERNAL).any() else ""),
    ]
    for benchmark, frame in metrics.groupby("benchmark", sort=False):
        # What is empty was not asked for; the protocol's metrics stand even where every cell failed.
        cells = _Cells(frame.loc[:, frame.notna().any() | frame.columns.isin(METRICS)])
        reasons = [f"Not made: {_escaped(error)}" for error in (errors or {}).get(benchmark, [])]
        warnings = [f"**{warning}**" for warning in (*reasons, *warnings_of(frame, costs))]
        parts += [f"## {benchmark}", *warnings, _primary_block(cells), *_failures(cells.frame)]
        parts += ["Beside the score:", _honest_block(cells, costs[costs["benchmark"] == benchmark])]
        if cells.baselines:
            parts += ["`unlearn_score` minus that of each baseline:", _paired_block(cells)]
        if published is not None and (published["benchmark"] == benchmark).any():
            parts += _published_blocks(cells, published)
    return "\n\n".join(parts) + "\n"


def _so_far(metrics: pandas.DataFrame) -> list[str]:
    """Return a line that says how much of the table is there, if it is not whole."""
    done = (metrics["status"] != PENDING).sum()
    if done == len(metrics):
        return []
    return [
        f"{PREVIEW_MARK} {done} of {len(metrics)} cells are finished.** Behind a row's name stands over how many of "
        "its seeds it is, if not over all; such a row is not compared for the best of a column."
    ]


def _made_on(costs: pandas.DataFrame) -> str:
    """Return e.g. "cpu, float32, 1 thread a job · torch 2.13.0, Python 3.11.7"; several where the jobs differ."""
    names = ("device", "precision", "threads", "torch", "python")
    values = {name: ", ".join(sorted(map(str, costs[name].dropna().unique()))) for name in names}
    threads = "1 thread" if values["threads"] == "1" else f"{values['threads']} threads"
    made_with = f"torch {values['torch']}, Python {values['python']}"
    return f"{values['device']}, {values['precision']}, {threads} a job · {made_with}"


OF_EXTERNALS = (
    "*External* models were unlearned by another program, outside of the protocol: they are measured like all others, "
    "and do not compete."
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
        signs = "Differences are paired by seed; ▲ and ▼: their interval excludes zero."
    else:
        spread = "One seed, hence no interval; (SE …) is DeLong's standard error of the AUC over draws of images."
        signs = "Differences have no interval with one seed."
    return (
        f"{spread} {signs} *References* and *controls* are no methods. **Bold**: the best method of a column, among "
        "those that forget (forget_acc at most .1 above *retrain*'s), keep the rest (retain_acc at least .7 of "
        "*original*'s) and do not over-forget (the attack turned around, 1 − AUC, reaches .6, and .05 more than with "
        "*retrain*). In the columns of the AUC nothing is bold: the lowest is not the best.\n\n"
        "↑ higher, ↓ lower is better; →: read it against *retrain*, which never saw the class. gap to oracle: the mean "
        "distance of retain_acc, forget_acc and two-sided AUC. The cost columns: seconds, steps and peak memory of the "
        "unlearning, and its seconds over those of training the oracle; settings: whose hyperparameters. Every column "
        "is explained in metrics.md."
    )


class _Cells:
    """The cells of one benchmark, by method."""

    def __init__(self, frame: pandas.DataFrame):
        self.frame = frame[frame["status"] != PENDING]
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
        """Return labelled rows: references and controls, the methods, models from elsewhere, with gaps between them.

        ``row_of`` maps a name to cells.
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

    def mean(self, name: str, metric: str) -> float:
        """Return the mean as shown, NaN where it is not known for every seed, or there is no such row."""
        cells = self.by_method.get(name, self.frame[:0])
        return round(cells[metric].mean(skipna=False), DECIMALS) if metric in cells else math.nan

    def over_forgets(self, name: str) -> bool:
        """Return whether the attack, turned around, finds the members, and better than with the oracle."""
        auc, of_oracle = (self.mean(each, "forget_mia_auc") for each in (name, ORACLE))
        return auc <= 1 - FOUND and not auc > of_oracle - MORE_THAN_ORACLE

    def competes(self, name: str) -> bool:
        """Return whether a method may be the best of a column: see the legend."""
        retain, forget = self.mean(name, "retain_acc"), self.mean(name, "forget_acc")
        is_ruined = retain < LEAST_KEPT * self.mean(ORIGINAL, "retain_acc")
        still_knows = forget > self.mean(ORACLE, "forget_acc") + STILL_KNOWN
        return self.is_whole(name) and not (is_ruined or still_knows or self.over_forgets(name))

    def best(self, metrics: Iterable[str]) -> dict[str, float]:
        """Return each metric's best mean of the methods, as shown, so that what looks equal is bold alike."""
        best: dict[str, float] = {}
        if nothing_to_forget(self.frame):
            return best
        competing = [name for name in self.methods if self.competes(name)]
        for metric in metrics:
            means = [mean for name in competing if not math.isnan(mean := self.mean(name, metric))]
            if means and COMPARED[metric] != "oracle" and metric not in NEVER_BOLD:
                best[metric] = max(means) if COMPARED[metric] == "↑" else min(means)
        return best

    def shown(self, name: str, metric: str, best: dict[str, float]) -> str:
        """Return mean and interval, bold if they are a method's and as good as ``best``."""
        mean = self.mean(name, metric)
        if math.isnan(mean):
            return NOTHING
        is_best = name in self.methods and self.competes(name) and mean == best.get(metric)
        return mean_with_interval(mean, half_width(self.by_method[name][metric]), is_best)


def _primary_block(cells: _Cells) -> str:
    best = cells.best(METRICS)

    def row_of(name: str) -> list[str]:
        failed = cells.failed(name)
        if cells.by_method[name].empty:
            return [PENDING, *[NOTHING] * (len(METRICS) - 1)]
        if len(failed):
            state = f"{failed['status'].iloc[0]} ({len(failed)} of {len(cells.by_method[name])} seeds)"
            return [state, *[NOTHING] * (len(METRICS) - 1)]
        shown = [cells.shown(name, metric, best) for metric in METRICS]
        if name not in cells.references and cells.over_forgets(name):
            shown[METRICS.index("unlearn_score")] += " (over-forgets)"
        return _add_standard_error(shown, cells.by_method[name])

    titles = ["method", *(f"{metric} {COMPARED[metric]}" for metric in METRICS)]
    return markdown_table(cells.rows(row_of, len(METRICS)), titles)


def _add_standard_error(shown: list[str], rows: pandas.DataFrame) -> list[str]:
    """With one seed, put the AUC's standard error behind it."""
    if len(rows) == 1 and "forget_mia_auc_se" in rows and not math.isnan(error := rows["forget_mia_auc_se"].iloc[0]):
        shown[METRICS.index("forget_mia_auc")] += f" (SE {error:.{DECIMALS}f})"
    return shown


def _honest_block(cells: _Cells, costs: pandas.DataFrame) -> str:
    metrics = [metric for metric in HONEST if metric in cells.frame]
    best = cells.best(metrics)

    def row_of(name: str) -> list[str]:
        if len(cells.failed(name)) or cells.by_method[name].empty:
            return [NOTHING] * (len(metrics) + len(COST_TITLES) + 1)
        has_settings = name not in cells.references + cells.externals
        whose = cells.by_method[name]["settings"].iloc[0] if has_settings else NOTHING
        return [*(cells.shown(name, metric, best) for metric in metrics), *_cost(costs, name), whose]

    arrows = {metric: COMPARED[metric].replace("oracle", "→") for metric in metrics}
    titles = ["method", *(f"{HONEST[metric]} {arrows[metric]}" for metric in metrics), *COST_TITLES, "settings"]
    return markdown_table(cells.rows(row_of, len(titles) - 1), titles)


COST_TITLES = ("seconds", "steps", "MB", "× oracle's s")


def _cost(costs: pandas.DataFrame, name: str) -> list[str]:
    """Return seconds, steps, peak memory and the ratio to the oracle's seconds, means over seeds."""
    jobs = costs[costs["rule"] == "retrain"] if name == "retrain" else costs[costs["method"] == name]
    jobs = jobs[jobs["training_seconds"].notna()]
    if jobs.empty:
        return [NOTHING] * len(COST_TITLES)
    memory = jobs["peak_gpu_memory_mb"].fillna(jobs["peak_memory_mb"])
    steps = NOTHING if name == "retrain" else f"{jobs['steps'].mean():.0f}"
    return [
        f"{jobs['training_seconds'].mean():.1f}",
        steps,
        f"{memory.mean():.0f}",
        f"{jobs['seconds_to_oracle'].mean():.2f}",
    ]


def _paired_block(cells: _Cells) -> str:
    differences = paired_differences(cells.frame, ["unlearn_score"]).set_index(["method", "baseline"])

    def row_of(name: str) -> list[str]:
        return [
            NOTHING
            if (name, baseline) not in differences.index or len(cells.failed(name)) or len(cells.failed(baseline))
            else _difference(differences.loc[(name, baseline)])
            for baseline in cells.baselines
        ]

    titles = ["method", *(f"− {name}" for name in cells.baselines)]
    return markdown_table(cells.rows(row_of, len(cells.baselines)), titles)


def _difference(row: pandas.Series) -> str:
    mark = ("▲" if row["difference"] > 0 else "▼") if row["excludes_zero"] else ""
    return f"{mean_with_interval(row['difference'], row['half_width'], sign='+')} {mark}".rstrip()


def _failures(frame: pandas.DataFrame) -> list[str]:
    """Return, as one paragraph or none, why and where each cell that is not ok ended, and why U-LiRA has no result."""
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
    means = summary(cells.frame[cells.frame["method"].isin(whole)], list(METRICS))
    both = side_by_side(means, published)
    rows = [
        [
            row.method,
            row.metric,
            mean_with_interval(row.mean, row.half_width),
            f"{row.published:.{DECIMALS}f}",
            f"{row.difference:+.{DECIMALS}f}",
        ]
        for row in both.itertuples()
    ]
    standing = (
        []
        if nothing_to_forget(cells.frame)
        else [
            [row.method, f"{row.mean:.{DECIMALS}f}", f"{row.rank} of {row.entries}"]
            for row in ranks(means, published).itertuples()
        ]
    )
    blocks = []
    if rows:
        titles = ["method", "metric", "ours", "published", "difference"]
        blocks += ["Beside the published results (one seed each):", markdown_table(rows, titles)]
    if standing:
        titles = ["method", "unlearn_score", "rank"]
        blocks += ["Rank by `unlearn_score` among the published entries and itself:", markdown_table(standing, titles)]
    return blocks
