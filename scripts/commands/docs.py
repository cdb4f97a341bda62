"""make docs: write the generated pages, and fill the generated tables of the others from results/reference/.

docs/methods.md comes from the docstrings of the methods, docs/configuration.md from the schema, metrics.md from the
definitions of the columns, docs/figures/ from kept numbers. Tables stand between <!-- end --> and one of these marks:

    docs/own-method.md          <!-- table SUITE BENCHMARK [COLUMNS [METHODS]] -->, <!-- sweep NAME METHOD -->
    docs/on-trial.md            <!-- table ... -->
    docs/calibration.md         <!-- calibration NAME -->, <!-- augmented SUITE BENCHMARK [METHODS] -->
    docs/methods-measured.md    <!-- table ... -->, and those of `unlearning.tables.measured`
"""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas
from matplotlib.figure import Figure

from commands import run, tells_mistakes
from unlearning.config.model import Config
from unlearning.config.reading import CONFIG, SCHEMA, read_config, read_yaml, shipped_config
from unlearning.evaluation.metrics import METRICS
from unlearning.figures.attack import attack, from_arrays
from unlearning.figures.output import save, styled
from unlearning.figures.scores import scores
from unlearning.figures.tradeoff import tradeoff
from unlearning.files import read_arrays, read_table, write_text
from unlearning.paths import PUBLISHED
from unlearning.shown_paths import STYLE
from unlearning.tables.calibration import render_calibration
from unlearning.tables.cells import ORACLE
from unlearning.tables.columns import COLUMN, render_dictionary
from unlearning.tables.configuration_page import render_configuration
from unlearning.tables.intervals import half_width
from unlearning.tables.markdown import fill_marked, markdown_table, mean_with_interval
from unlearning.tables.measured import MAKERS, Measured, mean_with_level
from unlearning.tables.pages import render_catalogue
from unlearning.tables.reference import ATTACK, REFERENCE, numbers_of
from unlearning.watched_code import SCRIPTS

DOCS = SCRIPTS.parent / "docs"
SMALL_SUITES = SCRIPTS.parent / "workflow/suites/small.yaml"

RANKING, SHOWN_FIRST = "fashion", "resnet20-fashion-class0"
"""The suite on which methods differ, and the benchmark of it that the README shows."""

OWN = "mask_and_average"
OURS = (OWN, f"{OWN}_score", "renew_and_distill", "renew_and_distill_last", "flatten_kl", "flatten_spread")
RETAIN, AUC, SCORE = (COLUMN[name] for name in ("retain_acc", "forget_mia_auc", "unlearn_score"))
USUAL = ",".join([*METRICS, "mean_abs_gap", "js_to_oracle", "probe_acc", "relearn_epochs_reset"])
SWEPT = [COLUMN[name] for name in ("retain_acc", "forget_mia_auc_two_sided", "unlearn_score", "mean_abs_gap")]


def pages() -> dict[Path, str]:
    """Return the text that each page must have. Raises UserError if a method does not say what the page wants."""
    config = shipped_config()
    files = {name: config.method_file(name) for name in config.methods}
    found = Measured(hyperparameters_of(read_config([CONFIG, SMALL_SUITES], {})))
    makers: dict[str, dict[str, Callable[..., str]]] = {
        "own-method": {"table": table, "sweep": sweep_table},
        "on-trial": {"table": table},
        "calibration": {"calibration": calibration_tables, "augmented": augmented_table},
        "methods-measured": {"table": table} | {mark: partial(maker, found) for mark, maker in MAKERS.items()},
    }
    reached = {name: found.line_of(name) for name in config.methods}
    filled = {DOCS / f"{page}.md": its for page, its in makers.items()}
    return {
        DOCS / "methods.md": render_catalogue(files, hyperparameters_of(config), reached),
        DOCS / "configuration.md": render_configuration(read_yaml(SCHEMA), read_yaml(CONFIG)),
        **{page: fill_marked(page.read_text(encoding="utf-8"), its) for page, its in filled.items()},
        REFERENCE / "metrics.md": render_dictionary(),
        **figures(),
    }


def figures() -> dict[Path, str]:
    """Return the figures that the README shows, as SVG, from the kept numbers of the suite that ranks."""
    kept, published = numbers_of(RANKING), read_table(PUBLISHED).iloc[:0]
    sides = from_arrays(read_arrays(REFERENCE / ATTACK.format(suite=RANKING)))
    with styled(str(STYLE)):
        drawn = {
            "tradeoff": tradeoff(kept.metrics, published, SHOWN_FIRST),
            "scores": scores(kept.metrics, kept.summary, published, SHOWN_FIRST),
            "attack": attack(kept.metrics, sides, SHOWN_FIRST),
        }
        return {DOCS / "figures" / f"{name}-{SHOWN_FIRST}.svg": as_svg(figure) for name, figure in drawn.items()}


