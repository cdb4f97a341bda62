"""make docs: fill the tables of docs/own-method.md from the results in results/reference/.

A table stands between two marks, <!-- table SUITE BENCHMARK --> or <!-- sweep SUITE --> and <!-- end -->.
"""

import sys

import pandas

from commands.verify import REFERENCE, numbers_of
from unlearning.evaluation.metrics import METRICS
from unlearning.files import read_table, write_text
from unlearning.tables.columns import COLUMN
from unlearning.tables.intervals import half_width
from unlearning.tables.markdown import fill_marked, markdown_table, mean_with_interval
from unlearning.watched_code import SCRIPTS

PAGE = SCRIPTS.parent / "docs" / "own-method.md"

OWN = "mask_and_average"
SCORE = COLUMN["unlearn_score"]
COLUMNS = [COLUMN[name] for name in (*METRICS, "mean_abs_gap", "js_to_oracle", "probe_acc", "relearn_epochs")]
SWEPT = [COLUMN[name] for name in ("retain_acc", "forget_mia_auc_two_sided", "unlearn_score", "mean_abs_gap")]


def page() -> str:
    """Return the text that docs/own-method.md must have."""
    return fill_marked(PAGE.read_text(encoding="utf-8"), {"table": table, "sweep": sweep_table})


def table(suite: str, benchmark: str) -> str:
    """Return the table of one benchmark of a suite: means over seeds, with Student's intervals if there are several.

    The last columns are the score's difference to our method, paired by seed, and the ratio of the seconds to
    retain_finetune in the same suite, if the suite has it.
    """
    numbers = numbers_of(suite)
    cells, costs = (each[each["benchmark"] == benchmark] for each in (numbers.metrics, numbers.costs))
    scores = cells.pivot(index="seed", columns="method", values=SCORE.name)
    seconds = costs[costs["rule"] == "unlearn"].groupby("method")["training_seconds"].sum()
    means = numbers.summary[numbers.summary["benchmark"] == benchmark].set_index(["method", "metric"])
    rows = []
    for method in cells["method"].unique():
        row = [f"**{method}**" if method.startswith(OWN) else method]
        for column in COLUMNS:
            its = means.loc[(method, column.name)]
            row.append(mean_with_interval(its["mean"], its["half_width"], column.decimals))
        row.append("–" if method == OWN else difference((scores[method] - scores[OWN]).dropna()))
        ratio = seconds.get(method, float("nan")) / seconds.get("retain_finetune", float("nan"))
        rows.append([*row, "–" if pandas.isna(ratio) else f"{ratio:.1f}"])
    titles = ["method", *(column.heading for column in COLUMNS), f"score − {OWN}'s", "× finetune's s"]
    if all(row[-1] == "–" for row in rows):
        titles, rows = titles[:-1], [row[:-1] for row in rows]
    return markdown_table(rows, titles)


def difference(scores: pandas.Series) -> str:
    return mean_with_interval(scores.mean(), half_width(scores), SCORE.decimals, sign="+")


def sweep_table(suite: str) -> str:
    """Return the settings that a sweep of the suite tried: means over its benchmarks."""
    tried = read_table(REFERENCE / f"{suite}-sweep.csv").dropna(subset="setting")
    means = tried.groupby(["method", "setting"], sort=False)[[column.name for column in SWEPT]].mean()
    rows = [
        [*key, *(f"{values[column.name]:.{column.decimals}f}" for column in SWEPT)] for key, values in means.iterrows()
    ]
    return markdown_table(rows, ["row of the table", "setting", *(column.heading for column in SWEPT)])


def main() -> int:
    write_text(PAGE, page())
    return 0


if __name__ == "__main__":
    sys.exit(main())
