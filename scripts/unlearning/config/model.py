"""The parts of a configuration, and the paths that follow from them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any

from unlearning.errors import UserError
from unlearning.paths import DATASETS
from unlearning.watched_code import SCRIPTS

REFERENCES = ("original", "retrain")
"""The rows that are not methods: the model before unlearning, and the oracle."""

EXTERNAL = "external"
"""The kind of a row for a model that another program unlearned."""

PUBLISHED_PROTOCOL = {
    "pretrain": {"epochs": 80, "learning_rate": 0.1, "momentum": 0.9, "weight_decay": 5e-4},
    "unlearn": {"epochs": 20, "learning_rate": 0.001},
}
"""The published constants. Results from other settings are not compared with the publication."""

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
        """Split a name into its parts. Raises UserError if the name does not have the form above."""
        match = BENCHMARK_NAME.fullmatch(name)
        if match is None:
            raise UserError(f"{name!r} is no benchmark; write MODEL-DATASET-classK, e.g. resnet20-cifar10-class0")
        return cls(match["model"], match["dataset"], int(match["forget_class"]))

    @property
    def pretraining(self) -> str:
        """The key under ``benchmarks:``; all forget classes share its settings and its pretrained model."""
        return f"{self.model}-{self.dataset}"


# The classes below have the keys of workflow/schemas/config.schema.yaml. The schema says what each key means and which
# values it takes, and fills in the defaults. None: the key is not there.


@dataclass(frozen=True)
class Suite:
    """An entry under ``suites:``."""

    benchmarks: tuple[str, ...]
    methods: tuple[str, ...]
    seeds: tuple[int, ...]
    relearning: bool
    retain_relearning: bool
    shadow_models: int
    checkpoints: str | None = None


@dataclass(frozen=True)
class BenchmarkSettings:
    """An entry under ``benchmarks:``."""

    protocol: str
    width: float
    image_size: int


@dataclass(frozen=True)
class DatasetSettings:
    """An entry under ``datasets:``; the last two keys are set by `unlearning.config.variants` alone."""

    classes: int
    fit: str
    normalisation: str
    largest_gb: float
    source: str | None = None
    mirror: Sequence[str] | None = None
    part_of: str | None = None  # another data set; this one has `per_class` of its training images of each class
    per_class: int | None = None
    test_per_class: int | None = None
    carved_from: str | None = None  # another data set; a part of its training data replaces the test data
    same_as: str | None = None  # another data set, whose file this one reads with other settings

    @property
    def is_made(self) -> bool:
        """Whether the data set is made from another one, and so is a result."""
        return self.carved_from is not None or self.part_of is not None


@dataclass(frozen=True)
class Protocol:
    """An entry under ``protocols:``. The constants of a stage are handed to its jobs unchanged."""

    batch_size: int
    crop_padding: int
    flip: bool
    precision: str
    pretrain: Mapping[str, Any]
    unlearn: Mapping[str, Any]
    relearn: Mapping[str, Any]


@dataclass(frozen=True)
class MethodSettings:
    """An entry under ``methods:``; the last three keys are set by `unlearning.config.variants` alone."""

    kind: str
    settings: str
    grid: Mapping[str, list[Any]]
    hyperparameters: Mapping[str, Any]
    file: str | None = None
    unlearn: Mapping[str, Any] | None = None  # the constants of the protocol that a calibration changes
    variant_of: str | None = None  # the method that a variant is made from: both make the same random draws
    weights: Mapping[int, str] | None = None  # by seed, the files of a model that another program unlearned


@dataclass(frozen=True)
class Config:
    """A checked configuration; `unlearning.config.reading.read_config` makes it."""

    suite: str
    suites: Mapping[str, Suite]
    benchmarks: Mapping[str, BenchmarkSettings]
    datasets: Mapping[str, DatasetSettings]
    protocols: Mapping[str, Protocol]
    methods: Mapping[str, MethodSettings]
    data_dir: str
    device: str
    orphans: str
    sweep: bool
    calibrate: bool
    curves: bool
    validation_share: float
    choices: str | None = None
    relearning: bool | None = None
    retain_relearning: bool | None = None
    shadow_models: int | None = None
    method: str | None = None
    checkpoint: str | None = None
    checkpoints: str | None = None

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> Config:
        """Return the configuration made from ``settings``, which follow the schema and have its defaults filled in."""
        parts = {key: {name: entry(**its) for name, its in settings[key].items()} for key, entry in _ENTRIES.items()}
        suites = {name: Suite(**_with_tuples(its)) for name, its in settings["suites"].items()}
        return cls(**{**settings, **parts, "suites": suites})

    def as_plain(self) -> dict[str, Any]:
        """Return the configuration as dicts, lists, text and numbers, for Snakemake and for records."""
        return _plain(self)

    @property
    def chosen(self) -> Suite:
        """The suite that runs."""
        return self.suites[self.suite]

    @property
    def is_relearning(self) -> bool:
        """Whether relearning is asked for, of any kind. Keys at the top level take precedence over the suite's."""
        asked = self.chosen.relearning if self.relearning is None else self.relearning
        return asked or self.is_retain_relearning

    @property
    def is_retain_relearning(self) -> bool:
        """Whether relearning on retained images alone is asked for."""
        return self.chosen.retain_relearning if self.retain_relearning is None else self.retain_relearning

    @property
    def shadows(self) -> int:
        """The number of shadow models asked for. The key at the top level takes precedence over the suite's key."""
        return self.chosen.shadow_models if self.shadow_models is None else self.shadow_models

    def settings_of(self, benchmark: Benchmark) -> BenchmarkSettings:
        """Return the settings of a benchmark."""
        return self.benchmarks[benchmark.pretraining]

    def protocol_of(self, benchmark: Benchmark) -> Protocol:
        """Return the protocol of a benchmark."""
        return self.protocols[self.settings_of(benchmark).protocol]

    def dataset_file(self, dataset: str) -> Path:
        """Return the data set's file, relative to the working directory unless data_dir is absolute.

        A data set made from another data set is a result. A data set that differs only in its settings has no file of
        its own.
        """
        settings = self.datasets.get(dataset)
        if settings is not None and settings.same_as is not None:
            return self.dataset_file(settings.same_as)
        if settings is not None and settings.is_made:
            return Path(DATASETS) / f"{dataset}.npz"
        return self.file_by_hand(dataset)

    def file_by_hand(self, dataset: str) -> Path:
        """Return where the user would put the file of a data set."""
        return Path(self.data_dir).expanduser() / f"{dataset}.npz"

    def method_file(self, name: str) -> Path:
        """Return the file of a method; see the function with this name."""
        return method_file(name, self.methods[name].file)


