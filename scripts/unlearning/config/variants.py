"""Configurations made of another: with a method of one's own, for a sweep, for a calibration."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from unlearning.config.messages import known
from unlearning.config.model import EXTERNAL, METHOD_NAME, REFERENCES, Benchmark, method_file
from unlearning.errors import UserError

VALIDATION = "_validation"
"""What a data set's name ends with if a part of another's training data takes the place of its test data."""

MOST_SETTINGS = 8

UNLEARN = {"epoch_of": ("retain", "forget"), "batch_norm": ("train", "eval"), "augment": (True, False)}
"""The lines of a protocol's unlearning that the publication leaves open, and what may stand there."""

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


def choose_parts(config: dict[str, Any], parts: Mapping[str, Sequence[Any]]) -> None:
    """Let the suite that runs consist of ``parts`` (see `take_parts`) where they name something; in place.

    Raises UserError for a suite that is not there. Whether there is all that is named, `check_names` says.
    """
    suite = known(config["suite"], config["suites"], "configuration: suite")
    config["suites"][suite] |= {key: list(names) for key, names in parts.items()}


def add_rule(config: dict[str, Any]) -> None:
    """Make the file that ``rule`` names a method, called as the file is, of the suite that runs; in place.

    ``config`` has passed `check_schema`. Raises UserError if no method can be called so, or another one is.
    """
    if "rule" not in config:
        return
    path, suite = config["rule"], known(config["suite"], config["suites"], "configuration: suite")
    name = Path(path).stem
    if not METHOD_NAME.fullmatch(name):
        raise UserError(
            f"rule={path}: the method is called as its file is, and {name!r} is no name: lower-case letters, digits "
            "and underscores, a letter first; rename the file"
        )
    method = config["methods"].setdefault(name, {"file": path})
    if method_file(name, method).resolve() != Path(path).expanduser().resolve():
        raise UserError(f"rule={path}: another method is called {name} already; rename the file")
    if name not in config["suites"][suite]["methods"]:
        config["suites"][suite]["methods"].append(name)


WEIGHTS = (".pt", ".pth", ".bin", ".ckpt", ".safetensors")
"""How the names of files with weights end."""

OF_SEED = re.compile(r"(?P<name>.+?)[-_.]?seed(?P<seed>[0-9]+)")


def add_checkpoint(config: dict[str, Any]) -> None:
    """Make a row for each model from elsewhere that ``checkpoint`` names, a file or a folder of files; in place.

    A row is called as its file is, in lower case, with _ for other characters. A file NAME_seed43.pt is the seed's, one
    without a seed the suite's first. Raises UserError if there is no such file, or two rows would be called alike.
    """
    if "checkpoint" not in config:
        return
    where, path = f"checkpoint={config['checkpoint']}", Path(config["checkpoint"]).expanduser()
    files = sorted(file for file in path.iterdir() if file.suffix in WEIGHTS) if path.is_dir() else [path]
    if not path.exists() or not files:
        raise UserError(f"{where}: there is no such file, or no {', '.join(WEIGHTS)} in the folder")
    seeds = config["suites"][config["suite"]]["seeds"]
    for file in files:
        match = OF_SEED.fullmatch(file.stem.lower())
        name = re.sub("[^a-z0-9]+", "_", match["name"] if match else file.stem.lower()).strip("_")
        name = name if METHOD_NAME.fullmatch(name) else f"model_{name}"
        seed = int(match["seed"]) if match else seeds[0]
        if seed not in seeds:
            raise UserError(f"{where}: {file.name} is of seed {seed}; the suite has {', '.join(map(str, seeds))}")
        row = config["methods"].get(name, {"kind": EXTERNAL, "weights": {}})
        if row["kind"] != EXTERNAL or name in REFERENCES or seed in row["weights"]:
            raise UserError(f"{where}: {file.name}: another row is called {name} already; rename the file")
        row["weights"][seed] = str(file)
        config["methods"][name] = row


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
