"""Means over seeds with Student's intervals, and differences paired by seed."""

from __future__ import annotations

import pandas
from scipy.stats import t as student

CONFIDENCE = 0.95
ROUNDING = 1e-9
"""Differences that are all alike, as accuracies on few images may be, say nothing about how they spread."""


def half_width(values: pandas.Series) -> float | None:
    """Return half the width of Student's 95 % confidence interval of the mean; None for fewer than two values."""
    if len(values) < 2:
        return None
    return float(student.ppf((1 + CONFIDENCE) / 2, len(values) - 1) * values.sem())


def summary(metrics: pandas.DataFrame, columns: list[str]) -> pandas.DataFrame:
    """Return mean and interval of each of ``columns`` of metrics.csv, one row for each benchmark, method and column."""
    rows = []
    for (benchmark, method), cells in metrics.groupby(["benchmark", "method"], sort=False):
        for metric in columns:
            values = cells[metric].dropna()
            if len(values):
                rows.append((benchmark, method, metric, len(values), values.mean(), half_width(values)))
    return pandas.DataFrame(rows, columns=["benchmark", "method", "metric", "seeds", "mean", "half_width"])


def paired_differences(metrics: pandas.DataFrame, columns: list[str]) -> pandas.DataFrame:
    """Return the difference of every method, control and reference to every baseline, paired by seed.

    One row for each benchmark, method, baseline and column of metrics.csv that at least one seed has for both:
    mean difference, half of its interval, and whether the interval excludes zero. Both are None for one seed, the
    latter also if all differences are alike.
    """
    rows = []
    for benchmark, cells in metrics.groupby("benchmark", sort=False):
        methods = cells["method"].unique()
        baselines = cells.loc[cells["kind"] == "baseline", "method"].unique()
        for metric in columns:
            values = cells.pivot(index="seed", columns="method", values=metric)
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
