"""The results of a calibration: cells -> `rows_of_calibration` -> calibration.csv -> `render_calibration`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any

import numpy as np
import pandas

from unlearning.evaluation.metrics import METRICS, unlearn_score
from unlearning.tables.columns import COLUMN, Column
from unlearning.tables.intervals import LEAST_FOR_A_SIGN, SIGNIFICANT, holm, p_value, spread
from unlearning.tables.markdown import markdown_table, mean_with_range

Row = dict[str, Any]

CHOSEN = "as chosen"
AUGMENTED = "members augmented"
TIES = "ties by position"
BOTH = f"{AUGMENTED}, {TIES}"

OF_MODELS = ("retain_acc", "forget_acc")
"""The metrics that another attack on the same models cannot change."""


def rows_of_calibration(
    cells: Sequence[Row], scores: Sequence[Mapping[str, np.ndarray]], choices: Mapping[str, str]
) -> list[Row]:
    """Return the rows of calibration.csv: the choice that each cell changes, and the protocol's metrics.

    ``cells`` are the contents of the metrics.json files, ``scores`` the contents of the scores.npz files next to them.
    ``choices`` maps a suffix of the benchmark's data set or of the method to the choice. Each cell has further rows:
    with the AUC for augmented member images, for ties that are broken by position, and for both. A cell that is not ok
    has no metrics and one row.
    """
    rows = []
    for cell, its in zip(cells, scores, strict=True):
        row = {name: cell[name] for name in ("benchmark", "method", "seed", "status")}
        row |= {name: cell.get(name) for name in METRICS}
        suffix = next((suffix for suffix in choices if suffix in f"{cell['benchmark']} {cell['method']}"), "")
        row |= {name: row[name].replace(suffix, "") for name in ("benchmark", "method")}
        rows.append({"choice": choices.get(suffix, CHOSEN)} | row)
        if cell["status"] == "ok":
            others = its["non_member_logits"]
            areas = {
                AUGMENTED: cell["forget_mia_auc_augmented"],
                TIES: auc_by_position(its["member_logits"], others),
                BOTH: auc_by_position(its["augmented_member_logits"], others),
            }
            before = f"{choices[suffix]}, " if suffix else ""
            rows += [{"choice": before + name} | row | _with_auc(row, area) for name, area in areas.items()]
    return rows


def _with_auc(row: Row, auc: float) -> Row:
    score = unlearn_score(row["retain_acc"], row["forget_acc"], auc)
    return {"forget_mia_auc": auc, "unlearn_score": score}


def auc_by_position(member_logits: np.ndarray, non_member_logits: np.ndarray) -> float:
    """Return the AUC if ties are ranked by position, members first, with a softmax in float32; logits (N, classes).

    A member then loses every tie. If a model is sure of every image, nearly all pairs are ties.
    """
    members, non_members = (_confidence32(logits) for logits in (member_logits, non_member_logits))
    below = np.searchsorted(np.sort(non_members), members, "left")
    return float(below.sum() / (len(members) * len(non_members)))


def _confidence32(logits: np.ndarray) -> np.ndarray:
    shifted = logits.astype(np.float32) - logits.max(axis=1, keepdims=True).astype(np.float32)
    exponentials = np.exp(shifted)
    return (exponentials / exponentials.sum(axis=1, keepdims=True)).max(axis=1)


def render_calibration(rows: Sequence[Row], published: pandas.DataFrame) -> str:
    """Return the tables for the rows of calibration.csv in Markdown, one section per benchmark.

    ``published`` has the published rows of the benchmarks that were run as published.
    """
    cells = pandas.DataFrame(rows)
    parts = [LEGEND]
    for benchmark, its in cells.groupby("benchmark", sort=False):
        theirs = published[(published["benchmark"] == benchmark) & (published["type"] == "baseline")]
        parts += [f"### {benchmark}", *_blocks(its, theirs.set_index("entry"))]
    return "\n\n".join(parts) + "\n"


LEGEND = (
    "The baselines run again, each time with one unpublished choice of the protocol changed, and the attack's choices "
    "beside it, where they matter. Mean over seeds (smallest – largest; with five seeds or more, 95 % Student "
    "interval). ▲ and ▼: the difference to the protocol as chosen is not zero, by the paired t-test over seeds after "
    "Holm's correction (5 %) within a table; with one or two seeds there is no sign. –: not run. (n of N seeds): the "
    "other seeds failed or diverged."
)


def _blocks(cells: pandas.DataFrame, published: pandas.DataFrame) -> list[str]:
    methods = [name for name in dict.fromkeys(cells["method"]) if name != "original"]
    choices = list(dict.fromkeys(cells["choice"]))
    blocks = []
    for column in (COLUMN[metric] for metric in METRICS):
        values = cells.pivot(index="seed", columns=["choice", "method"], values=column.name)
        of_attack = (AUGMENTED, TIES) if column.name in OF_MODELS else ()
        shown_choices = [choice for choice in choices if not choice.endswith(of_attack)]
        signs = _signs(values, shown_choices, methods)
        table = [
            [choice, *(_shown(values, choice, name, column, signs) for name in methods)] for choice in shown_choices
        ]
        if len(published):
            theirs = [published[column.name].get(method) for method in methods]
            shown = ["–" if value is None else f"{value:.{column.decimals}f}" for value in theirs]
            table.insert(0, ["*published*", *shown])
        blocks += [f"`{column.label}` {column.arrow}", markdown_table(table, ["choice", *methods])]
    distances = _distances(cells, published)
    if distances is not None:
        blocks += [
            "Distance of the means to the published values, mean over the baselines (only choices with results of all "
            "baselines and seeds):",
            distances,
        ]
    return blocks


def _signs(values: pandas.DataFrame, choices: Sequence[str], methods: Sequence[str]) -> dict[tuple[str, str], str]:
    """Return ▲ or ▼ by choice and method, where the difference to the protocol as chosen is not zero."""
    tested = {}
    for choice, method in product(choices, methods):
        if choice != CHOSEN and {(choice, method), (CHOSEN, method)} <= set(values):
            differences = (values[choice, method] - values[CHOSEN, method]).dropna()
            probability = p_value(differences)
            if probability is not None and len(differences) >= LEAST_FOR_A_SIGN:
                tested[choice, method] = (probability, "▲" if differences.mean() > 0 else "▼")
    corrected = holm([probability for probability, _ in tested.values()])
    return {key: tested[key][1] for key, its in zip(tested, corrected, strict=True) if its < SIGNIFICANT}


def _shown(
    values: pandas.DataFrame, choice: str, method: str, column: Column, signs: Mapping[tuple[str, str], str]
) -> str:
    if (choice, method) not in values:
        return "–"
    its = values[choice, method].dropna()
    if its.empty:
        return "failed"
    shown = mean_with_range(its.mean(), *spread(its, column.bounds), column.decimals)
    if len(its) < len(values):
        shown += f" ({len(its)} of {len(values)} seeds)"
    return f"{shown} {signs.get((choice, method), '')}".rstrip()


def _distances(cells: pandas.DataFrame, published: pandas.DataFrame) -> str | None:
    """Return the table of distances, or None if no choice has results of all baselines and seeds."""
    ours = cells[cells["method"].isin(published.index)]
    counts = ours[ours["status"] == "ok"].groupby("choice").size()
    ours = ours[ours["choice"].map(counts) == ours["method"].nunique() * ours["seed"].nunique()]
    if ours.empty:
        return None
    ours = ours.groupby(["choice", "method"], sort=False)[list(METRICS)].mean()
    distances = (ours - published.loc[ours.index.get_level_values("method"), list(METRICS)].to_numpy()).abs()
    columns = [COLUMN[metric] for metric in METRICS]
    rows = [
        [choice, *(f"{row[column.name]:.{column.decimals}f}" for column in columns)]
        for choice, row in distances.groupby("choice", sort=False).mean().iterrows()
    ]
    return markdown_table(rows, ["choice", *(column.label for column in columns)])
