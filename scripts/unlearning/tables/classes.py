"""The mean over the forgotten classes of one model and data set."""

from __future__ import annotations

import pandas

from unlearning.tables.intervals import ALL_CLASSES

ANY_CLASS = "-class*"


def pretraining_of(benchmark: str) -> str:
    """Return the name that the pretraining of a benchmark has in costs.csv: all its classes share the model."""
    return benchmark.rsplit("-class", 1)[0]


def all_classes_of(benchmark: str) -> str:
    """Return the name under which the classes of a benchmark's model and data set stand together."""
    return pretraining_of(benchmark) + ANY_CLASS


def over_classes(metrics: pandas.DataFrame) -> pandas.DataFrame:
    """Return the cells of each model and data set of which several classes are forgotten, under one benchmark's name.

    The benchmark is called MODEL-DATASET-class*; the column ``of_class`` has the benchmark of the one class. No rows if
    each model and data set has one class.
    """
    pooled = metrics.assign(**{ALL_CLASSES: metrics["benchmark"]})
    pooled["benchmark"] = metrics["benchmark"].map(all_classes_of)
    classes = metrics["benchmark"].groupby(pooled["benchmark"]).transform("nunique")
    return pooled[classes > 1]


def floor_over_classes(floor: pandas.DataFrame) -> pandas.DataFrame:
    """Return floor.csv for all classes: the means over the classes of what is known of each."""
    pooled = over_classes(floor).drop(columns=ALL_CLASSES)
    grouped = pooled.groupby(["benchmark", "metric"], sort=False, as_index=False)
    return grouped.agg({"pairs": "sum", "mean": "mean", "furthest": "mean", "deviation": "mean"})


def errors_over_classes(errors: pandas.DataFrame) -> pandas.DataFrame:
    """Return image_errors.csv for all classes: the error of a mean over classes, which share no forget images."""
    pooled = over_classes(errors).drop(columns=ALL_CLASSES)
    grouped = pooled.groupby(["benchmark", "method", "metric"], sort=False, as_index=False)
    return grouped.agg({"seeds": "sum", "standard_error": lambda its: (its**2).sum() ** 0.5 / len(its)})
