"""Whether the metrics put the methods into the same order: Kendall's tau between each two of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations

import pandas

from unlearning.tables.cells import ORACLE
from unlearning.tables.columns import COLUMN

LEAST_METHODS = 4
"""Three methods have six orders: tau between them says nothing."""

COLUMNS = ["benchmark", "metric", "other", "methods", "tau"]


def agreement(summary: pandas.DataFrame, kinds: pandas.Series) -> pandas.DataFrame:
    """Return agreement.csv: tau-b between each two metrics over the methods and controls of a benchmark.

    ``summary`` has the means, ``kinds`` the kind of each method. Values are turned so that a higher one is better: a
    metric to compare with the oracle counts by minus its distance to the oracle's mean. A metric with which all methods
    are level has no order, and is left out.
    """
    rows = []
    ranked = [name for name, kind in kinds.items() if kind not in ("reference", "external")]
    for benchmark, its in summary.groupby("benchmark", sort=False):
        means = its.pivot(index="method", columns="metric", values="mean")
        metrics = [name for name in dict.fromkeys(its["metric"]) if name in COLUMN and COLUMN[name].better]
        turned = pandas.DataFrame({metric: _turned(means, metric, ranked) for metric in metrics})
        known = turned.notna().astype(int)
        tau, methods = turned.corr(method="kendall", min_periods=LEAST_METHODS), known.T @ known
        for metric, other in combinations(turned, 2):
            if not math.isnan(tau.loc[metric, other]):
                rows.append((benchmark, metric, other, methods.loc[metric, other], tau.loc[metric, other]))
    return pandas.DataFrame(rows, columns=COLUMNS)


def _turned(means: pandas.DataFrame, metric: str, methods: Sequence[str]) -> pandas.Series:
    of_oracle = means[metric].get(ORACLE, math.nan)
    return COLUMN[metric].merit(means.loc[means.index.isin(methods), metric], of_oracle)


def mean_matrix(agreed: pandas.DataFrame, metrics: Sequence[str]) -> pandas.DataFrame:
    """Return tau between each two of ``metrics``, mean over the benchmarks of agreement.csv; NaN where unknown."""
    means = agreed.groupby(["metric", "other"])["tau"].mean()
    both_ways = {**means, **{(other, metric): tau for (metric, other), tau in means.items()}}
    rows = [[1.0 if a == b else both_ways.get((a, b)) for b in metrics] for a in metrics]
    return pandas.DataFrame(rows, index=list(metrics), columns=list(metrics), dtype=float)