_ENTRIES = {
    "benchmarks": BenchmarkSettings,
    "datasets": DatasetSettings,
    "protocols": Protocol,
    "methods": MethodSettings,
}


def _with_tuples(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in settings.items()}


def _plain(value: Any) -> Any:
    if is_dataclass(value):
        held = {field.name: getattr(value, field.name) for field in fields(value)}
        return {name: _plain(its) for name, its in held.items() if its is not None}
    if isinstance(value, Mapping):
        return {key: _plain(its) for key, its in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(its) for its in value]
    return value


def method_file(name: str, file: str | None = None) -> Path:
    """Return a method's file: its setting ``file``, relative to the working directory, or scripts/methods/NAME.py.

    If the file is not there, it is looked for in the project's folder, so that shipped suites run in any folder.
    """
    if file is None:
        return SCRIPTS / "methods" / f"{name}.py"
    path = Path(file).expanduser()
    in_project = SCRIPTS.parent / path
    return in_project if not path.exists() and in_project.exists() else path


def as_published(recorded: Mapping[str, Any]) -> list[str]:
    """Return the benchmarks of the suite that run as published. Only these can be compared with published results.

    ``recorded`` is a configuration in plain form, of this version of the project or an older one.
    """
    names = recorded["suites"][recorded["suite"]]["benchmarks"]
    settings = {name: recorded["benchmarks"][Benchmark.parse(name).pretraining] for name in names}
    return [name for name, its in settings.items() if is_as_published(its, recorded["protocols"][its["protocol"]])]


def is_as_published(benchmark: Mapping[str, Any], protocol: Mapping[str, Any]) -> bool:
    """Return whether a benchmark is full size and its protocol's known constants equal the published constants."""
    full_size = (benchmark["width"], benchmark["image_size"]) == (1, 32)
    return full_size and all(
        protocol[part].items() >= constants.items() for part, constants in PUBLISHED_PROTOCOL.items()
    )
