"""Whether the metrics put the methods into the same order: Kendall's tau between each two of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations

import pandas

from unlearning.tables.cells import ORACLE
from unlearning.tables.classes import ANY_CLASS
from unlearning.tables.columns import COLUMN, TO_THE_ORACLE

LEAST_METHODS = 4
"""Three methods have six orders: tau between them says nothing."""

GAP = "gap_"
"""What the columns of the distances to the oracle's metrics begin with."""

COLUMNS = ["benchmark", "metric", "other", "methods", "tau"]


def agreement(
    summary: pandas.DataFrame, kinds: pandas.Series, distances: pandas.DataFrame | None = None
) -> pandas.DataFrame:
    """Return agreement.csv: tau-b between each two metrics over the methods and controls of a benchmark.

    ``summary`` has the means, ``kinds`` the kind of each method. Values are turned so that a higher one is better: a
    metric to compare with the oracle counts by minus its mean in ``distances`` (see `distances_to_oracle`), or where
    this is not given by minus the distance of its mean to the oracle's. A metric with which all methods are level has
    no order, and is left out.
    """
    rows = []
    ranked = [name for name, kind in kinds.items() if kind not in ("reference", "external")]
    for benchmark, its in summary.groupby("benchmark", sort=False):
        means = its.pivot(index="method", columns="metric", values="mean")
        metrics = [name for name in dict.fromkeys(its["metric"]) if name in COLUMN and COLUMN[name].better]
        apart = None if distances is None or benchmark not in distances.index else distances.loc[benchmark]
        turned = pandas.DataFrame({metric: _turned(means, metric, ranked, apart) for metric in metrics})
        known = turned.notna().astype(int)
        tau, methods = turned.corr(method="kendall", min_periods=LEAST_METHODS), known.T @ known
        for metric, other in combinations(turned, 2):
            if not math.isnan(tau.loc[metric, other]):
                rows.append((benchmark, metric, other, methods.loc[metric, other], tau.loc[metric, other]))
    return pandas.DataFrame(rows, columns=COLUMNS)


def distances_to_oracle(metrics: pandas.DataFrame) -> pandas.DataFrame:
    """Return, by benchmark and method, the mean distance of each metric to the oracle of the same seed.

    ``metrics`` is metrics.csv. A mean of distances, because deviations to both sides of the oracle are no likeness.
    """
    gaps = [name for name in metrics if name.startswith(GAP) and metrics[name].notna().any()]
    known = metrics[gaps].astype(float).abs().rename(columns=lambda name: name.removeprefix(GAP))
    return known.groupby([metrics["benchmark"], metrics["method"]], sort=False).mean()


def _turned(
    means: pandas.DataFrame, metric: str, methods: Sequence[str], apart: pandas.DataFrame | None
) -> pandas.Series:
    of_methods = means.index[means.index.isin(methods)]
    if COLUMN[metric].better == TO_THE_ORACLE and apart is not None and metric in apart:
        return -apart.reindex(of_methods)[metric].where(means.loc[of_methods, metric].notna())
    return COLUMN[metric].merit(means.loc[of_methods, metric], means[metric].get(ORACLE, math.nan))


def mean_matrix(agreed: pandas.DataFrame, metrics: Sequence[str]) -> pandas.DataFrame:
    """Return tau between each two of ``metrics``, mean over the benchmarks of agreement.csv; NaN where unknown.

    Rows for all classes together do not count: each class is there by itself.
    """
    agreed = agreed[~agreed["benchmark"].astype(str).str.endswith(ANY_CLASS)]
    means = agreed.groupby(["metric", "other"])["tau"].mean()
    both_ways = {**means, **{(other, metric): tau for (metric, other), tau in means.items()}}
    rows = [[1.0 if a == b else both_ways.get((a, b)) for b in metrics] for a in metrics]
    return pandas.DataFrame(rows, index=list(metrics), columns=list(metrics), dtype=float)
