"""The comparison table: its blocks, and the table in Markdown."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import pandas

from unlearning.config.model import EXTERNAL, REFERENCES
from unlearning.tables.agreement import mean_matrix
from unlearning.tables.blocks import LEGEND, WARNING, Block, Grid, Heading, Items, Words, as_markdown
from unlearning.tables.cells import ORACLE, ORIGINAL, PENDING
from unlearning.tables.classes import all_classes_of, over_classes
from unlearning.tables.columns import COLUMN, COSTS, DISTANCES, FEATURES, REQUESTED, SCORES, Column, in_block
from unlearning.tables.devices import others_than_the_oracle
from unlearning.tables.image_errors import AREA_GAP
from unlearning.tables.intervals import ALL_CLASSES, SIGNIFICANT
from unlearning.tables.legend import GAP, LEVEL, OTHER_DEVICE, OVER_FORGETS, PRIMARY, SETTINGS, legend
from unlearning.tables.limits import may_be_best, over_forgets
from unlearning.tables.markdown import WIDTH, mean_with_interval, mean_with_range
from unlearning.tables.numbers import Numbers
from unlearning.tables.published import ranks, side_by_side
from unlearning.tables.warnings import nothing_to_forget, warnings_of

LABELS = {"original": "*original*", "retrain": "*retrain* (the oracle)"}
NOTHING = "–"
RETRAIN_SEEDS = {"mean": "*retrain*, other seed", "furthest": "*retrain*, furthest"}
"""The rows of the noise floor, and their columns of floor.csv."""
DERIVED = {
    "× floor": "gap divided by the mean distance between the oracles of two seeds; 1: as far as another oracle",
    "AUC − retrain's": "forget_mia_auc minus the oracle's of the same seed (SE: its error over draws of images)",
}
"""What the columns mean that the table computes from others."""
PREVIEW_MARK = "**A preview:"
TRAININGS = ("pretrain", "retrain", "unlearn")
"""The rules that make a checkpoint."""
AGREED = (
    *("unlearn_score", "mean_abs_gap", "tow", "js_to_oracle"),
    *("few_shot_probe_acc", "prototype_acc_10", "forget_logit_auc", "relearn_epochs"),
)
"""The metrics whose agreement the table shows, where they are measured."""


def render_table(
    numbers: Numbers,
    suite: str,
    published: pandas.DataFrame | None = None,
    errors: Mapping[str, Sequence[str]] | None = None,
) -> str:
    """Return the table of a suite in Markdown, from the arguments of `table_blocks`."""
    return as_markdown(table_blocks(numbers, suite, published, errors))


def table_blocks(
    numbers: Numbers,
    suite: str,
    published: pandas.DataFrame | None = None,
    errors: Mapping[str, Sequence[str]] | None = None,
) -> list[Block]:
    """Return the table of a suite; benchmarks and methods come in the order of metrics.csv.

    Means and intervals come from summary.csv, differences to baselines from comparisons.csv, and from costs.csv the
    cost columns, the device and the versions with which the cells were made. ``published`` has the published rows of
    the benchmarks that were run as published. A row with pending cells is marked and shows the seeds that are there;
    ``errors`` says for each benchmark why cells are not made.
    """
    metrics, costs = numbers.metrics, numbers.costs
    seeds = [str(seed) for seed in sorted(metrics["seed"].unique())]
    head = [*_so_far(metrics), f"Seeds {', '.join(seeds)} · {_made_on(costs)}", *_carried(costs)]
    parts: list[Block] = [
        Heading(f"Unlearning Bench: suite `{suite}`", 1),
        *map(Words, head),
        *(Words(text, LEGEND) for text in legend(numbers, len(seeds))),
    ]
    pooled = over_classes(metrics)
    for benchmark, frame in metrics.groupby("benchmark", sort=False):
        of_all = pooled[pooled["benchmark"] == all_classes_of(benchmark)]
        if len(of_all) and of_all[ALL_CLASSES].iloc[0] == benchmark:
            parts += _section(all_classes_of(benchmark), of_all, numbers)
        reasons = [f"Not made: {error}" for error in (errors or {}).get(benchmark, [])]
        parts += _section(benchmark, frame, numbers, reasons)
        if published is not None and (published["benchmark"] == benchmark).any():
            parts += _published_blocks(_Cells(benchmark, frame, numbers), published)
    return [*parts, *_agreement(numbers)]


def _section(benchmark: str, frame: pandas.DataFrame, numbers: Numbers, reasons: Sequence[str] = ()) -> list[Block]:
    """Return the heading, the warnings and the blocks of one benchmark, or of all classes of a model and data set."""
    cells = _Cells(benchmark, frame, numbers)
    costs = numbers.costs[numbers.costs["benchmark"].isin(cells.benchmarks)]
    if cells.is_pooled:
        seeds = frame["seed"].nunique()
        counts = f"{len(cells.benchmarks)} classes and {seeds} {'seed' if seeds == 1 else 'seeds'}"
        title, warnings = f"{benchmark}: mean (standard deviation) over {counts}", []
    else:
        title, warnings = benchmark, [*reasons, *warnings_of(frame, numbers.costs)]
    parts: list[Block] = [Heading(title), *(Words(warning, WARNING) for warning in warnings)]
    parts.append(_primary_block(cells))
    if not cells.is_pooled:
        parts += _failures(cells.frame)
    parts += _distance_block(cells)
    parts += _metric_block("Left in the features", cells, FEATURES)
    parts += [*_metric_block("On request", cells, REQUESTED), *_relearning_from_nothing(cells)]
    parts.append(_cost_block(cells, costs))
    return [*parts, *([_paired_block(cells)] if cells.baselines else [])]


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
    values = {name: ", ".join(sorted(map(_as_text, costs[name].dropna().unique()))) for name in names}
    threads = "1 thread" if values["threads"] == "1" else f"{values['threads']} threads"
    made_with = f"torch {values['torch']}, Python {values['python']}"
    return f"{values['device']}, {values['precision']}, {threads} per job · {made_with}"


def _as_text(value: Any) -> str:
    """Return a value of costs.csv as text: a count is a float where another row of its column is empty."""
    return f"{value:g}" if isinstance(value, float) else str(value)


def _carried(costs: pandas.DataFrame) -> list[str]:
    """Return a line about the trainings that were done elsewhere, if there are any."""
    if "carried" not in costs or costs["carried"].isna().all():
        return []
    trainings = costs[costs["rule"].isin(TRAININGS)]
    carried = trainings[trainings["carried"].notna()]
    commits = ", ".join(str(commit)[:10] for commit in sorted(carried["carried"].unique()))
    torch = ", ".join(sorted(map(str, carried["torch"].dropna().unique()))) or "unknown"
    said = (
        f"Carried from elsewhere, not trained in this run: {len(carried)} of {len(trainings)} checkpoints "
        f"(the project's commit there: {commits}; torch there: {torch})."
    )
    return [textwrap.fill(said, WIDTH)]


class _Cells:
    """The cells of one benchmark by method, with their rows of summary.csv and comparisons.csv."""

    def __init__(self, benchmark: str, frame: pandas.DataFrame, numbers: Numbers):
        self.is_pooled = ALL_CLASSES in frame
        self.benchmarks = list(frame[ALL_CLASSES if self.is_pooled else "benchmark"].unique())
        self.other_device = others_than_the_oracle(numbers.costs, frame)
        frame = frame.loc[:, frame.notna().any()]
        self.frame = frame[frame["status"] != PENDING]
        self.summary = _of(benchmark, numbers.summary)
        self.floor = _of(benchmark, numbers.all_floors).set_index("metric")
        self.numbers = {(row.method, row.metric): row for row in self.summary.itertuples()}
        comparisons = _of(benchmark, numbers.comparisons)
        paired = comparisons[comparisons["metric"] == PRIMARY.name]
        self.differences = {(row.method, row.baseline): row for row in paired.itertuples()}
        planned = dict(list(frame.groupby("method", sort=False)))
        self.seeds = {name: len(rows) for name, rows in planned.items()}
        self.by_method = {name: rows[rows["status"] != PENDING] for name, rows in planned.items()}
        self.failures = {name: [its for its in rows["status"] if its != "ok"] for name, rows in self.by_method.items()}
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

    @property
    def means(self) -> str:
        """What the means are over, in words."""
        return "means over classes and seeds" if self.is_pooled else "means over seeds"

    def is_whole(self, name: str) -> bool:
        return len(self.by_method[name]) == self.seeds[name]

    def known(self, name: str, metric: str) -> Any:
        """Return a method's row of summary.csv, or None where the metric is not known for all its cells."""
        row = self.numbers.get((name, metric))
        return row if row is not None and row.seeds == len(self.by_method[name]) else None

    def mean(self, name: str, metric: str) -> float:
        """Return the mean as shown, NaN where it is not known for every cell, or there is no such row."""
        row = self.known(name, metric)
        return math.nan if row is None else round(row.mean, COLUMN[metric].decimals)

    def competes(self, name: str) -> bool:
        """Return whether a method is compared for the best of a column: see the legend."""
        return self.is_whole(name) and may_be_best(self.mean, name)

    def best(self, columns: Sequence[Column]) -> dict[str, float | None]:
        """Return the best mean of the methods in each column.

        The means are as shown, so that all that look equal to the best are bold.
        """
        has_best = not nothing_to_forget(self.frame)
        competing = [name for name in self.methods if has_best and self.competes(name)]
        best = {}
        for column in columns:
            known = [row for name in competing if (row := self.known(name, column.name)) is not None]
            means = [round(row.mean, column.decimals) for row in known]
            is_noise = column.at_oracle is not None and any(row.is_within_floor is not False for row in known)
            best[column.name] = None if is_noise else column.best(means)
        return best

    def shown(self, name: str, column: Column, best: Mapping[str, float | None], has_spread: bool = False) -> str:
        """Return the mean, bold for a method that is compared and whose mean is the best, with its spread and marks."""
        row = self.known(name, column.name)
        if row is None:
            return NOTHING
        mean = self.mean(name, column.name)
        is_best = name in self.methods and self.competes(name) and mean == best.get(column.name)
        has_error = has_spread and not pandas.isna(row.standard_error)
        low, high = (row.low, row.high) if has_spread and not has_error and not self.is_pooled else (None, None)
        shown = mean_with_range(mean, low, high, column.decimals, is_best)
        if has_error:
            shown += f" (SE {row.standard_error:.{column.decimals}f})"
        elif has_spread and self.is_pooled and not pandas.isna(row.deviation):
            shown += f" ({row.deviation:.{column.decimals}f})"
        if column.at_oracle is not None and name != ORACLE:
            shown += f" {LEVEL}" if row.is_within_floor is True else ""
            shown += OTHER_DEVICE if name in self.other_device else ""
        return shown


