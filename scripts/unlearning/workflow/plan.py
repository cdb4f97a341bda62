"""The needs of each job: functions that give the rules inputs and parameters for wildcards.

A job depends on its parameters and on the contents of its inputs; Snakemake compares both with the last run. Code and
data sets are only parameters, as digests, so that a change without effect on results, such as a comment or another
folder for the data, makes nothing again. Settings are parameters by their meaning (see `unlearning.meaning`).
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from unlearning.config.model import (
    EXTERNAL,
    REFERENCES,
    Benchmark,
    BenchmarkSettings,
    Config,
    DatasetSettings,
    MethodSettings,
    Protocol,
    Suite,
)
from unlearning.errors import UserError
from unlearning.meaning import by_meaning
from unlearning.paths import BENCHMARK, CELL, KNOWN_DIGEST, PRETRAINING, checkpoint_of
from unlearning.watched_code import SCRIPTS, code_of, digest_of_file, meanings_of

AUGMENTATION = ("crop_padding", "flip")
ORACLE = REFERENCES[1]
TO_BE_MADE = "to be made"
"""The digest of a data set that is not there yet."""

Of = Callable[[Any], Any]
"""A function of a job's wildcards."""


def relative(files: Iterable[str | Path]) -> list[str]:
    """Return paths relative to the working directory, so that a project that moved as a whole is not rebuilt."""
    return [os.path.relpath(file) for file in files]


