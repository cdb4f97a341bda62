"""Means over seeds with their spread, and differences paired by seed with their tests."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import cache
from itertools import product
from typing import Any, TypeAlias

import numpy as np
import pandas
from scipy.special import stdtr, stdtrit

from unlearning.tables.columns import COLUMN

CONFIDENCE = 0.95
LEAST_FOR_AN_INTERVAL = 5
"""With fewer values the range says more: Student's interval of three accuracies is 4.3 standard errors wide."""

LEAST_FOR_A_SIGN = 3
"""With two pairs, Student's interval is 12.7 standard errors wide: no difference would get a sign."""

SIGNIFICANT = 0.05
"""A difference gets a sign if its p-value, after Holm's correction, is smaller."""

ROUNDING = 1e-9
"""Differences that are all equal but for this much have no meaningful spread (as accuracies on few images may have)."""

UNBOUNDED = (float("-inf"), float("inf"))

Values: TypeAlias = "pandas.Series | np.ndarray"


def half_width(values: Values) -> float | None:
    """Return half the width of Student's 95 % confidence interval of the mean; None for fewer than two values."""
    if len(values) < 2:
        return None
    return _quantile(len(values) - 1) * _standard_error(values)


@cache
def _quantile(degrees_of_freedom: int) -> float:
    return float(stdtrit(degrees_of_freedom, (1 + CONFIDENCE) / 2))


def _standard_error(values: Values) -> float:
    array = np.asarray(values, dtype=float)
    return float(array.std(ddof=1) / np.sqrt(len(array)))


def spread(values: pandas.Series, bounds: tuple[float, float] = UNBOUNDED) -> tuple[float | None, float | None]:
    """Return the ends of what is shown behind a mean.

    None with one value; the smallest and the largest of two to four values; from five on Student's 95 % interval of the
    mean, cut off at the metric's ``bounds``.
    """
    if len(values) < 2:
        return None, None
    if len(values) < LEAST_FOR_AN_INTERVAL:
        return float(values.min()), float(values.max())
    half = half_width(values) or 0.0
    return max(float(values.mean()) - half, bounds[0]), min(float(values.mean()) + half, bounds[1])


def p_value(differences: Values) -> float | None:
    """Return the p-value of Student's paired t-test; None for one difference, or where all are equal."""
    half = half_width(differences)
    if half is None or half < ROUNDING:
        return None
    statistic = abs(float(differences.mean())) / _standard_error(differences)
    return float(2 * stdtr(len(differences) - 1, -statistic))


def holm(p_values: Sequence[float]) -> list[float]:
    """Return the p-values after Holm's correction, in the same order (Holm, Scandinavian Journal of Statistics 1979).

    Rejecting where a corrected value is below alpha keeps the probability of any false rejection below alpha, whatever
    the dependence between the tests.
    """
    corrected = [0.0] * len(p_values)
    largest = 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[index]))
        corrected[index] = largest
    return corrected


def summary(metrics: pandas.DataFrame, columns: Sequence[str]) -> pandas.DataFrame:
    """Return the mean and spread of each of ``columns`` of metrics.csv over the cells of a benchmark and method.

    Of cells pooled over classes, the spread is that of the classes' means: the seeds of a class are no further classes.
    One row per benchmark, method and column for which at least one cell has a value: the first columns of summary.csv.
    """
    rows = []
    for (benchmark, method), cells in metrics.groupby(["benchmark", "method"], sort=False):
        for metric in columns:
            values = cells[metric].dropna().astype(float)
            if len(values):
                deviation = float(values.std()) if len(values) > 1 else None
                apart = values.groupby(cells[ALL_CLASSES]).mean() if ALL_CLASSES in cells else values
                ends = (None, None) if _is_shared(metric) else spread(apart, _bounds(metric))
                rows.append((benchmark, method, metric, len(values), values.mean(), *ends, deviation))
    names = ["benchmark", "method", "metric", "seeds", "mean", "low", "high", "deviation"]
    return pandas.DataFrame(rows, columns=names)


def _is_shared(metric: str) -> bool:
    return metric in COLUMN and COLUMN[metric].is_shared_by_seeds


