"""The numbers of a table: what was measured, and what follows from it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas

from unlearning.files import read_arrays
from unlearning.paths import benchmark_of
from unlearning.tables import floor as noise
from unlearning.tables import image_errors
from unlearning.tables.agreement import agreement, distances_to_oracle
from unlearning.tables.cells import ORIGINAL
from unlearning.tables.classes import errors_over_classes, floor_over_classes, over_classes
from unlearning.tables.columns import COLUMN, COMPARED
from unlearning.tables.devices import devices_of
from unlearning.tables.intervals import paired_differences, summary
from unlearning.tables.limits import LEAST_KEPT


@dataclass(frozen=True)
class Numbers:
    """The contents of the files that a table is made from; `unlearning.tables.columns` has their columns.

    metrics, costs, floor and image_errors are measured; summary, comparisons and agreement follow from them.
    """

    metrics: pandas.DataFrame
    costs: pandas.DataFrame
    floor: pandas.DataFrame
    image_errors: pandas.DataFrame
    summary: pandas.DataFrame
    comparisons: pandas.DataFrame
    agreement: pandas.DataFrame

    @property
    def all_floors(self) -> pandas.DataFrame:
        """The noise floor of each benchmark, and of all classes of a model and data set."""
        return with_all_classes(self.floor)


def numbers_from(
    metrics: pandas.DataFrame,
    costs: pandas.DataFrame,
    floor: pandas.DataFrame | None = None,
    errors: pandas.DataFrame | None = None,
) -> Numbers:
    """Return all numbers for the contents of metrics.csv, costs.csv, floor.csv and image_errors.csv.

    Without ``floor``, it has the distances that follow from metrics.csv. Without ``errors``, the error of the area over
    draws of images is known for a single seed alone, from metrics.csv.
    """
    floor = noise.noise_floor(metrics) if floor is None else floor
    errors = errors_of_one_seed(metrics) if errors is None else errors
    compared = [name for name in (*COMPARED, image_errors.AREA_GAP) if name in metrics]
    parts = [part for part in (metrics, over_classes(metrics)) if len(part)]
    means = pandas.concat([summary(part, compared) for part in parts], ignore_index=True)
    collapsed, devices = collapsed_baselines(means, metrics), devices_of(costs, metrics["benchmark"].unique())
    differences = [paired_differences(part, compared, collapsed, devices) for part in parts]
    comparisons = pandas.concat(differences, ignore_index=True)
    means = with_errors(means, pandas.concat([errors, errors_over_classes(errors)], ignore_index=True))
    means = in_floors(means, with_all_classes(floor))
    kinds = metrics.drop_duplicates("method").set_index("method")["kind"]
    distances = pandas.concat([distances_to_oracle(part) for part in parts])
    return Numbers(metrics, costs, floor, errors, means, comparisons, agreement(means, kinds, distances))


def numbers_of_cells(
    metrics: pandas.DataFrame,
    costs: pandas.DataFrame,
    cells: Sequence[Mapping[str, Any]],
    scores: Sequence[Mapping[str, np.ndarray]],
    oracles: Iterable[str],
    shadow_oracles: Iterable[str],
) -> Numbers:
    """Return all numbers of a run, finished or not.

    ``metrics`` and ``costs`` are the contents of metrics.csv and costs.csv; ``cells`` and ``scores`` those of the
    metrics.json and scores.npz files, in the same order, empty for a cell without; ``oracles`` are the oracles'
    features.npz files, ``shadow_oracles`` the logits.npz files of the shadow models that never saw the class.
    """
    shadows: dict[str, list[np.ndarray]] = {}
    for path in shadow_oracles:
        shadows.setdefault(benchmark_of(path), []).append(read_arrays(path)["logits"])
    outputs = noise.outputs_of_oracles(cells, [its.get("non_member_logits") for its in scores], shadows)
    floor = noise.noise_floor(metrics, outputs, noise.features_of_oracles(oracles))
    errors = image_errors.image_errors(cells, map(image_errors.placements_of, scores))
    return numbers_from(metrics, costs, floor, errors)


def with_all_classes(floor: pandas.DataFrame) -> pandas.DataFrame:
    """Return ``floor`` with the rows for all classes of a model and data set."""
    return pandas.concat([floor, floor_over_classes(floor)], ignore_index=True)


def errors_of_one_seed(metrics: pandas.DataFrame) -> pandas.DataFrame:
    """Return the rows of image_errors.csv that follow from metrics.csv: the area's error where there is one seed."""
    names = ["benchmark", "method", "standard_error"]
    known = metrics.rename(columns={f"{image_errors.AREA}_se": "standard_error"}).reindex(columns=names).dropna()
    alone = known[~known.duplicated(["benchmark", "method"], keep=False)]
    return alone.assign(metric=image_errors.AREA, seeds=1)[image_errors.COLUMNS]


def with_errors(means: pandas.DataFrame, errors: pandas.DataFrame) -> pandas.DataFrame:
    """Return ``means`` with the standard errors over draws of images, where the same number of seeds is behind both."""
    keys = ["benchmark", "method", "metric", "seeds"]
    return means.merge(errors[[*keys, "standard_error"]], on=keys, how="left")


def in_floors(means: pandas.DataFrame, floor: pandas.DataFrame) -> pandas.DataFrame:
    """Return ``means`` with each distance to the oracle in units of the noise floor, and whether it is within it."""
    both = means.merge(floor, on=["benchmark", "metric"], how="left", suffixes=("", "_of_floor"))
    at_oracle = both["metric"].map({name: column.at_oracle for name, column in COLUMN.items()}).astype(float)
    distance, of_floor, furthest = ((both[name] - at_oracle).abs() for name in ("mean", "mean_of_floor", "furthest"))
    is_known = furthest.notna()
    is_within = (distance[is_known] <= furthest[is_known]).astype(object).reindex(both.index)
    in_units = distance / of_floor.where(of_floor > 0)
    return means.assign(in_floors=in_units.to_numpy(), is_within_floor=is_within.to_numpy())


def collapsed_baselines(means: pandas.DataFrame, cells: pandas.DataFrame) -> dict[str, list[str]]:
    """Return, by benchmark, the baselines that keep less than `LEAST_KEPT` of the original model's retain_acc."""
    baselines = set(cells.loc[cells["kind"] == "baseline", "method"])
    kept = means[means["metric"] == "retain_acc"].pivot(index="benchmark", columns="method", values="mean")
    if ORIGINAL not in kept:
        return {}
    least = LEAST_KEPT * kept[ORIGINAL]
    return {
        benchmark: [name for name in kept.columns if name in baselines and row[name] < least[benchmark]]
        for benchmark, row in kept.iterrows()
    }
