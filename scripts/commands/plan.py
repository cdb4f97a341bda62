"""make plan: the cost of a table before it is made (jobs, hours, disk), and what is there already.

A few steps of each model and method are measured on this device; the rest is arithmetic.
"""

from __future__ import annotations

import argparse
import math
import os
import re
import sys
from collections import Counter, defaultdict
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from tabulate import tabulate

from benches.estimate import Setup, Sizes, Speed, speed_of, start_seconds, unlearning_seconds
from benches.setting import device_name, sizes_for
from commands import run, tells_mistakes
from commands.request import Request, add_request, request_of
from unlearning.config.model import Benchmark, BenchmarkSettings, Config, Protocol
from unlearning.config.reading import read_yaml
from unlearning.data.sources import CHANNELS, SIZES
from unlearning.evaluation.relearning import LARGEST_RETAINED_SAMPLE
from unlearning.evaluation.sample import LARGEST_PART
from unlearning.training.loop import epochs_of
from unlearning.workflow.carrying import place_in
from unlearning.workflow.process import defer_dynamo, keep_freed_memory
from unlearning.workflow.progress import SNAKEFILE, PlannedJob, duration, planned_jobs

OF_PATH = re.compile(
    r"results/(?P<model>\w+?)-(?P<dataset>\w+?)(-class(?P<forget_class>\d+))?/"
    r"((seed(?P<seed>\d+)|shadow(?P<shadow>\d+))/)?((?P<method>\w+)/)?[\w.]+"
)
TRAININGS = ("pretrain", "retrain", "unlearn", "train_shadow")
"""Rules that leave a checkpoint and a savepoint."""

OVERHEAD = ("split", "compare", "aggregate", "table", "ulira", "dataset", "part", "all")
"""Rules whose jobs take a second or two."""

ORDER = (
    "dataset",
    "part",
    "split",
    "pretrain",
    "retrain",
    "unlearn",
    "adopt",
    "evaluate",
    "compare",
    "relearn",
    "train_shadow",
)
"""The rules in the order of the printed table, as they run. Other rules come after them."""


@tells_mistakes
def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="make plan", description=__doc__)
    add_request(parser)
    parser.add_argument("--cores", type=cores, default=4, help="how many jobs run at a time, or all (default: 4)")
    given = parser.parse_args(arguments)
    request = request_of(given)
    print(report(request, planned_jobs(request.arguments, request.report), given.cores))
    return 0


def available_cores() -> int:
    """Return how many cores this process may use, of which Snakemake's --cores all makes use."""
    return len(os.sched_getaffinity(0))


def cores(given: str) -> int:
    """Return a number of cores as Snakemake reads it. Raises ValueError if it is none."""
    number = available_cores() if given == "all" else int(given)
    if number < 1:
        raise ValueError
    return number


def report(request: Request, jobs: list[PlannedJob], cores: int) -> str:
    """Return what ``make plan`` prints."""
    estimates = Estimates(request.config)
    pending = [job for job in jobs if not job.is_done and job.rule != "all"]
    counts: Counter = Counter()
    seconds: dict[tuple[str, str], float] = defaultdict(float)
    disk = 0.0
    for job in pending:
        key = (job.rule, estimates.model_of(job))
        counts[key] += 1
        seconds[key] += estimates.seconds(job)
        disk += estimates.megabytes(job)
    total = sum(seconds.values())
    unit = Unit("hours", 3600) if total > 7200 else Unit("minutes", 60)
    what = "device" if estimates.device.type == "cuda" else "core"
    cores = min(cores, available_cores() if what == "core" else gpu_slots())
    wall = duration(total / min(cores, len(pending) or 1))
    together = f"{wall} with {cores} job{'s' if cores > 1 else ''} at a time, if they do not slow each other down"
    missing = [name for name in estimates.datasets() if not estimates.is_there(name)]
    lines = [
        f"suite {request.config.suite} on {device_name(estimates.device)}, {what} {unit.name}:",
        time_by_rule_and_model(counts, seconds, estimates.models(), unit),
        f"{unit.of(total)} {what} {unit.name} in all; {together}",
        f"disk: {disk:,.0f} MB of results" + (f"; to be fetched first: {', '.join(missing)}" if missing else ""),
        f"there already: {sum(job.is_done for job in jobs)} of {sum(job.rule != 'all' for job in jobs)} jobs",
    ]
    if carried := sum(map(estimates.is_carried, pending)):
        lines.append(f"taken from {request.config.checkpoints}, if they fit, and not trained: {carried} checkpoints")
    return "\n\n".join(lines)


def gpu_slots() -> int:
    """Return how many jobs share a GPU, by the profile of runs on this machine."""
    return int(read_yaml(SNAKEFILE.parent / "profiles/default/config.yaml")["resources"]["gpu_slots"])


