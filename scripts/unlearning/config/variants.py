"""Configurations made from another one: with a user's own method, for a sweep, for a calibration."""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from unlearning.config.messages import known
from unlearning.config.model import EXTERNAL, METHOD_NAME, REFERENCES, Benchmark, Config, MethodSettings, method_file
from unlearning.errors import UserError

VALIDATION = "_validation"
"""The end of a data set's name if its test data is a part of another data set's training data."""

VARIANT = "__"
"""What stands between the name of a method, or of a data set, and what is changed."""

MOST_SETTINGS = 8

UNLEARN = {"epoch_of": ("retain", "forget"), "batch_norm": ("train", "eval"), "augment": (True, False)}
"""The choices in a protocol's unlearning that the publication leaves open, and their possible values."""

NORMALISATIONS = ("channels", "half", "none")

CHOICES = (*UNLEARN, "normalisation")
"""All choices that a calibration can change by running something again."""


PARTS = ("benchmarks", "methods", "seeds")
"""The parts of a suite. A run may ask for some of their names only."""


def take_parts(given: Mapping[str, Any]) -> tuple[dict[str, list[Any]], dict[str, Any]]:
    """Return the parts of the suite that ``given``, the settings of ``--config``, names; and the other settings.

    ``benchmarks``, ``methods`` and ``seeds`` are one name, several names with blanks or commas between them, or a list.
    A name of several classes (class*, class0-4) stays as it is: `with_single_classes` knows the data sets.
    If the first two are mappings, they are settings as in config.yaml.
    """
    parts = {key: _names(given[key]) for key in PARTS if key in given and not isinstance(given[key], Mapping)}
    return parts, {key: value for key, value in given.items() if key not in parts}


def _names(value: Any) -> list[Any]:
    names = value if isinstance(value, (list, tuple)) else re.split(r"[\s,]+", str(value).strip())
    return [int(name) if str(name).isdecimal() else name for name in names]


def choose_parts(settings: Mapping[str, Any], parts: Mapping[str, Sequence[Any]]) -> dict[str, Any]:
    """Return ``settings`` whose chosen suite has only the named ``parts`` (see `take_parts`). Unnamed parts stay whole.

    ``settings`` have passed `check_schema`. Raises UserError if there is no such suite. Whether all named things exist
    is checked by `check_names`.
    """
    return _with_suite(settings, {key: list(names) for key, names in parts.items()})


