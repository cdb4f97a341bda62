"""make docs: fill the tables of docs/own-method.md from the results in results/reference/.

A table stands between two marks, <!-- table SUITE BENCHMARK --> or <!-- sweep SUITE --> and <!-- end -->.
"""

import sys
from typing import Any

import pandas

from commands.verify import REFERENCE, numbers_of
from unlearning.files import read_table, write_text
from unlearning.tables.intervals import half_width
from unlearning.tables.markdown import DECIMALS, fill_marked, markdown_table, mean_with_interval
from unlearning.watched_code import SCRIPTS

PAGE = SCRIPTS.parent / "docs" / "own-method.md"

OWN = "mask_and_average"
COLUMNS = {
    "retain_acc": "retain_acc ↑",
    "forget_acc": "forget_acc ↓",
    "forget_mia_auc": "AUC",
    "unlearn_score": "unlearn_score ↑",
    "mean_abs_gap": "gap to oracle ↓",
    "js_to_oracle": "JS to oracle ↓",
    "probe_acc": "probe →",
    "relearn_epochs": "relearn →",
}
SWEPT = {
    "retain_acc": "retain_acc ↑",
    "forget_mia_auc_two_sided": "AUC two-sided ↓",
    "unlearn_score": "unlearn_score ↑",
    "mean_abs_gap": "gap to oracle ↓",
}


def page() -> str:
    """Return the text that docs/own-method.md must have."""
    return fill_marked(PAGE.read_text(encoding="utf-8"), {"table": table, "sweep": sweep_table})


def table(suite: str, benchmark: str) -> str:
    """Return the table of one benchmark of a suite: means over seeds, with Student's intervals if there are several.

    The last columns are the score's difference to our method, paired by seed, and the ratio of the seconds to
    retain_finetune in the same suite, if the suite has it.
    """
    metrics, costs = numbers_of(suite)
    cells = metrics[metrics["benchmark"] == benchmark]
    scores = cells.pivot(index="seed", columns="method", values="unlearn_score")
    seconds = costs[(costs["rule"] == "unlearn") & (costs["benchmark"] == benchmark)]
    seconds = seconds.groupby("method")["training_seconds"].sum()
    rows = []
    for method, values in cells.groupby("method", sort=False):
        row = [f"**{method}**" if method.startswith(OWN) else method]
        row += [shown(values[column], decimals=1 if column == "relearn_epochs" else DECIMALS) for column in COLUMNS]
        row.append("–" if method == OWN else shown((scores[method] - scores[OWN]).dropna(), sign="+"))
        ratio = seconds.get(method, float("nan")) / seconds.get("retain_finetune", float("nan"))
        rows.append([*row, "–" if pandas.isna(ratio) else f"{ratio:.1f}"])
    titles = ["method", *COLUMNS.values(), f"score − {OWN}'s", "× finetune's s"]
    if all(row[-1] == "–" for row in rows):
        titles, rows = titles[:-1], [row[:-1] for row in rows]
    return markdown_table(rows, titles)


def sweep_table(suite: str) -> str:
    """Return the settings that a sweep of the suite tried: means over its benchmarks."""
    tried = read_table(REFERENCE / f"{suite}-sweep.csv").dropna(subset="setting")
    means = tried.groupby(["method", "setting"], sort=False)[list(SWEPT)].mean()
    rows = [[*key, *(f"{value:.{DECIMALS}f}" for value in values)] for key, values in means.iterrows()]
    return markdown_table(rows, ["row of the table", "setting", *SWEPT.values()])


def shown(values: pandas.Series, **form: Any) -> str:
    return mean_with_interval(values.mean(), half_width(values), **form)


def main() -> int:
    write_text(PAGE, page())
    return 0


if __name__ == "__main__":
    sys.exit(main())