def _primary_block(cells: _Cells) -> Grid:
    columns = in_block(SCORES)
    best = cells.best(columns)

    def row_of(name: str) -> list[str]:
        state = _state(cells, name)
        if state:
            return [state, *[NOTHING] * (len(columns) - 1)]
        is_over = name not in cells.references and over_forgets(cells.mean, name)
        marks = [f" {OVER_FORGETS}" if is_over and column == PRIMARY else "" for column in columns]
        shown = [cells.shown(name, column, best, has_spread=True) for column in columns]
        return [value + mark for value, mark in zip(shown, marks, strict=True)]

    meanings = {column.heading: column.definition for column in columns}
    return Grid("Scores", ["method", *meanings], cells.rows(row_of, len(columns)), meanings=meanings)


def _state(cells: _Cells, name: str) -> str:
    """Return what a row says in place of numbers: that it is pending or has failed; nothing if it has numbers."""
    if cells.by_method[name].empty:
        return PENDING
    failures = cells.failures[name]
    return f"{failures[0]} ({len(failures)} of {len(cells.by_method[name])} seeds)" if failures else ""


def _distance_block(cells: _Cells) -> list[Block]:
    """Return the block of distances to the oracle, with the rows of the noise floor."""
    columns = [column for column in in_block(DISTANCES) if column.name in set(cells.summary["metric"])]
    if not columns:
        return []
    best = cells.best(columns)
    shown: dict[str, Callable[[str], str]] = {}
    for column in columns:
        shown[column.heading] = partial(cells.shown, column=column, best=best)
        if column == GAP and GAP.name in cells.floor.index:
            shown["× floor"] = partial(_in_floors, cells)
    shown["AUC − retrain's"] = partial(_area_gap, cells)

    def row_of(name: str) -> list[str]:
        return [NOTHING if _state(cells, name) else value_of(name) for value_of in shown.values()]

    rows = cells.rows(row_of, len(shown))
    if ORACLE in cells.references:
        after = 1 + cells.references.index(ORACLE)
        rows[after:after] = _floor_rows(cells, columns, list(shown))
    meanings = {column.heading: column.definition for column in columns} | DERIVED
    return [Grid("Distance to *retrain*", ["method", *shown], rows, "Distance to *retrain*:", meanings)]