def time_by_rule_and_model(
    counts: Counter, seconds: dict[tuple[str, str], float], models: list[str], unit: Unit
) -> str:
    """Return a table with a row for each rule and a column for each of ``models``."""
    rules = sorted({rule for rule, _ in seconds}, key=lambda rule: [*ORDER, rule].index(rule))
    rows = []
    for rule in [*rules, "all"]:
        of_rule = [key for key in seconds if rule in (key[0], "all")]
        row = [rule, str(sum(counts[key] for key in of_rule))]
        for model in models:
            of_model = [seconds[key] for key in of_rule if key[1] == model]
            row.append(unit.of(sum(of_model)) if of_model else "")
        rows.append([*row, unit.of(sum(seconds[key] for key in of_rule))])
    align = ("left", *["right"] * (len(models) + 2))
    return tabulate(rows, ["rule", "jobs", *models, "all"], colalign=align, disable_numparse=True)


@dataclass(frozen=True)
class Unit:
    """A unit of time: its name, and its length in seconds."""

    name: str
    seconds: int

    def of(self, seconds: float) -> str:
        return f"{seconds / self.seconds:.1f}"


class Estimates:
    """Seconds and megabytes of jobs. Each measurement that they need is made once."""

    def __init__(self, config: Config):
        self.config = config
        keep_freed_memory()
        defer_dynamo()
        torch.set_num_threads(1)
        on_gpu = config.device != "cpu" and torch.cuda.is_available()
        self.device = torch.device("cuda" if on_gpu else "cpu")
        self._start = start_seconds()
        self._speeds: dict[Setup, Speed] = {}
        self._methods: dict[tuple, float] = {}

    def _benchmarks(self) -> list[Benchmark]:
        return [Benchmark.parse(name) for name in self.config.chosen.benchmarks]

    def models(self) -> list[str]:
        return list(dict.fromkeys(benchmark.model for benchmark in self._benchmarks()))

    def datasets(self) -> list[str]:
        return list(dict.fromkeys(benchmark.dataset for benchmark in self._benchmarks()))

    def is_there(self, dataset: str) -> bool:
        return self.config.dataset_file(dataset).exists()

    def model_of(self, job: PlannedJob) -> str:
        match = OF_PATH.fullmatch(job.outputs[0])
        return match["model"] if match and job.rule not in OVERHEAD else ""

    def is_carried(self, job: PlannedJob) -> bool:
        """Return whether the folder of carried checkpoints has the job's; whether it fits, the job will see."""
        folder, models = self.config.checkpoints, [Path(output) for output in job.outputs if output.endswith(".pt")]
        return folder is not None and any(place_in(folder, model).exists() for model in models)

    def seconds(self, job: PlannedJob) -> float:
        """Return how long the job will take."""
        match = OF_PATH.fullmatch(job.outputs[0])
        if job.rule in OVERHEAD or match is None:
            return 1.0
        if self.is_carried(job):
            return self._start
        setup, sizes, protocol = self._setup(match), self._sizes(match), self._protocol(match)
        speed = self._speed(setup)
        retain = sizes.train - sizes.forget_train
        seconds = {
            "pretrain": lambda: self._training(protocol, speed, sizes.train, sizes.test),
            "retrain": lambda: self._training(protocol, speed, retain, sizes.test - sizes.forget_test),
            "train_shadow": lambda: self._training(protocol, speed, retain + sizes.forget_train // 2, sizes.test),
            "unlearn": lambda: self._unlearning(match, setup, sizes, protocol),
            "unlearn_shadow": lambda: self._unlearning(match, setup, sizes, protocol),
            "relearn": lambda: self._relearning(match, protocol, speed, sizes),
            "evaluate": lambda: self._evaluation(speed, sizes),
        }
        return self._start + seconds.get(job.rule, lambda: 0.0)()

    def megabytes(self, job: PlannedJob) -> float:
        """Return the megabytes that the job leaves on the disk: checkpoint and savepoint, or scores and features."""
        match = OF_PATH.fullmatch(job.outputs[0])
        if match is None or job.rule in OVERHEAD:
            return 0.1
        setup, sizes = self._setup(match), self._sizes(match)
        if job.rule == "evaluate":
            scores = 4e-6 * setup.classes * (2 * sizes.forget_train + sizes.forget_test)
            retained = (sizes.train - sizes.forget_train, sizes.test - sizes.forget_test)
            sample = sum(min(LARGEST_PART, part) for part in (sizes.forget_train, sizes.forget_test, *retained))
            return scores + 2e-6 * self._speed(setup).features * sample
        return 2e-6 * self._speed(setup).weights if job.rule in TRAININGS else 0.1

    def _benchmark(self, match: re.Match) -> BenchmarkSettings:
        return self.config.benchmarks[f"{match['model']}-{match['dataset']}"]

    def _protocol(self, match: re.Match) -> Protocol:
        return self.config.protocols[self._benchmark(match).protocol]

    def _setup(self, match: re.Match) -> Setup:
        benchmark, protocol = self._benchmark(match), self._protocol(match)
        dataset = self.config.datasets[match["dataset"]]
        return Setup(
            match["model"],
            benchmark.width,
            dataset.classes,
            self._channels(match["dataset"]),
            benchmark.image_size,
            protocol.batch_size,
            protocol.precision,
        )

    def _channels(self, dataset: str) -> int:
        file = self.config.dataset_file(dataset)
        settings = self.config.datasets[dataset]
        if not file.exists():
            return self._channels(settings.part_of) if settings.part_of else CHANNELS[settings.source or ""]
        with np.load(file, allow_pickle=False) as arrays:
            shape = arrays["test_images"].shape
        return shape[3] if len(shape) == 4 else 1

    def _sizes(self, match: re.Match) -> Sizes:
        return self._sizes_of(match["dataset"], int(match["forget_class"] or 0))

    def _sizes_of(self, dataset: str, forgotten: int) -> Sizes:
        settings, file = self.config.datasets[dataset], self.config.dataset_file(dataset)
        if settings.part_of is not None:
            whole = self._sizes_of(settings.part_of, forgotten)
            of_class = settings.per_class or 0
            part = Sizes(settings.classes * of_class, whole.test, of_class, whole.forget_test)
            of_test = settings.test_per_class
            return replace(part, test=settings.classes * of_test, forget_test=of_test) if of_test else part
        if not file.exists():
            train, test = SIZES[settings.source or ""]
            return Sizes(train, test, train // settings.classes, test // settings.classes)
        with np.load(file, allow_pickle=False) as arrays:
            train, test = (arrays[f"{part}_labels"].ravel() for part in ("train", "test"))
        return Sizes(len(train), len(test), int((train == forgotten).sum()), int((test == forgotten).sum()))

    def _speed(self, setup: Setup) -> Speed:
        if setup not in self._speeds:
            print(f"measuring {setup.model} ...", file=sys.stderr, flush=True)
            self._speeds[setup] = speed_of(setup, self.device)
        return self._speeds[setup]

    def _training(self, protocol: Protocol, speed: Speed, images: int, test: int) -> float:
        settings = protocol.pretrain
        steps = math.ceil(images / protocol.batch_size)
        epochs = epochs_of(settings, steps)
        return epochs * steps * speed.step + math.ceil(epochs / settings["evaluate_every"]) * test * speed.image

    def _unlearning(self, match: re.Match, setup: Setup, sizes: Sizes, protocol: Protocol) -> float:
        name = match["method"]
        settings = {**protocol.unlearn, **(self.config.methods[name].unlearn or {})}  # as a calibration changes it
        retain, forget = sizes.train - sizes.forget_train, sizes.forget_train
        of_method = sizes_for(retain, forget, protocol.batch_size, settings["epoch_of"])
        epochs = epochs_of(settings, of_method["steps_per_epoch"])
        key = (setup, name, epochs, retain, forget)
        if key not in self._methods:
            print(f"measuring {name} on {setup.model} ...", file=sys.stderr, flush=True)
            file = self.config.method_file(name)
            try:
                speed, given = self._speed(setup), dict(self.config.methods[name].hyperparameters)
                seconds = unlearning_seconds(speed, self.device, file, given, epochs, of_method)
            except Exception as error:  # raised by the method: its cell will fail
                print(f"{name} cannot be measured: {type(error).__name__}: {error}", file=sys.stderr)
                seconds = 0.0
            self._methods[key] = seconds
        return self._methods[key]

    def _evaluation(self, speed: Speed, sizes: Sizes) -> float:
        """Return the seconds of an evaluation.

        It reads the forget class's training images twice: plain, and augmented.
        """
        return (sizes.train + sizes.test + sizes.forget_train) * speed.image + sizes.test * speed.probe

    def _relearning(self, match: re.Match, protocol: Protocol, speed: Speed, sizes: Sizes) -> float:
        """Return the seconds of relearning, if every start reaches the limit.

        There are two starts, with the row of original also those of a model with random weights. Each epoch is tested
        on the forget class; the original model is tested once on all test images.
        """
        settings = protocol.relearn
        forget = min(settings["images"], sizes.forget_train)
        images = forget + min(LARGEST_RETAINED_SAMPLE, forget * (self.config.datasets[match["dataset"]].classes - 1))
        per_image = speed.step / protocol.batch_size
        starts = 4 if match["method"] == "original" else 2
        seconds = starts * settings["epochs"] * (images * per_image + sizes.forget_test * speed.image)
        seconds += sizes.test * speed.image
        if self.config.is_retain_relearning:
            seconds += (sizes.train - sizes.forget_train) * per_image + sizes.forget_test * speed.image
        return seconds


if __name__ == "__main__":
    run(main, sys.argv[1:])