def with_own_method(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``settings`` where the chosen suite has the method NAME, whose file NAME.py is given by ``method``.

    ``settings`` have passed `check_schema`. Raises UserError if the name is not allowed for a method, or if another
    method has it.
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


def with_curves(config: Config) -> Config:
    """Return ``config`` where every model is measured after every epoch, if ``curves`` asks for it."""
    if not config.curves:
        return config
    every = {"evaluate_every": 1}
    protocols = {
        name: replace(its, pretrain={**its.pretrain, **every}, unlearn={**its.unlearn, **every})
        for name, its in config.protocols.items()
    }
    return replace(config, protocols=protocols)


WEIGHTS = (".pt", ".pth", ".bin", ".ckpt", ".safetensors")
"""The ends of names of files with weights."""

OF_SEED = re.compile(r"(?P<name>.+?)[-_.]?seed(?P<seed>[0-9]+)")


def with_checkpoint(config: Config) -> Config:
    """Return ``config`` with one row per model from another program that ``checkpoint``, a file or a folder, names.

    A row has the name of its file, in lower case, with _ in place of other characters. A file NAME_seed43.pt belongs to
    seed 43, a file without a seed to the suite's first seed. Raises UserError if there is no such file, if two rows
    would have the same name, or if a seed stands elsewhere in a name.
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
        if not file.is_file() or not os.access(file, os.R_OK):
            raise UserError(f"{where}: {file.name}: no file that can be read")
        match = OF_SEED.fullmatch(file.stem.lower())
        if match is None and re.search("seed[-_.]?[0-9]", file.stem.lower()):
            raise UserError(
                f"{where}: {file.name}: a seed stands at the end of a name, as in mine_seed43.pt; rename it"
            )
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
    """Return the hyperparameters of each combination in a method's grid. The method's own come first, if in the grid.

    Raises UserError if there are more combinations than the limit for all methods.
    """
    values = itertools.product(*method.grid.values())
    combinations = [{**method.hyperparameters, **dict(zip(method.grid, its, strict=True))} for its in values]
    if len(combinations) > MOST_SETTINGS:
        raise UserError(
            f"configuration: methods.{name}.grid: {len(combinations)} settings; every method may try {MOST_SETTINGS}"
        )
    return combinations


def with_sweep(config: Config) -> tuple[Config, dict[str, list[str]]]:
    """Return ``config`` with all that a sweep of the suite needs, and the names of each method's settings by method.

    It adds one data set with a validation part per data set, one benchmark on it per benchmark, and one method per
    setting of a method in the suite: NAME__0, NAME__1 ...
    """
    datasets = {
        name + VALIDATION: replace(settings, source=None, part_of=None, carved_from=name)
        for name, settings in config.datasets.items()
    }
    benchmarks = {name + VALIDATION: settings for name, settings in config.benchmarks.items()}
    methods: dict[str, MethodSettings] = {}
    variants = {}
    for name in config.chosen.methods:
        method, file = config.methods[name], str(config.method_file(name))
        of_method = {
            f"{name}{VARIANT}{number}": replace(method, file=file, hyperparameters=its, variant_of=name)
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
    """Return ``config`` with all that a calibration of the suite needs, and by suffix the choices that it varies.

    Only values that differ from the choice of all benchmarks in the suite are varied, and only those of the choices
    that ``config`` names, if it names any. For each it adds one method per baseline, NAME__augment_false, or one data
    set and benchmark, NAME__normalisation_none. Raises UserError if there is no baseline, or no choice of a name.
    """
    named = _names(config.choices) if config.choices else CHOICES
    for name in named:
        known(str(name), CHOICES, "configuration: choices")
    parsed = [Benchmark.parse(name) for name in config.chosen.benchmarks]
    protocols = [config.protocol_of(benchmark).unlearn for benchmark in parsed]
    choices, methods = {}, dict(config.methods)
    for key in (key for key in UNLEARN if key in named):
        for value in UNLEARN[key]:
            if all(protocol[key] != value for protocol in protocols):
                suffix = f"{VARIANT}{key}_{str(value).lower()}"
                choices[suffix] = f"{key}: {str(value).lower()}"
                for name in baselines_of(config):
                    file = str(config.method_file(name))
                    its = replace(config.methods[name], file=file, unlearn={key: value}, variant_of=name)
                    methods[name + suffix] = its
    used = list(dict.fromkeys(benchmark.dataset for benchmark in parsed))
    datasets, benchmarks = dict(config.datasets), dict(config.benchmarks)
    for value in NORMALISATIONS if CHOICES[-1] in named else ():
        if all(config.datasets[name].normalisation != value for name in used):
            suffix = f"{VARIANT}normalisation_{value}"
            choices[suffix] = f"normalisation: {value}"
            for name in used:
                datasets[name + suffix] = replace(config.datasets[name], normalisation=value, same_as=name)
            for name in {benchmark.pretraining for benchmark in parsed}:
                benchmarks[name + suffix] = config.benchmarks[name]
    return replace(config, datasets=datasets, benchmarks=benchmarks, methods=methods), choices


def baselines_of(config: Config) -> list[str]:
    """Return the suite's baselines, which are also in the publication. Raises UserError if the suite has none."""
    names = [name for name in config.chosen.methods if config.methods[name].kind == "baseline"]
    if not names:
        raise UserError(
            f"configuration: suites.{config.suite}.methods: a calibration needs a method of the kind baseline"
        )
    return names
