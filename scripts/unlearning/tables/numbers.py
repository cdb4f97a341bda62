"""The numbers of a table: metrics.csv and costs.csv, and what follows from them, summary.csv and comparisons.csv."""

from __future__ import annotations

from dataclasses import dataclass

import pandas

from unlearning.tables.columns import COLUMN, COMPARED
from unlearning.tables.intervals import paired_differences, summary


@dataclass(frozen=True)
class Numbers:
    """The contents of the four files that a table is made from; `unlearning.tables.columns` has their columns."""

    metrics: pandas.DataFrame
    costs: pandas.DataFrame
    summary: pandas.DataFrame
    comparisons: pandas.DataFrame


def numbers_from(metrics: pandas.DataFrame, costs: pandas.DataFrame) -> Numbers:
    """Return all numbers for the contents of metrics.csv and costs.csv."""
    compared = [name for name in COMPARED if name in metrics]
    standard_errors = {name: COLUMN[name].standard_error for name in compared if COLUMN[name].standard_error}
    return Numbers(metrics, costs, summary(metrics, compared, standard_errors), paired_differences(metrics, compared))
