"""Configurations made of another: with a method of one's own, for a sweep, for a calibration."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from unlearning.config.messages import known
from unlearning.config.model import EXTERNAL, METHOD_NAME, REFERENCES, Benchmark, Config, MethodSettings, method_file
from unlearning.errors import UserError

VALIDATION = "_validation"
"""What a data set's name ends with if a part of another's training data takes the place of its test data."""

MOST_SETTINGS = 8

UNLEARN = {"epoch_of": ("retain", "forget"), "batch_norm": ("train", "eval"), "augment": (True, False)}
"""The choices of a protocol's unlearning that the publication leaves open, and what may stand there."""

NORMALISATIONS = ("channels", "half", "none")


PARTS = ("benchmarks", "methods", "seeds")
"""What a suite consists of, and a part of it may be asked for by name."""


def take_parts(given: Mapping[str, Any]) -> tuple[dict[str, list[Any]], dict[str, Any]]:
    """Return which parts of the suite ``given``, the settings of ``--config``, names, and the other settings.

    ``benchmarks``, ``methods`` and ``seeds`` are one name or several, with blanks or commas between them, or a list.
    With a mapping, the first two are settings like those of config.yaml.
    """
    parts = {key: _names(given[key]) for key in PARTS if key in given and not isinstance(given[key], Mapping)}
    return parts, {key: value for key, value in given.items() if key not in parts}


def _names(value: Any) -> list[Any]:
    names = value if isinstance(value, (list, tuple)) else re.split(r"[\s,]+", str(value).strip())
    return [int(name) if str(name).isdecimal() else name for name in names]


def choose_parts(settings: Mapping[str, Any], parts: Mapping[str, Sequence[Any]]) -> dict[str, Any]:
    """Return ``settings`` whose suite that runs consists of ``parts`` (see `take_parts`) where they name something.

    ``settings`` have passed `check_schema`. Raises UserError for a suite that is not there. Whether there is all that
    is named, `check_names` says.
    """
    return _with_suite(settings, {key: list(names) for key, names in parts.items()})


