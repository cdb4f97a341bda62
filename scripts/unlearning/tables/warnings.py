"""Warnings about a benchmark as a whole, to be read before its numbers."""

from __future__ import annotations

import pandas

from unlearning.tables.cells import ORIGINAL
from unlearning.tables.classes import pretraining_of

NEAR_CHANCE, MOST_ABOVE_CHANCE = 1.5, 0.1
"""An accuracy is near chance below this multiple of chance, and below chance plus this much."""

HALF = 0.5
"""A class was not learned if its accuracy is less than this share of the accuracy on the other classes."""


def warnings_of(cells: pandas.DataFrame, costs: pandas.DataFrame) -> list[str]:
    """Return sentences about one benchmark.

    ``cells`` are its rows of metrics.csv, ``costs`` is all of costs.csv.
    """
    warning = nothing_to_forget(cells)
    return [*([warning] if warning else []), *several_devices(cells, costs)]


def nothing_to_forget(cells: pandas.DataFrame) -> str | None:
    """Return why there is nothing to forget, if the original model never knew the class or hardly knows anything.

    ``cells`` are the rows of one benchmark in metrics.csv.
    """
    original = cells[(cells["method"] == ORIGINAL) & (cells["status"] == "ok")]
    if original.empty:
        return None
    forget, retain, test = (original[name].astype(float).mean() for name in ("forget_acc", "retain_acc", "test_acc"))
    chance = 1 / original["classes"].max() if "classes" in original else 0.0
    if test < min(NEAR_CHANCE * chance, chance + MOST_ABOVE_CHANCE):
        return (
            f"Nothing to forget: the accuracy of *original*, {test:.3f}, is near chance, {chance:.3f}. Train it "
            "longer; nothing is bold, and nothing is ranked."
        )
    if forget < HALF * retain:
        return (
            f"Nothing to forget: *original* never knew the class: it names {forget:.3f} of its images, and "
            f"{retain:.3f} of the others. Train it longer; nothing is bold, and nothing is ranked."
        )
    return None


def several_devices(cells: pandas.DataFrame, costs: pandas.DataFrame) -> list[str]:
    """Return a sentence if the cells of the benchmark (rows of metrics.csv) were made on several devices."""
    benchmark = cells["benchmark"].iloc[0]
    jobs = costs[costs["benchmark"].isin([benchmark, pretraining_of(benchmark)]) & costs["training_seconds"].notna()]
    devices = sorted(jobs["device"].dropna().unique())
    if len(devices) < 2:
        return []
    made = "; ".join(f"{device}: {_named(jobs[jobs['device'] == device])}" for device in devices)
    return [f"Made on several devices, which round differently and draw other random numbers: {made}."]


def _named(jobs: pandas.DataFrame) -> str:
    names = [row.method if isinstance(row.method, str) else row.rule for row in jobs.itertuples()]
    return ", ".join(dict.fromkeys(names))