def _bounds(metric: str) -> tuple[float, float]:
    return COLUMN[metric].bounds if metric in COLUMN else UNBOUNDED


ALL_CLASSES = "of_class"
"""In cells pooled over classes (see `unlearning.tables.classes`), the column with the benchmark of one class."""

COMPARISON = [
    *("benchmark", "method", "baseline", "metric"),
    *("seeds", "difference", "half_width", "p_value", "p_holm", "has_other_device"),
]
"""The columns of comparisons.csv."""

Devices = Mapping[tuple[str, str, int], str]
"""The device on which a model was made, by benchmark, method and seed."""


def paired_differences(
    metrics: pandas.DataFrame,
    columns: Sequence[str],
    collapsed: Mapping[str, Collection[str]] | None = None,
    devices: Devices | None = None,
) -> pandas.DataFrame:
    """Return comparisons.csv: the difference of every method, control and reference to every baseline, paired by seed.

    One row per benchmark, method, baseline and column of metrics.csv for which at least one seed has both values. Cells
    pooled over classes are paired by class and seed; each class then gives one difference, the mean over its seeds.
    ``collapsed`` names the baselines of a benchmark that no test is made against, and none is made with a method that
    lacks an ok cell: the table shows no difference of it. Nor is there an interval or a test for a metric that all
    seeds share, such as that of U-LiRA's shadow models.
    """
    rows: list[dict[str, Any]] = []
    for benchmark, cells in metrics.groupby("benchmark", sort=False):
        kinds = dict(cells.drop_duplicates("method").set_index("method")["kind"])
        baselines = [name for name, kind in kinds.items() if kind == "baseline"]
        pairs = [(name, baseline) for name, baseline in product(kinds, baselines) if name != baseline]
        untested = set((collapsed or {}).get(benchmark, ()))
        broken = set(cells["method"][cells["status"] != "ok"]) if "status" in cells else set()
        for metric in columns:
            values = cells.pivot(index=_pair_of(cells), columns="method", values=metric).astype(float)
            of_method = dict(values.items())
            of_metric = []
            for method, baseline in pairs:
                row = _difference(of_method[method], of_method[baseline], devices or {})
                if row is not None:
                    names = {"benchmark": benchmark, "method": method, "baseline": baseline, "metric": metric}
                    if _is_shared(metric):
                        row |= {"half_width": None, "p_value": None}
                    is_tested = (
                        kinds[method] != "reference" and baseline not in untested and not {method, baseline} & broken
                    )
                    of_metric.append({**names, **row, "is_tested": is_tested})
            rows += _corrected(of_metric)
    return pandas.DataFrame(rows, columns=COMPARISON)


def _pair_of(cells: pandas.DataFrame) -> list[str]:
    return [ALL_CLASSES if ALL_CLASSES in cells else "benchmark", "seed"]


def _difference(own: pandas.Series, its: pandas.Series, devices: Devices) -> dict[str, Any] | None:
    differences = (own - its).dropna()
    if differences.empty:
        return None
    known = [
        {devices.get((of, str(name), seed)) for name in (own.name, its.name)} - {None} for of, seed in differences.index
    ]
    if differences.index.names[0] == ALL_CLASSES:
        differences = differences.groupby(ALL_CLASSES).mean()
    of_pairs = differences.to_numpy()
    return {
        "seeds": len(of_pairs),
        "difference": of_pairs.mean(),
        "half_width": half_width(of_pairs),
        "p_value": p_value(of_pairs),
        "has_other_device": any(len(both) > 1 for both in known),
    }


def _corrected(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Add Holm's p-values to the rows of one benchmark and metric; a pair of baselines counts as one test."""
    tested = [row for row in rows if row.pop("is_tested") and row["p_value"] is not None]
    tested = [row for row in tested if row["seeds"] >= LEAST_FOR_A_SIGN]
    p_values = {frozenset((row["method"], row["baseline"])): row["p_value"] for row in tested}
    corrected = dict(zip(p_values, holm(list(p_values.values())), strict=True))
    for row in tested:
        row["p_holm"] = corrected[frozenset((row["method"], row["baseline"]))]
    return rows
