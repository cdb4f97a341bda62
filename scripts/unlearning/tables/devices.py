"""The device on which each model of a table was made: differences between devices are not differences of methods."""

from __future__ import annotations

from collections.abc import Iterable

import pandas

from unlearning.tables.cells import ORACLE, ORIGINAL
from unlearning.tables.classes import pretraining_of

MAKING = {"pretrain": ORIGINAL, "retrain": ORACLE}
"""The rules that make the model of a reference; the rule unlearn makes the models of methods."""


def devices_of(costs: pandas.DataFrame, benchmarks: Iterable[str]) -> dict[tuple[str, str, int], str]:
    """Return the device that made each model, by benchmark, method and seed, from costs.csv.

    All classes of a model and data set share the pretrained model. A model of another program has no device.
    """
    made = costs[costs["rule"].isin([*MAKING, "unlearn"]) & costs["device"].notna()]
    devices = {}
    for benchmark in benchmarks:
        names = (benchmark, pretraining_of(benchmark))
        for job in made[made["benchmark"].isin(names)].itertuples():
            devices[benchmark, MAKING.get(job.rule, job.method), int(job.seed)] = str(job.device)
    return devices


def others_than_the_oracle(costs: pandas.DataFrame, cells: pandas.DataFrame) -> set[str]:
    """Return the methods of which a model was made on another device than the oracle of its benchmark and seed.

    ``cells`` are rows of metrics.csv.
    """
    devices = devices_of(costs, cells["benchmark"].unique())
    known = {key: device for key, device in devices.items() if (key[0], ORACLE, key[2]) in devices}
    return {key[1] for key, device in known.items() if device != devices[key[0], ORACLE, key[2]]}
