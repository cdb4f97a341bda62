"""What a configuration consists of, and where it says that files lie."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from unlearning.errors import UserError
from unlearning.watched_code import SCRIPTS

REFERENCES = ("original", "retrain")
"""The rows that are no methods: the model before unlearning, and the oracle."""

EXTERNAL = "external"
"""The kind of a row for a model that another program unlearned."""

PUBLISHED_PROTOCOL = {
    "pretrain": {"epochs": 80, "learning_rate": 0.1, "momentum": 0.9, "weight_decay": 5e-4},
    "unlearn": {"epochs": 20, "learning_rate": 0.001},
}
"""What the publication says of its protocol; what was run otherwise is not set beside it."""

METHOD_NAME = re.compile("[a-z][a-z0-9_]*")
BENCHMARK_NAME = re.compile(r"(?P<model>[a-z0-9_]+)-(?P<dataset>[a-z0-9_]+)-class(?P<forget_class>0|[1-9][0-9]*)")


@dataclass(frozen=True)
class Benchmark:
    """One benchmark, named ``{model}-{dataset}-class{forget_class}``."""

    model: str
    dataset: str
    forget_class: int

    @classmethod
    def parse(cls, name: str) -> Benchmark:
        """Take a name apart. Raises UserError if it does not have the form above."""
        match = BENCHMARK_NAME.fullmatch(name)
        if match is None:
            raise UserError(f"{name!r} is no benchmark; write MODEL-DATASET-classK, e.g. resnet20-cifar10-class0")
        return cls(match["model"], match["dataset"], int(match["forget_class"]))

    @property
    def pretraining(self) -> str:
        """The key under ``benchmarks:``; all forget classes share its settings and its pretrained model."""
        return f"{self.model}-{self.dataset}"


def asked_for(config: dict[str, Any], key: str) -> Any:
    """Return relearning or shadow_models: that of the top level, if it is there, or else of the suite."""
    return config.get(key, config["suites"][config["suite"]].get(key, 0))


def as_published(config: Mapping[str, Any]) -> list[str]:
    """Return those benchmarks of the suite that run as they were published: the rest compares with nothing."""
    names = config["suites"][config["suite"]]["benchmarks"]
    settings = {name: config["benchmarks"][Benchmark.parse(name).pretraining] for name in names}
    return [name for name, its in settings.items() if is_as_published(its, config["protocols"][its["protocol"]])]


def is_as_published(benchmark: dict[str, Any], protocol: dict[str, Any]) -> bool:
    """Return whether a benchmark's settings are full size and its protocol's known constants the published ones."""
    full_size = (benchmark["width"], benchmark["image_size"]) == (1, 32)
    return full_size and all(
        protocol[part].items() >= constants.items() for part, constants in PUBLISHED_PROTOCOL.items()
    )


def dataset_file(config: dict[str, Any], dataset: str) -> Path:
    """Return the data set's file, relative to the working directory unless data_dir is absolute.

    A data set that is carved out of another (see `unlearning.config.variants`) is a result; one that differs in its
    settings alone (see `unlearning.config.calibration`) has no file of its own.
    """
    dataset = config["datasets"].get(dataset, {}).get("same_as", dataset)
    if "carved_from" in config["datasets"].get(dataset, {}):
        return Path("results/datasets") / f"{dataset}.npz"
    return Path(config["data_dir"]).expanduser() / f"{dataset}.npz"


def method_file(name: str, settings: dict[str, Any]) -> Path:
    """Return a method's file: its ``file`` setting, from the working directory, or else scripts/methods/NAME.py.

    A file that is not there is looked for in the project's folder, so that shipped suites run in any other.
    """
    if "file" not in settings:
        return SCRIPTS / "methods" / f"{name}.py"
    file = Path(settings["file"]).expanduser()
    in_project = SCRIPTS.parent / file
    return in_project if not file.exists() and in_project.exists() else file
