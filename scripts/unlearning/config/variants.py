"""The same budget for all methods: a grid of settings each, tried on a part of the training data set aside for it."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from unlearning.config.checks import method_file
from unlearning.errors import UserError
from unlearning.streams import stream_seed

VALIDATION = "_validation"
"""What a data set's name ends with if a part of another's training data takes the place of its test data."""

MOST_SETTINGS = 8


def grid_of(name: str, method: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the hyperparameters of each setting of a method's grid: its own first, where the grid has them.

    Raises UserError if there are more than all methods may have.
    """
    grid = method.get("grid", {})
    settings = [dict(method.get("hyperparameters", {})) | dict(zip(grid, values, strict=True)) for values in _all(grid)]
    if len(settings) > MOST_SETTINGS:
        raise UserError(
            f"configuration: methods.{name}.grid: {len(settings)} settings; every method may try {MOST_SETTINGS}"
        )
    return settings


def _all(grid: Mapping[str, Sequence[Any]]) -> list[tuple]:
    return list(itertools.product(*grid.values()))


def add_sweep(config: dict[str, Any]) -> dict[str, list[str]]:
    """Add what a sweep of the suite needs to ``config``, in place, and return the methods' settings by method.

    For every data set one with a validation part, for every benchmark one on that, for every setting of a method of
    the suite a method: NAME__0, NAME__1 ...
    """
    for name, settings in list(config["datasets"].items()):
        without_source = {key: value for key, value in settings.items() if key != "source"}
        config["datasets"][name + VALIDATION] = without_source | {"carved_from": name}
    config["benchmarks"] |= {name + VALIDATION: settings for name, settings in config["benchmarks"].items()}
    variants = {}
    for name in config["suites"][config["suite"]]["methods"]:
        method = config["methods"][name]
        settings = {f"{name}__{number}": its for number, its in enumerate(grid_of(name, method))}
        for variant, hyperparameters in settings.items():
            file = str(method_file(name, method))
            config["methods"][variant] = method | {"file": file, "hyperparameters": hyperparameters}
        variants[name] = list(settings)
    return variants


def carve(arrays: Mapping[str, np.ndarray], share: float) -> dict[str, np.ndarray]:
    """Return a data set whose test part is ``share`` of the training part of ``arrays``, of each class alike.

    The test part of ``arrays`` is not looked at. Every class keeps at least one image on either side; raises UserError
    if one has fewer than two.
    """
    images, labels = arrays["train_images"], arrays["train_labels"]
    random_stream = np.random.default_rng(stream_seed(0, "validation part"))
    is_validation = np.zeros(len(labels), dtype=bool)
    for label in np.unique(labels):
        members = np.flatnonzero(labels.reshape(len(labels)) == label)
        if len(members) < 2:
            raise UserError(f"class {label} has one training image: a sweep needs one to train on and one to judge by")
        count = min(max(1, round(share * len(members))), len(members) - 1)
        is_validation[random_stream.permutation(members)[:count]] = True
    return {
        "train_images": images[~is_validation],
        "train_labels": labels[~is_validation],
        "test_images": images[is_validation],
        "test_labels": labels[is_validation],
    }


def choose(tried: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return for each method the setting with the best mean unlearn_score and that with the smallest gap to the oracle.

    ``tried`` has a row for each method, setting (text) and benchmark, with status, unlearn_score and mean_abs_gap. A
    setting that is not ok on every benchmark cannot be chosen; a method without another has None for both.
    """
    chosen = []
    for method, rows in _by(tried, "method"):
        settings = {setting: its for setting, its in _by(rows, "setting") if all(r["status"] == "ok" for r in its)}
        means = {
            setting: {key: float(np.mean([row[key] for row in its])) for key in ("unlearn_score", "mean_abs_gap")}
            for setting, its in settings.items()
        }
        chosen.append(
            {
                "method": method,
                "settings": len({row["setting"] for row in rows}),
                "by_score": max(means, key=lambda s: means[s]["unlearn_score"], default=None),
                "by_gap": min(means, key=lambda s: means[s]["mean_abs_gap"], default=None),
            }
        )
    return chosen


def _by(rows: Sequence[Mapping[str, Any]], key: str) -> list[tuple[Any, list[Mapping[str, Any]]]]:
    return [(value, [row for row in rows if row[key] == value]) for value in dict.fromkeys(row[key] for row in rows)]


def pareto_front(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return the points (retain_acc, two-sided AUC) that none surpasses in one and equals in the other, ascending."""
    front = []
    for retain, auc in sorted(set(points), key=lambda point: (-point[0], point[1])):
        if not front or auc < front[-1][1]:
            front.append((retain, auc))
    return front[::-1]


def shown(hyperparameters: Mapping[str, Any]) -> str:
    """Return e.g. "alpha 0.5, steps 2", or "none"."""
    return ", ".join(f"{key} {json.dumps(value)}" for key, value in hyperparameters.items()) or "none"