def _floor_rows(cells: _Cells, columns: Sequence[Column], titles: Sequence[str]) -> list[list[str]]:
    """Return two rows, the mean and the furthest distance between two oracles; none where there is one oracle."""
    rows = []
    for which, label in RETRAIN_SEEDS.items() if len(cells.floor) else ():
        known = cells.floor[which]
        values = {column.heading: (known.get(column.name), column.decimals) for column in columns}
        if cells.floor["mean"].get(GAP.name):
            values["× floor"] = (known[GAP.name] / cells.floor["mean"][GAP.name], 1)
        shown = {title: f"{value:.{decimals}f}" for title, (value, decimals) in values.items() if value is not None}
        rows.append([label, *(shown.get(title, NOTHING) for title in titles)])
    return rows


def _in_floors(cells: _Cells, name: str) -> str:
    row = cells.known(name, GAP.name)
    return NOTHING if row is None or pandas.isna(row.in_floors) else f"{row.in_floors:.1f}"


def _area_gap(cells: _Cells, name: str) -> str:
    """Return the difference of the AUC to the oracle's, with its standard error over draws of images."""
    row = cells.known(name, AREA_GAP)
    if row is None or name == ORACLE:
        return NOTHING
    error = "" if pandas.isna(row.standard_error) else f" (SE {row.standard_error:.3f})"
    return f"{row.mean:+.3f}{error}"


