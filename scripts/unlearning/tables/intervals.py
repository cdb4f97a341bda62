"""Means over seeds with Student's intervals, and differences paired by seed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache

import pandas
from scipy.stats import t as student

CONFIDENCE = 0.95
ROUNDING = 1e-9
"""Differences that are all equal but for this much have no meaningful spread (as accuracies on few images may have)."""


def half_width(values: pandas.Series) -> float | None:
    """Return half the width of Student's 95 % confidence interval of the mean; None for fewer than two values."""
    if len(values) < 2:
        return None
    return float(_quantile(len(values) - 1) * values.sem())


@cache
def _quantile(degrees_of_freedom: int) -> float:
    return student.ppf((1 + CONFIDENCE) / 2, degrees_of_freedom)


def summary(
    metrics: pandas.DataFrame, columns: Sequence[str], standard_errors: Mapping[str, str] | None = None
) -> pandas.DataFrame:
    """Return summary.csv: mean and interval of each of ``columns`` of metrics.csv over seeds.

    One row per benchmark, method and column for which at least one seed has a value. ``standard_errors`` names the
    columns that have the standard error of another one; it is taken over where there is one seed.
    """
    rows = []
    for (benchmark, method), cells in metrics.groupby(["benchmark", "method"], sort=False):
        for metric in columns:
            values = cells[metric].dropna().astype(float)
            if len(values):
                error = cells.loc[values.index].get((standard_errors or {}).get(metric))
                error = error.iloc[0] if error is not None and len(values) == 1 else None
                rows.append((benchmark, method, metric, len(values), values.mean(), half_width(values), error))
    names = ["benchmark", "method", "metric", "seeds", "mean", "half_width", "standard_error"]
    return pandas.DataFrame(rows, columns=names)


def paired_differences(metrics: pandas.DataFrame, columns: Sequence[str]) -> pandas.DataFrame:
    """Return comparisons.csv: the difference of every method, control and reference to every baseline, paired by seed.

    One row per benchmark, method, baseline and column of metrics.csv for which at least one seed has both values: mean
    difference, half of its interval, and whether the interval excludes zero. The last two are None for one seed, the
    last also if all differences are equal.
    """
    rows = []
    for benchmark, cells in metrics.groupby("benchmark", sort=False):
        methods = cells["method"].unique()
        baselines = cells.loc[cells["kind"] == "baseline", "method"].unique()
        for metric in columns:
            values = cells.pivot(index="seed", columns="method", values=metric).astype(float)
            for method in methods:
                for baseline in baselines:
                    differences = (values[method] - values[baseline]).dropna()
                    if method != baseline and len(differences):
                        half = half_width(differences)
                        excludes_zero = None if not half or half < ROUNDING else bool(abs(differences.mean()) > half)
                        row = (len(differences), differences.mean(), half, excludes_zero)
                        rows.append((benchmark, method, baseline, metric, *row))
    names = ["benchmark", "method", "baseline", "metric", "seeds", "difference", "half_width", "excludes_zero"]
    return pandas.DataFrame(rows, columns=names)