def as_svg(figure: Figure) -> str:
    with TemporaryDirectory() as folder:
        file = Path(folder) / "figure.svg"
        save(figure, {"svg": str(file)})
        return file.read_text(encoding="utf-8")


def hyperparameters_of(config: Config) -> dict[str, Mapping[str, Any]]:
    return {name: its.hyperparameters for name, its in config.methods.items()}


def calibration_tables(name: str) -> str:
    """Return the tables of calibration-NAME.csv."""
    rows = read_table(REFERENCE / f"calibration-{name}.csv").to_dict("records")
    return render_calibration(rows, read_table(PUBLISHED))


def augmented_table(suite: str, benchmark: str, further: str = "") -> str:
    """Return a suite's oracle and published baselines beside what was published: accuracy, AUC and score.

    The AUC is for plain and for augmented members. Means over the seeds of a kept suite, published values in brackets.
    ``further`` has names of other methods, with commas between them. The last row is the mean distance of the baselines
    to the published values.
    """
    augmented = f"{AUC.name}_augmented"
    headings = {RETAIN.name: RETAIN.label, AUC.name: AUC.label, augmented: "members augmented", SCORE.name: SCORE.label}
    tables = numbers_of(suite).metrics, read_table(PUBLISHED)
    cells, published = (its[its["benchmark"] == benchmark] for its in tables)
    theirs = published[published["type"] == "baseline"].set_index("entry")
    theirs = theirs.assign(**{augmented: theirs[AUC.name]})[list(headings)]
    names = [ORACLE, *theirs.index, *filter(None, further.split(","))]
    means = cells.groupby("method", sort=False)[list(headings)].mean().loc[names]
    beside = theirs.reindex(means.index).map(lambda value: "" if pandas.isna(value) else f" ({value:.3f})")
    shown = means.map(lambda value: f"{value:.3f}") + beside
    distances = [f"{value:.3f}" for value in means.loc[theirs.index].sub(theirs).abs().mean()]
    rows = [[name, *its] for name, its in zip(shown.index, shown.to_numpy(), strict=True)]
    return markdown_table(
        [*rows, ["*mean distance to the published*", *distances]],
        ["method", *(f"{heading} (published)" for heading in headings.values())],
    )


def table(suite: str, benchmark: str, columns: str = "usual", methods: str = "") -> str:
    """Return the table of one benchmark of a suite: means over seeds, distances within the noise floor marked.

    ``columns`` and ``methods`` have names with commas between them; "usual" stands for those of `USUAL`, and no methods
    for all. The last columns are the score's difference to `OWN`, paired by seed, and the ratio of the seconds to
    retain_finetune, if the suite has them.
    """
    shown = [COLUMN[name] for name in (USUAL if columns == "usual" else columns).split(",")]
    numbers = numbers_of(suite)
    cells, costs = (each[each["benchmark"] == benchmark] for each in (numbers.metrics, numbers.costs))
    scores = cells.pivot(index="seed", columns="method", values=SCORE.name)
    seconds = costs[costs["rule"] == "unlearn"].groupby("method")["training_seconds"].sum()
    means = numbers.summary[numbers.summary["benchmark"] == benchmark].set_index(["method", "metric"])
    rows = []
    for method in methods.split(",") if methods else cells["method"].unique():
        row = [f"**{method}**" if method in OURS else method]
        row += [mean_with_level(means, method, column) for column in shown]
        row.append("–" if method == OWN or OWN not in scores else difference((scores[method] - scores[OWN]).dropna()))
        ratio = seconds.get(method, float("nan")) / seconds.get("retain_finetune", float("nan"))
        rows.append([*row, "–" if pandas.isna(ratio) else f"{ratio:.1f}"])
    titles = ["method", *(column.heading for column in shown), f"score − {OWN}'s", "× finetune's s"]
    are_used = [any(row[place] != "–" for row in rows) for place in range(len(titles))]
    titles, *rows = ([cell for cell, is_used in zip(row, are_used, strict=True) if is_used] for row in [titles, *rows])
    return markdown_table(rows, titles)


def difference(scores: pandas.Series) -> str:
    return mean_with_interval(scores.mean(), half_width(scores), SCORE.decimals, sign="+")


def sweep_table(name: str, method: str) -> str:
    """Return the settings of NAME-sweep.csv, of the methods that begin with ``method``: means over its benchmarks."""
    tried = read_table(REFERENCE / f"{name}-sweep.csv").dropna(subset="setting")
    tried = tried[tried["method"].str.startswith(method)]
    means = tried.groupby(["method", "setting"], sort=False)[[column.name for column in SWEPT]].mean()
    rows = [
        [*key, *(f"{values[column.name]:.{column.decimals}f}" for column in SWEPT)] for key, values in means.iterrows()
    ]
    return markdown_table(rows, ["row of the table", "setting", *(column.heading for column in SWEPT)])


@tells_mistakes
def main() -> int:
    for path, text in pages().items():
        write_text(path, text)
    return 0


if __name__ == "__main__":
    run(main)