def _metric_block(words: str, cells: _Cells, block: str) -> list[Block]:
    """Return the words and the means of the metrics of a block; nothing where none of them was measured."""
    known = set(cells.summary["metric"])
    columns = [column for column in in_block(block) if column.name in known]
    if not columns:
        return []
    best = cells.best(columns)

    def row_of(name: str) -> list[str]:
        return [NOTHING if _state(cells, name) else cells.shown(name, column, best) for column in columns]

    meanings = {_heading(cells, column): column.definition for column in columns}
    rows = cells.rows(row_of, len(columns))
    return [Grid(words, ["method", *meanings], rows, f"{words}, {cells.means}:", meanings)]


def _relearning_from_nothing(cells: _Cells) -> list[Block]:
    """Return how soon a model with random weights learns the class, where relearning was asked for."""
    if "relearn_epochs_random" not in cells.frame or ORIGINAL not in cells.by_method:
        return []
    epochs = cells.by_method[ORIGINAL]["relearn_epochs_random"].mean()
    said = f"A model with random weights has the class after {epochs:.1f} epochs."
    return [] if math.isnan(epochs) else [Words(said)]


def _heading(cells: _Cells, column: Column) -> str:
    """Return the heading of a column, with the number that belongs to it, e.g. "U-LiRA (8 shadow models) →"."""
    if column.counted_in is None:
        return column.heading
    name, words = column.counted_in
    counts = sorted({int(count) for count in cells.frame[name].dropna()}) if name in cells.frame else []
    said = f" ({', '.join(map(str, counts))} {words})" if counts else ""
    return f"{column.label}{said} {column.arrow}".rstrip()


def _cost_block(cells: _Cells, costs: pandas.DataFrame) -> Grid:
    """Return the block of costs and of where the hyperparameters come from."""
    meanings = {column.label: column.definition for column in (*in_block(COSTS), SETTINGS)}

    def row_of(name: str) -> list[str]:
        if _state(cells, name):
            return [NOTHING] * len(meanings)
        has_settings = name not in cells.references + cells.externals
        return [*_cost(costs, name), cells.by_method[name][SETTINGS.name].iloc[0] if has_settings else NOTHING]

    rows = cells.rows(row_of, len(meanings))
    return Grid("Costs", ["method", *meanings], rows, f"Costs of the unlearning, {cells.means}:", meanings)


def _cost(costs: pandas.DataFrame, name: str) -> list[str]:
    """Return the cost columns, means over seeds: of the unlearning, or of the training for the oracle.

    The memory is the GPU's where there is one.
    """
    jobs = costs[costs["rule"] == ORACLE] if name == ORACLE else costs[costs["method"] == name]
    jobs = jobs[jobs["training_seconds"].notna()]
    jobs = jobs.assign(peak_memory_mb=jobs["peak_gpu_memory_mb"].fillna(jobs["peak_memory_mb"]))
    means = [(jobs[column.name].mean(), column.decimals) for column in in_block(COSTS)]
    return [NOTHING if pandas.isna(mean) else f"{mean:.{decimals}f}" for mean, decimals in means]


