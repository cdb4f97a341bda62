"""The origin of a table: the code, the configuration, the versions and the devices behind it."""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from unlearning.versions import commit_of
from unlearning.watched_code import SCRIPTS

PACKAGES = ("torch", "torchvision", "snakemake", "numpy", "scipy", "pandas", "scikit-learn")
OF_THE_MACHINE = ("device", "data_dir", "checkpoints")
"""Settings that change no result on the same kind of device."""

MADE_ON = ("device", "processor", "torch", "python")


def provenance(config: Mapping[str, Any], costs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the contents of provenance.json for a run with ``config``; ``costs`` are the costs of its jobs.

    ``carried`` has the trainings that were not done in this run (see `unlearning.workflow.carrying`), each with the
    commit, the device, the processor and the versions of torch and Python with which it was done. What a job's cost
    does not say, as that of a checkpoint which was carried without it, is left out.

    ``commit`` and ``dirty`` (whether any file differs from the commit, or is unknown to it) describe the project at the
    time when the table was made; both are None outside of a git repository. The digest does not depend on the order of
    keys.
    """
    settings = {key: value for key, value in config.items() if key not in OF_THE_MACHINE}
    text = json.dumps(settings, sort_keys=True)
    return {
        **commit_of(SCRIPTS.parent),
        "config_sha256": hashlib.sha256(text.encode()).hexdigest(),
        "config": json.loads(text),
        "versions": {"python": platform.python_version()} | {package: _version(package) for package in PACKAGES},
        "jobs": {name: sorted({str(cost[name]) for cost in costs if cost.get(name)}) for name in MADE_ON},
        "carried": [_carried(cost) for cost in costs if cost.get("carried")],
    }


def _carried(cost: Mapping[str, Any]) -> dict[str, Any]:
    names = ("rule", "model", "dataset", "forget_class", "seed", "method", *MADE_ON)
    return {name: cost[name] for name in names if name in cost} | {"commit": cost["carried"]}


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:  # as Snakemake in the environments that it makes for its jobs
        return None