def with_own_method(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``settings`` in which the file NAME.py that ``method`` names is the method NAME of the suite that runs.

    ``settings`` have passed `check_schema`. Raises UserError if the name is no method's, or another method has it.
    """
    if "method" not in settings:
        return dict(settings)
    path, methods = settings["method"], settings["methods"]
    name = Path(path).stem
    if not METHOD_NAME.fullmatch(name):
        raise UserError(
            f"method={path}: the method is called as its file is, and {name!r} is no name: lower-case letters, digits "
            "and underscores, a letter first; rename the file"
        )
    entry = methods.get(name, {"file": path})
    if method_file(name, entry.get("file")).resolve() != Path(path).expanduser().resolve():
        raise UserError(f"method={path}: another method is called {name} already; rename the file")
    in_suite = settings["suites"][known(settings["suite"], settings["suites"], "configuration: suite")]["methods"]
    with_method = _with_suite(settings, {"methods": [*in_suite, *([] if name in in_suite else [name])]})
    return {**with_method, "methods": {**methods, name: entry}}


def _with_suite(settings: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    suite, suites = settings["suite"], settings["suites"]
    known(suite, suites, "configuration: suite")
    return {**settings, "suites": {**suites, suite: {**suites[suite], **changes}}}


WEIGHTS = (".pt", ".pth", ".bin", ".ckpt", ".safetensors")
"""How the names of files with weights end."""

OF_SEED = re.compile(r"(?P<name>.+?)[-_.]?seed(?P<seed>[0-9]+)")


def with_checkpoint(config: Config) -> Config:
    """Return ``config`` with a row for each model from elsewhere that ``checkpoint``, a file or a folder, names.

    A row is called as its file is, in lower case, with _ for other characters. A file NAME_seed43.pt is the seed's, one
    without a seed the suite's first. Raises UserError if there is no such file, or two rows would have one name.
    """
    if config.checkpoint is None:
        return config
    where, path = f"checkpoint={config.checkpoint}", Path(config.checkpoint).expanduser()
    files = sorted(file for file in path.iterdir() if file.suffix in WEIGHTS) if path.is_dir() else [path]
    if not path.exists() or not files:
        raise UserError(f"{where}: there is no such file, or no {', '.join(WEIGHTS)} in the folder")
    seeds = config.chosen.seeds
    weights: dict[str, dict[int, str]] = {}
    for file in files:
        match = OF_SEED.fullmatch(file.stem.lower())
        name = re.sub("[^a-z0-9]+", "_", match["name"] if match else file.stem.lower()).strip("_")
        name = name if METHOD_NAME.fullmatch(name) else f"model_{name}"
        seed = int(match["seed"]) if match else seeds[0]
        if seed not in seeds:
            raise UserError(f"{where}: {file.name} is of seed {seed}; the suite has {', '.join(map(str, seeds))}")
        if name in config.methods or name in REFERENCES or seed in weights.get(name, {}):
            raise UserError(f"{where}: {file.name}: another row is called {name} already; rename the file")
        weights.setdefault(name, {})[seed] = str(file)
    rows = {
        name: MethodSettings(kind=EXTERNAL, settings="", grid={}, hyperparameters={}, weights=its)
        for name, its in weights.items()
    }
    return replace(config, methods={**config.methods, **rows})


def grid_of(name: str, method: MethodSettings) -> list[dict[str, Any]]:
    """Return the hyperparameters of each combination of a method's grid: its own first, where the grid has them.

    Raises UserError if there are more than all methods may have.
    """
    values = itertools.product(*method.grid.values())
    combinations = [{**method.hyperparameters, **dict(zip(method.grid, its, strict=True))} for its in values]
    if len(combinations) > MOST_SETTINGS:
        raise UserError(
            f"configuration: methods.{name}.grid: {len(combinations)} settings; every method may try {MOST_SETTINGS}"
        )
    return combinations


def with_sweep(config: Config) -> tuple[Config, dict[str, list[str]]]:
    """Return ``config`` with what a sweep of the suite needs, and by method the names of its settings.

    For every data set one with a validation part, for every benchmark one on that, for every setting of a method of
    the suite a method: NAME__0, NAME__1 ...
    """
    datasets = {
        name + VALIDATION: replace(settings, source=None, carved_from=name)
        for name, settings in config.datasets.items()
    }
    benchmarks = {name + VALIDATION: settings for name, settings in config.benchmarks.items()}
    methods: dict[str, MethodSettings] = {}
    variants = {}
    for name in config.chosen.methods:
        method, file = config.methods[name], str(config.method_file(name))
        of_method = {
            f"{name}__{number}": replace(method, file=file, hyperparameters=its)
            for number, its in enumerate(grid_of(name, method))
        }
        variants[name] = list(of_method)
        methods |= of_method
    with_all = replace(
        config,
        datasets={**config.datasets, **datasets},
        benchmarks={**config.benchmarks, **benchmarks},
        methods={**config.methods, **methods},
    )
    return with_all, variants


def with_calibration(config: Config) -> tuple[Config, dict[str, str]]:
    """Return ``config`` with what a calibration of the suite needs, and the choices it varies by their suffix.

    For each open choice of the protocol that all of the suite's benchmarks have made differently: one method for each
    baseline, NAME__augment_false, or one data set and benchmark, NAME__normalisation_none. Raises UserError without a
    baseline.
    """
    parsed = [Benchmark.parse(name) for name in config.chosen.benchmarks]
    protocols = [config.protocol_of(benchmark).unlearn for benchmark in parsed]
    choices, methods = {}, dict(config.methods)
    for key, values in UNLEARN.items():
        for value in values:
            if all(protocol[key] != value for protocol in protocols):
                suffix = f"__{key}_{str(value).lower()}"
                choices[suffix] = f"{key}: {str(value).lower()}"
                for name in baselines_of(config):
                    file = str(config.method_file(name))
                    methods[name + suffix] = replace(config.methods[name], file=file, unlearn={key: value})
    used = list(dict.fromkeys(benchmark.dataset for benchmark in parsed))
    datasets, benchmarks = dict(config.datasets), dict(config.benchmarks)
    for value in NORMALISATIONS:
        if all(config.datasets[name].normalisation != value for name in used):
            suffix = f"__normalisation_{value}"
            choices[suffix] = f"normalisation: {value}"
            for name in used:
                datasets[name + suffix] = replace(config.datasets[name], normalisation=value, same_as=name)
            for name in {benchmark.pretraining for benchmark in parsed}:
                benchmarks[name + suffix] = config.benchmarks[name]
    return replace(config, datasets=datasets, benchmarks=benchmarks, methods=methods), choices


def baselines_of(config: Config) -> list[str]:
    """Return the suite's baselines, which are what the publication has too. Raises UserError if it has none."""
    names = [name for name in config.chosen.methods if config.methods[name].kind == "baseline"]
    if not names:
        raise UserError(
            f"configuration: suites.{config.suite}.methods: a calibration needs a method of the kind baseline"
        )
    return names
