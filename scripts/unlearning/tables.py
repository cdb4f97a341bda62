"""The comparison table in Markdown, made to be read both as text and rendered."""

from __future__ import annotations

import pandas
from scipy.stats import t as student
from tabulate import tabulate

from unlearning.config import REFERENCES
from unlearning.metrics import METRICS

HIGHER_IS_BETTER = {"retain_acc": True, "forget_acc": False, "forget_mia_auc": False, "unlearn_score": True}
REFERENCE_LABELS = {"original": "*original* (before unlearning)", "retrain": "*retrain* (the oracle)"}
DECIMALS = 3


def render_table(metrics: pandas.DataFrame, costs: pandas.DataFrame, suite: str) -> str:
    """Return the table of a suite; benchmarks and methods come in the order of ``metrics`` (metrics.csv).

    ``costs`` (costs.csv) says on which device and with which versions the cells were made.
    """
    seeds = [str(seed) for seed in sorted(metrics["seed"].unique())]
    header = [
        f"# Unlearning Bench: suite `{suite}`",
        "",
        f"Seeds {', '.join(seeds)} · {_made_on(costs)}",
        "",
        _legend(len(seeds)),
    ]
    blocks = [_block(name, cells) for name, cells in metrics.groupby("benchmark", sort=False)]
    return "\n".join(header) + "\n\n" + "\n\n".join(blocks) + "\n"


def _made_on(costs: pandas.DataFrame) -> str:
    """Return e.g. "cpu, 1 thread a job · torch 2.13.0, Python 3.11.7"; several where the jobs differ."""
    values = {
        name: ", ".join(sorted(map(str, costs[name].unique()))) for name in ("device", "threads", "torch", "python")
    }
    threads = "1 thread" if values["threads"] == "1" else f"{values['threads']} threads"
    return f"{values['device']}, {threads} a job · torch {values['torch']}, Python {values['python']}"


def _legend(seeds: int) -> str:
    spread = f"Mean ± 95 % Student interval over {seeds} seeds." if seeds > 1 else "One seed, hence no interval."
    return f"{spread} **Bold**: the best method of a column. *References* are no methods and do not compete."


def _block(benchmark: str, cells: pandas.DataFrame) -> str:
    by_method = dict(list(cells.groupby("method", sort=False)))
    references = [name for name in REFERENCES if name in by_method]
    methods = [name for name in by_method if name not in REFERENCES]
    best = _best(by_method, methods)
    rows = [[REFERENCE_LABELS[name], *_row(by_method[name], {})] for name in references]
    rows.append([""] * (1 + len(METRICS)))  # sets the references apart
    rows += [[name, *_row(by_method[name], best)] for name in methods]
    titles = ["method", *(f"{metric} {'↑' if HIGHER_IS_BETTER[metric] else '↓'}" for metric in METRICS)]
    alignment = ["left", *["right"] * len(METRICS)]
    return f"## {benchmark}\n\n" + tabulate(rows, titles, "pipe", colalign=alignment, disable_numparse=True)


def _best(by_method: dict[str, pandas.DataFrame], methods: list[str]) -> dict[str, float]:
    """Return the best mean of each metric, as shown, so that what looks equal is bold alike."""
    best = {}
    for metric in METRICS:
        means = [round(by_method[name][metric].mean(), DECIMALS) for name in methods if _is_whole(by_method[name])]
        if means:
            best[metric] = max(means) if HIGHER_IS_BETTER[metric] else min(means)
    return best


def _is_whole(rows: pandas.DataFrame) -> bool:
    return bool((rows["status"] == "ok").all())


def _row(rows: pandas.DataFrame, best: dict[str, float]) -> list[str]:
    if not _is_whole(rows):
        failed = rows.loc[rows["status"] != "ok", "status"]
        return [f"{failed.iloc[0]} ({len(failed)} of {len(rows)} seeds)", *["–"] * (len(METRICS) - 1)]
    return [_cell(rows[metric], best.get(metric)) for metric in METRICS]


def _cell(values: pandas.Series, best: float | None) -> str:
    mean = round(values.mean(), DECIMALS)
    shown = f"{mean:.{DECIMALS}f}"
    if mean == best:
        shown = f"**{shown}**"
    if len(values) > 1:
        shown += f" ± {half_width(values):.{DECIMALS}f}"
    return shown


def half_width(values: pandas.Series, confidence: float = 0.95) -> float:
    """Return half the width of Student's confidence interval of the mean of two or more values."""
    return float(student.ppf((1 + confidence) / 2, len(values) - 1) * values.sem())