def _paired_block(cells: _Cells) -> Grid:
    def row_of(name: str) -> list[str]:
        return [_difference(cells, name, baseline) for baseline in cells.baselines]

    pairs = "class" if cells.is_pooled else "seed"
    words = f"Differences in `{PRIMARY.name}`, method minus baseline, paired by {pairs}:"
    meanings = {f"− {name}": f"{PRIMARY.name} of the method minus {name}'s" for name in cells.baselines}
    return Grid("Differences", ["method", *meanings], cells.rows(row_of, len(meanings)), words, meanings)


def _difference(cells: _Cells, name: str, baseline: str) -> str:
    row = cells.differences.get((name, baseline))
    if row is None or cells.failures[name] or cells.failures[baseline]:
        return NOTHING
    has_sign = not pandas.isna(row.p_holm) and row.p_holm < SIGNIFICANT
    mark = ("▲" if row.difference > 0 else "▼") if has_sign else ""
    shown = mean_with_interval(row.difference, row.half_width, PRIMARY.decimals, sign="+")
    return f"{shown} {mark}{OTHER_DEVICE if row.has_other_device else ''}".rstrip()


def _agreement(numbers: Numbers) -> list[Block]:
    """Return the matrix of Kendall's tau between some metrics, mean over benchmarks; nothing for fewer than three."""
    agreed = numbers.agreement
    metrics = [name for name in AGREED if name in {*agreed["metric"], *agreed["other"]}]
    if len(metrics) < 3:
        return []
    matrix = mean_matrix(agreed, metrics)
    rows = [
        [COLUMN[name].label, *(NOTHING if math.isnan(tau) else f"{tau:.2f}" for tau in matrix.loc[name])]
        for name in metrics
    ]
    words = (
        "Kendall's τ between the orders in which two metrics put the methods, mean over the benchmarks (1: the same "
        "order, 0: none in common, −1: the reverse). A metric with → orders by the distance to *retrain*. All pairs: "
        "agreement.csv."
    )
    titles = ["", *(COLUMN[name].label for name in metrics)]
    meanings = {COLUMN[name].label: COLUMN[name].definition for name in metrics}
    return [
        Heading("Do the metrics agree?"),
        Words(textwrap.fill(words, WIDTH)),
        Grid("Kendall's τ", titles, rows, "", meanings),
    ]


def _failures(frame: pandas.DataFrame) -> list[Block]:
    """Return one list or none: where and why each cell that is not ok ended, and why U-LiRA has no result."""
    places = ("epoch", "step", "line")
    lines = []
    for row in frame.to_dict("records"):
        if isinstance(row.get("ulira_failure"), str):
            lines.append(f"{row['method']}, seed {row['seed']}: no U-LiRA: {row['ulira_failure']}")
        if row["status"] == "ok":
            continue
        where = ", ".join(f"{name} {row[name]:.0f}" for name in places if not math.isnan(row.get(name, math.nan)))
        place = f" ({where})" if where else ""
        lines.append(f"{row['method']}, seed {row['seed']}: {row['status']}{place}: {row['reason']}")
    return [Items(lines)] if lines else []


def _published_blocks(cells: _Cells, published: pandas.DataFrame) -> list[Block]:
    whole = [name for name in cells.methods if not cells.failures[name]]
    means = cells.summary[cells.summary["method"].isin(whole)]
    rows = [_compared_with_published(row) for row in side_by_side(means, published).itertuples()]
    standing = [
        [row.method, f"{row.mean:.{PRIMARY.decimals}f}", f"{row.rank} of {row.entries}"]
        for row in ranks(means, published).itertuples()
        if not nothing_to_forget(cells.frame)
    ]
    blocks: list[Block] = []
    if rows:
        titles = ["method", "metric", "ours", "published", "difference", "in errors"]
        words = (
            "Comparison with the published results (one seed each). In errors: the difference divided by its error, "
            "over seeds and over draws of test images; with one seed of ours, over images alone, which is too small:"
        )
        blocks.append(Grid("Published results", titles, rows, words))
    if standing:
        words = f"Rank by `{PRIMARY.name}` among the published entries and the method itself:"
        blocks.append(Grid("Rank", ["method", PRIMARY.label, "rank"], standing, words))
    return blocks


def _compared_with_published(row: Any) -> list[str]:
    column = COLUMN[row.metric]
    ours = f"{row.mean:.{column.decimals}f}"
    published, difference = f"{row.published:.{column.decimals}f}", f"{row.difference:+.{column.decimals}f}"
    in_errors = NOTHING if math.isnan(row.in_errors) else f"{row.in_errors:+.1f}"
    return [row.method, column.label, ours, published, difference, in_errors]
