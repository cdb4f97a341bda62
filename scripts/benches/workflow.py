"""The cost of the workflow itself: processor time of one `make table` by part, and how plans and jobs grow."""

from __future__ import annotations

import json
import os
import re
import subprocess  # nosec B404: this project's own commands
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benches.setting import SIZE, Setting, config
from unlearning.errors import UserError
from unlearning.files import write_arrays
from unlearning.watched_code import SCRIPTS

CORES = 2
CLOCK = re.compile(r"^(\w+): done in .*; processor seconds: (.*)$", re.MULTILINE)
BENCHMARKS, METHODS, SEEDS = 3, 20, 10
IMAGES, EPOCHS = 1_000_000, (2, 40)


def measure_workflow(setting: Setting) -> Iterator[dict[str, Any]]:
    """Yield processor seconds by rule and part, from the jobs' own clocks, and the processor seconds of Snakemake."""
    where = setting.where | {"device": f"{setting.where['device'].split(', ')[0]}, {CORES} cores"}
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        arguments = ["--cores", str(CORES), "--directory", folder, "results/table.md"]
        total = _snakemake(*arguments, "--config", "suite=digits", "device=cpu", f"data_dir={folder}/data").seconds
        wall = time.perf_counter() - start
        rows = [row for log in sorted(Path(folder).glob("results/**/*.log")) for row in _clock(log)]
    yield where | {"model": "", "what": "wall clock", "value": wall, "unit": "s"}
    yield where | {"model": "", "what": "processor", "value": total, "unit": "s"}
    own = total - sum(row["value"] for row in rows)
    yield where | {"model": "Snakemake", "what": "other", "value": own, "unit": "s"}
    sums: dict[tuple[str, str], float] = {}
    for row in rows:
        key = (row["rule"], row["part"])
        sums[key] = sums.get(key, 0) + row["value"]
    for (rule, part), value in sums.items():
        yield where | {"model": rule, "what": part, "value": value, "unit": "s"}


def _clock(log: Path) -> Iterator[dict[str, Any]]:
    """Yield the parts of a job's processor time, from the last line of its log."""
    match = CLOCK.search(log.read_text(encoding="utf-8"))
    if match is None:
        raise UserError(f"{log}: its job did not say what its time was spent on")
    for entry in match[2].split(", "):
        part, seconds = entry.rsplit(" ", 1)
        yield {"rule": match[1], "part": part, "value": float(seconds)}


def measure_growth(setting: Setting) -> Iterator[dict[str, Any]]:
    """Yield seconds and peak memory of a large plan, and peak memory of jobs with much data or many epochs."""

    def row(what: str, value: float, unit: str) -> dict[str, Any]:
        return setting.where | {"model": "", "what": what, "value": value, "unit": unit}

    with tempfile.TemporaryDirectory() as folder:
        plan = f"plan of {BENCHMARKS} benchmarks, {METHODS} methods, {SEEDS} seeds"
        start = time.perf_counter()
        peak = large_plan(Path(folder)).peak_mb
        yield row(plan, time.perf_counter() - start, "s")
        yield row(plan, peak, "MB")
        images = Path(folder) / "large.npz"
        _write_images(images, IMAGES)
        what = f"reading {IMAGES:,} images of {SIZE} × {SIZE} in colour, and some steps of training"
        yield row(what, _python("-c", READ, str(images)).peak_mb, "MB")
        for epochs in EPOCHS:
            yield row(f"training for {epochs} epochs", training_of(epochs, Path(folder)).peak_mb, "MB")


def large_plan(folder: Path) -> Usage:
    """Plan, in ``folder``, the table of a suite with 3 benchmarks, 20 methods and 10 seeds."""
    file = folder / "large.yaml"
    file.write_text(json.dumps(_large_suite()), encoding="utf-8")  # JSON is also YAML, and has no aliases
    return _snakemake("-n", "--quiet", "all", "--cores", "1", "--directory", str(folder), "--configfile", str(file))


def training_of(epochs: int, folder: Path) -> Usage:
    """Train a small ResNet-20 for ``epochs`` epochs on a thousand images, which are written to ``folder``."""
    images = folder / "small.npz"
    _write_images(images, 1_000)
    return _python("-c", TRAIN, str(images), str(epochs))


