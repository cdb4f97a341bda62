"""Calibration: the baselines with one line of the protocol otherwise at a time, where its publication leaves it open.

Data flow: `add_calibration` adds the variants to the configuration -> the usual cells -> calibration_report.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from unlearning.config.checks import Benchmark, method_file
from unlearning.errors import UserError

UNLEARN = {"epoch_of": ("retain", "forget"), "batch_norm": ("train", "eval"), "augment": (True, False)}
"""The lines of a protocol's unlearning that the publication leaves open, and what may stand there."""

NORMALISATIONS = ("channels", "half", "none")


def add_calibration(config: dict[str, Any]) -> dict[str, str]:
    """Add what a calibration of the suite needs to ``config``, in place, and return its lines by their suffix.

    For each open line of the protocol that all of the suite's benchmarks have otherwise: one method for each baseline,
    NAME__augment_false, or one data set and benchmark, NAME__normalisation_none. Raises UserError without a baseline.
    """
    suite = config["suites"][config["suite"]]
    benchmarks = [Benchmark.parse(name) for name in suite["benchmarks"]]
    protocols = [
        config["protocols"][config["benchmarks"][its.pretraining]["protocol"]]["unlearn"] for its in benchmarks
    ]
    lines = {}
    for key, values in UNLEARN.items():
        for value in values:
            if all(protocol[key] != value for protocol in protocols):
                suffix = f"__{key}_{str(value).lower()}"
                lines[suffix] = f"{key}: {str(value).lower()}"
                for name in baselines_of(config):
                    method = config["methods"][name]
                    otherwise = {"file": str(method_file(name, method)), "unlearn": {key: value}}
                    config["methods"][name + suffix] = method | otherwise
    datasets = list(dict.fromkeys(benchmark.dataset for benchmark in benchmarks))
    for value in NORMALISATIONS:
        if all(config["datasets"][name]["normalisation"] != value for name in datasets):
            suffix = f"__normalisation_{value}"
            lines[suffix] = f"normalisation: {value}"
            for name in datasets:
                config["datasets"][name + suffix] = config["datasets"][name] | {"normalisation": value, "same_as": name}
            for name in {benchmark.pretraining for benchmark in benchmarks}:
                config["benchmarks"][name + suffix] = config["benchmarks"][name]
    return lines


def baselines_of(config: Mapping[str, Any]) -> list[str]:
    """Return the suite's baselines, which are what the publication has too. Raises UserError if it has none."""
    suite = config["suite"]
    names = [name for name in config["suites"][suite]["methods"] if config["methods"][name]["kind"] == "baseline"]
    if not names:
        raise UserError(f"configuration: suites.{suite}.methods: a calibration needs a method of the kind baseline")
    return names