class Plan:
    """The plan of a run with the configuration ``config``."""

    def __init__(self, config: Config):
        self.config = config

    @property
    def suite(self) -> Suite:
        """Return the suite that runs."""
        return self.config.chosen

    @property
    def rows(self) -> list[str]:
        """Return the rows of the suite's table: references, then methods."""
        return [*REFERENCES, *self.suite.methods]

    @property
    def methods(self) -> list[str]:
        """Return all methods of the configuration, without models from other programs."""
        return [name for name, settings in self.config.methods.items() if settings.kind != EXTERNAL]

    @property
    def externals(self) -> dict[str, dict[int, str]]:
        """Return the files of models from other programs, by row and seed."""
        return {name: dict(its.weights) for name, its in self.config.methods.items() if its.weights is not None}

    def summary(self) -> str:
        """Return a line that says what runs."""
        counts = {key: len(getattr(self.suite, key)) for key in ("benchmarks", "methods", "seeds")}
        parts = " x ".join(f"{count} {key if count > 1 else key[:-1]}" for key, count in counts.items())
        return f"suite {self.config.suite}: {parts}, and the references"

    # --- code and data

    def weights(self, wildcards: Any) -> str:
        """Return the file of a model from another program."""
        return self.externals[wildcards.method][int(wildcards.seed)]

    def weights_digest(self, wildcards: Any) -> str:
        """Return the digest of that file: another one of the same name may be older than the row."""
        return digest_of_file(Path(self.weights(wildcards)))

    def code(self, script: str) -> list[str]:
        """Return the meaning of a script's code, as parameters: one per file, so that a change is named.

        Raises UserError if a file is not valid Python.
        """
        return meanings_of(code_of(SCRIPTS / script))

    def method(self, wildcards: Any) -> str:
        """Return the method's file, relative to the working directory, so that a project may move as a whole."""
        return relative([self.config.method_file(wildcards.method)])[0]

    def method_code(self, wildcards: Any) -> list[str]:
        """Return the meaning of the method's file and of the project's modules that it imports.

        While the method is being edited and is not valid Python, return the meaning of its file alone.
        """
        file = Path(self.method(wildcards))
        try:
            return meanings_of(code_of(file))
        except UserError:
            return meanings_of([file])

    def fetched(self, is_deleting: bool = False) -> list[str]:
        """Return the data sets that a rule fetches: those that name a source.

        ``is_deleting`` says that Snakemake removes all that rules make (--delete-all-output). Then a file that is there
        is left out: nobody knows whether it was fetched or put there by hand.
        """
        names = [name for name, settings in self.config.datasets.items() if settings.source]
        return [name for name in names if not (is_deleting and self.config.dataset_file(name).exists())]

    def mirror(self, wildcards: Any) -> list[str]:
        """Return the mirrors of a data set: they change no result."""
        return list(self._dataset(wildcards).mirror or ())

    def parts(self) -> list[str]:
        """Return the data sets that are parts of another one."""
        return [name for name, settings in self.config.datasets.items() if settings.part_of is not None]

    def original(self, wildcards: Any) -> SimpleNamespace:
        """Return the wildcards of the data set that a part is taken from."""
        return SimpleNamespace(dataset=self._dataset(wildcards).part_of)

    def of_original(self, function: Of) -> Of:
        """Return ``function`` of the data set that a part is taken from."""
        return lambda wildcards: function(self.original(wildcards))

    def part(self, wildcards: Any) -> dict[str, int | None]:
        """Return how many images of each class a part has."""
        settings = self._dataset(wildcards)
        return {"per_class": settings.per_class, "test_per_class": settings.test_per_class}

    def dataset_file(self, wildcards: Any) -> Path:
        """Return the data set's file."""
        return self.config.dataset_file(wildcards.dataset)

    def dataset(self, wildcards: Any) -> list[str]:
        """Return the data set's file as an input if it must be made first. If not, the digest represents the file."""
        file = self.dataset_file(wildcards)
        is_there = file.exists() or self._known_digest(file)
        return [str(file)] if self._dataset(wildcards).is_made or not is_there else []

    def data(self, wildcards: Any) -> str:
        """Return the digest of the data set's file, or the last known digest if the file is gone."""
        file = self.dataset_file(wildcards)
        return digest_of_file(file) if file.exists() else self._known_digest(file) or TO_BE_MADE

    def _known_digest(self, file: Path) -> str | None:
        note = Path(KNOWN_DIGEST.format(dataset=file.stem))
        return note.read_text(encoding="utf-8") if note.exists() else None

    def of_dataset(self, key: str) -> Of:
        """Return a function for one setting of the data set."""
        return lambda wildcards: getattr(self._dataset(wildcards), key)

    # --- settings

    def _dataset(self, wildcards: Any) -> DatasetSettings:
        return self.config.datasets[wildcards.dataset]

    def _benchmark(self, wildcards: Any) -> BenchmarkSettings:
        return self.config.benchmarks[f"{wildcards.model}-{wildcards.dataset}"]

    def _protocol(self, wildcards: Any) -> Protocol:
        return self.config.protocols[self._benchmark(wildcards).protocol]

    def _method(self, wildcards: Any) -> MethodSettings:
        return self.config.methods[wildcards.method]

    def _constants(self, wildcards: Any, *keys: str) -> dict[str, Any]:
        """Return some constants of the protocol by their meaning: a job depends on the constants that it uses.

        Constants that only record something during the training, or that ask for nothing, are left out. tf32 counts as
        float32: `lost` compares which of the two a GPU has computed in.
        """
        constants = {key: getattr(self._protocol(wildcards), key) for key in keys}
        if constants.get("precision") == "tf32":
            constants["precision"] = "float32"
        for part in ("pretrain", "unlearn"):
            if part in constants:
                noted = {"evaluate_every"} | ({"least_steps"} if not constants[part]["least_steps"] else set())
                constants[part] = {key: its for key, its in constants[part].items() if key not in noted}
        return by_meaning(constants)

    def images(self, wildcards: Any) -> dict[str, Any]:
        """Return the settings that turn the data set into the images that the model sees."""
        dataset = self._dataset(wildcards)
        settings = {key: getattr(dataset, key) for key in ("classes", "fit", "normalisation")}
        return by_meaning(settings | {"image_size": self._benchmark(wildcards).image_size})

    def training(self, wildcards: Any) -> dict[str, Any]:
        """Return the settings that determine the training of the original model and of the oracle."""
        protocol = self._constants(wildcards, "batch_size", "precision", *AUGMENTATION, "pretrain")
        return by_meaning({"width": self._benchmark(wildcards).width, "protocol": protocol})

    def width(self, wildcards: Any) -> float:
        """Return the model's width."""
        return by_meaning(self._benchmark(wildcards).width)

    def unlearning(self, wildcards: Any) -> dict[str, Any]:
        """Return the protocol of unlearning, changed as a calibration's variant of the method says."""
        protocol = self._constants(wildcards, "batch_size", "precision", *AUGMENTATION, "unlearn")
        of_variant = self._method(wildcards).unlearn or {}
        return by_meaning(protocol | {"unlearn": protocol["unlearn"] | of_variant})

    def relearning(self, wildcards: Any) -> dict[str, Any]:
        """Return the protocol of relearning."""
        return self._constants(wildcards, "batch_size", *AUGMENTATION, "relearn")

    def evaluation(self, wildcards: Any) -> dict[str, Any]:
        """Return the protocol of evaluating."""
        return self._constants(wildcards, *AUGMENTATION)

    def hyperparameters(self, wildcards: Any) -> dict[str, Any]:
        """Return the method's hyperparameters by their meaning."""
        return by_meaning(self._method(wildcards).hyperparameters)

    def shadows(self, wildcards: Any) -> int | None:
        """Return how many shadow models divide the forget class; None for models that never saw the class.

        Those models do not depend on the number.
        """
        return self.config.shadows if wildcards.reference == "original" else None

    # --- parameters that Snakemake does not compare

    def unwatched(self, *names: str) -> Callable[[Any, Any], dict[str, Any]]:
        """Return a parameter function for values that change no result, or are compared by their meaning elsewhere.

        Snakemake does not compare a parameter whose function takes the output: it counts as derived from the output.
        """
        always = ("dataset", "source", "largest_gb")
        return lambda wildcards, output: {name: self._told(name, wildcards) for name in (*always, *names)}

    def unwatched_of_original(self) -> Callable[[Any, Any], dict[str, Any]]:
        """Return `unwatched` of the data set that a part is taken from."""
        told = self.unwatched()
        return lambda wildcards, output: told(self.original(wildcards), output)

    def _told(self, name: str, wildcards: Any) -> Any:
        if name == "dataset":
            return str(self.dataset_file(wildcards))
        if name == "source" and self.mirror(wildcards):
            return [self._dataset(wildcards).source, *self.mirror(wildcards)]
        if name in ("source", "largest_gb"):
            return getattr(self._dataset(wildcards), name)
        if name == "method":
            return self.method(wildcards)
        if name == "hyperparameters":  # 1.0 stays 1.0: a method may depend on the type
            return self._method(wildcards).hyperparameters
        if name == "draws_as":
            return self._method(wildcards).variant_of or wildcards.method
        if name == "precision":
            return self._protocol(wildcards).precision
        protocol = self._protocol(wildcards)
        return (protocol.unlearn if hasattr(wildcards, "method") else protocol.pretrain)["evaluate_every"]

    # --- files that are missing or wrong although no setting has changed

    def missing(self, *files: str | Path | Of) -> Of:
        """Return a function that lists missing inputs.

        Snakemake does not remake a missing input while the job's output is there.
        """

        def those_missing(wildcards: Any) -> list[str]:
            paths = [file(wildcards) if callable(file) else file for file in files]
            return [path for path in (str(path).format(**wildcards) for path in paths) if not Path(path).exists()]

        return those_missing

    def lost(self, checkpoint: str, *beside: str) -> Of:
        """Return a function that lists why an existing checkpoint must be made again.

        Either a file in its folder (``beside``) is missing, and its savepoint would restore the file; or a GPU computed
        the checkpoint in another precision than is asked for now. While the job runs, nothing is there, so nothing is
        wrong.
        """

        def what_is_lost(wildcards: Any) -> list[str]:
            path = Path(checkpoint.format(**wildcards))
            if not path.exists():
                return []
            comes_back = any(path.parent.glob(".*.savepoint"))
            gone = [name for name in beside if comes_back and not path.with_name(name).exists()]
            return [f"{name} is missing" for name in gone] + self._other_precision(path, wildcards)

        return what_is_lost

    def _other_precision(self, checkpoint: Path, wildcards: Any) -> list[str]:
        """Return why a precision is another than is asked for. On a CPU, tf32 is float32, also for what is carried."""
        try:
            cost = json.loads(checkpoint.with_name("cost.json").read_text(encoding="utf-8"))
            device, computed_in = cost["device"], cost["precision"]
        except (OSError, ValueError, KeyError, TypeError):
            return []
        asked = self._protocol(wildcards).precision
        is_float32_here = computed_in == "float32" and (cost.get("carried") or self.config.device == "cpu")
        is_other = {computed_in, asked} == {"float32", "tf32"} and device != "cpu" and not is_float32_here
        return [f"computed in {computed_in} on {device}"] if is_other else []

    # --- the cells of the suite

    def checkpoint(self, wildcards: Any) -> str:
        """Return the checkpoint of a row's model, with wildcards."""
        return checkpoint_of(wildcards.method)

    def cells(self, name: str, methods: Iterable[str], *which: Sequence[Any] | None) -> list[str]:
        """Return the file ``name`` of every cell for ``methods``; ``which`` may name other benchmarks and seeds."""
        return self.files(f"{CELL}/{name}", methods, *which)

    def files(
        self,
        pattern: str,
        methods: Iterable[str],
        benchmarks: Sequence[str] | None = None,
        seeds: Sequence[int] | None = None,
    ) -> list[str]:
        """Return ``pattern`` for every benchmark, method and seed, in the table's order, each file once."""
        files = [
            pattern.format(**vars(Benchmark.parse(benchmark)), method=method, seed=seed)
            for benchmark in (self.suite.benchmarks if benchmarks is None else benchmarks)
            for method in methods
            for seed in (self.suite.seeds if seeds is None else seeds)
        ]
        return list(dict.fromkeys(files))

    def table_cells(self, name: str) -> list[str]:
        """Return the file ``name`` of every cell of the suite's table: the suite's own, then other programs' models."""
        external = [self.cells(name, [row], None, list(files)) for row, files in self.externals.items()]
        return [*self.cells(name, self.rows), *(file for files in external for file in files)]

    def costs(self) -> list[str]:
        """Return the cost files of the jobs behind the table."""
        return [
            *self.files(f"{PRETRAINING}/cost.json", ["original"]),
            *self.cells("cost.json", ["retrain", *self.suite.methods]),
            *self.table_cells("evaluation_cost.json"),
        ]

    def needed_for_the_table(self) -> list[str]:
        """Return the files that the table is made from."""
        of_cells = [file for name in ("metrics.json", "scores.npz", "compare.json") for file in self.table_cells(name)]
        return [*of_cells, *self.costs()]

    def on_request(self) -> list[str]:
        """Return the files that the suite asks for in addition to the usual evaluation."""
        return [
            *(self.table_cells("relearning.json") if self.config.is_relearning else []),
            *(self.cells("ulira.json", self.rows) if self.config.shadows else []),
        ]

    def shadow_oracles(self) -> list[str]:
        """Return the logits of the shadow models that never saw the forget class: more oracles for the noise floor."""
        patterns = [f"{BENCHMARK}/shadow{number}/{ORACLE}/logits.npz" for number in range(self.config.shadows)]
        return [file for pattern in patterns for file in self.files(pattern, [ORACLE])]

    def calibrated(self, name: str, baselines: Sequence[str], choices: Mapping[str, str]) -> list[str]:
        """Return the file ``name`` of every cell of a calibration: as configured, and with each of ``choices``."""
        rows = [*REFERENCES, *baselines]
        files = self.cells(name, rows) if choices else []
        for suffix in choices:
            if baselines[0] + suffix in self.config.methods:
                files += self.cells(name, [baseline + suffix for baseline in baselines])
            else:
                benchmarks = [benchmark.replace("-class", f"{suffix}-class") for benchmark in self.suite.benchmarks]
                files += self.cells(name, rows, benchmarks)
        return files

    def kinds(self) -> dict[str, str]:
        """Return the kind of each row, in the order of the suite: a reference, or the kind of its method."""
        methods = {name: self.config.methods[name].kind for name in self.suite.methods}
        return dict.fromkeys(REFERENCES, "reference") | methods | dict.fromkeys(self.externals, EXTERNAL)

    def settings(self) -> dict[str, str]:
        """Return the origin of each row's hyperparameters, as the schema names it. A reference has none."""
        return {name: self.config.methods[name].settings for name in self.suite.methods}