READ = """
import sys
import numpy as np
import torch
from unlearning.data.batches import TensorData
from unlearning.training.cuda_graphs import EagerGradients
from unlearning.models import build_model
from unlearning.workflow.process import defer_dynamo, keep_freed_memory
from unlearning.streams import generator

keep_freed_memory()
defer_dynamo()
data = TensorData.read(sys.argv[1], "cpu", classes=10, image_size=32, fit="pad", normalisation="channels")
protocol = {"batch_size": 128, "crop_padding": 4, "flip": True}
batches = data.train_batches(np.flatnonzero(data.train_labels.numpy()), protocol, generator(0, "batches"))
gradients = EagerGradients(build_model("resnet20", 10, 3))
for step, batch in enumerate(batches.epoch()):
    gradients(*batch)
    if step == 5:
        break
"""

TRAIN = """
import sys
import numpy as np
from unlearning.data.batches import TensorData
from unlearning.workflow.process import defer_dynamo, keep_freed_memory
from unlearning.training.loop import train_from_scratch

keep_freed_memory()
defer_dynamo()
data = TensorData.read(sys.argv[1], "cpu", classes=10, image_size=32, fit="pad", normalisation="channels")
constants = {"learning_rate": 0.01, "momentum": 0.9, "weight_decay": 5e-4, "evaluate_every": 1}
protocol = {"batch_size": 128, "crop_padding": 4, "flip": True, "precision": "float32"}
settings = {"width": 0.25, "protocol": protocol | {"pretrain": constants | {"epochs": int(sys.argv[2])}}}
train_from_scratch("resnet20", data, settings, 0, np.arange(len(data.train_labels)), np.arange(len(data.test_labels)))
"""


def _large_suite() -> dict[str, Any]:
    """Return config.yaml with a suite of 3 benchmarks, 20 methods and 10 seeds."""
    large = config().as_plain()
    (benchmarks, settings) = large["suites"]["digits"]["benchmarks"], large["methods"]["scrub"]
    file = str(SCRIPTS / "methods" / "scrub.py")
    methods = {f"method_{number}": settings | {"file": file} for number in range(METHODS)}
    suite = {"benchmarks": benchmarks[:BENCHMARKS], "methods": list(methods), "seeds": list(range(SEEDS))}
    large["methods"] |= methods
    large["suites"]["large"] = suite
    return large | {"suite": "large"}


def _write_images(path: Path, count: int) -> None:
    """Write a data set with ``count`` training images in colour, and a hundredth of that number of test images."""
    images = np.random.default_rng(0).integers(0, 256, (count, SIZE, SIZE, 3), dtype=np.uint8)
    labels = np.arange(count) % 10
    test = slice(max(count // 100, 10))
    arrays = {"train_images": images, "train_labels": labels, "test_images": images[test], "test_labels": labels[test]}
    write_arrays(path, arrays)


@dataclass(frozen=True)
class Usage:
    """Processor seconds of a process and of all processes that it started, and peak memory of the largest one."""

    seconds: float
    peak_mb: float


# Runs in a separate process, because a child's peak memory begins with the peak of the process that forked it.
MEASURE = """
import json, resource, subprocess, sys
done = subprocess.run([sys.executable, *sys.argv[2:]])
usage = resource.getrusage(resource.RUSAGE_CHILDREN)
json.dump([usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1.024e-3], open(sys.argv[1], "w"))
sys.exit(done.returncode)
"""


def _snakemake(*arguments: str) -> Usage:
    return _python("-m", "snakemake", *arguments)


def _python(*arguments: str) -> Usage:
    """Run Python with this project's library. If it fails, raises UserError with the end of its output."""
    environment = os.environ | {"PYTHONPATH": str(SCRIPTS), "OMP_NUM_THREADS": "1"}
    # Jobs call "python"; the name must mean this Python.
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    with tempfile.NamedTemporaryFile("r") as usage:
        command = [sys.executable, "-c", MEASURE, usage.name, *arguments]
        done = subprocess.run(  # nosec B603
            command, cwd=SCRIPTS.parent, env=environment, text=True, capture_output=True
        )
        if done.returncode:
            raise UserError(f"{' '.join(arguments)[:80]} failed:\n{(done.stdout + done.stderr)[-2000:]}")
        return Usage(*json.load(usage))
