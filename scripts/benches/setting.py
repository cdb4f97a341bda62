"""Shared by all measurements: the paper suite's models on made-up images, and a fair way to measure time."""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from unlearning.config.model import Config
from unlearning.config.reading import shipped_config
from unlearning.data.batches import Batches, Normalisation
from unlearning.models import Classifier, build_model
from unlearning.streams import generator, seed_global_streams
from unlearning.training.precision import computing_in, precision_on
from unlearning.workflow.process import defer_dynamo, keep_freed_memory, processor_name

SIZE, CHANNELS = 32, {"cifar10": 3, "cifar100": 3, "fmnist": 1}
MODELS = {"resnet20": "cifar10", "vgg16bn": "cifar100", "mobilenetv2": "fmnist"}
"""The paper suite's models, each with its data set."""
MOST_STEPS, IMAGES = 1000, 8192

Run = Callable[[int], None]
"""A function that runs the given number of steps."""


@cache
def config() -> Config:
    return shipped_config()


@dataclass(frozen=True)
class Setting:
    """What to measure on, and how thoroughly."""

    device: torch.device
    models: list[str]
    methods: list[str]
    rounds: int
    seconds: float
    steps: int
    default_allocator: bool
    precision: str

    @classmethod
    def of(cls, arguments: argparse.Namespace, device: torch.device, precision: str | None = None) -> Setting:
        """Return the setting of the command line, and prepare this process like the process of a job.

        See `unlearning.workflow.job`.
        """
        setting = cls(
            device,
            arguments.model or list(MODELS),
            arguments.method or list(config().suites["paper"].methods),
            arguments.rounds,
            arguments.seconds,
            arguments.steps,
            arguments.default_allocator,
            precision or config().protocols["paper"].precision,
        )
        setting.prepare_process()
        return setting

    def prepare_process(self) -> None:
        if not self.default_allocator:
            keep_freed_memory()
        defer_dynamo()
        torch.set_num_threads(1)

    @staticmethod
    def method_names() -> list[str]:
        return list(config().methods)

    @property
    def protocol(self) -> dict[str, Any]:
        return {**vars(config().protocols["paper"]), "precision": self.precision}

    @property
    def where(self) -> dict[str, Any]:
        """Return the columns that say which device and precision a row was measured with."""
        memory = " (default allocator)" if self.default_allocator else ""
        return {
            "device": device_name(self.device) + memory,
            "precision": precision_on(self.device, self.precision),
            "torch": str(torch.__version__),
        }

    def classes(self, model: str) -> int:
        return config().datasets[MODELS[model]].classes

    def model(self, name: str, memory_format: torch.memory_format = torch.channels_last) -> Classifier:
        seed_global_streams(0, "bench")
        model = build_model(name, self.classes(name), CHANNELS[MODELS[name]])
        return model.to(self.device, memory_format=memory_format).train()  # type: ignore[call-overload]

    def batches(self, model: str, steps: int) -> Batches:
        """Return batches that make an epoch of ``steps`` steps."""
        images, labels = (tensor.to(self.device) for tensor in made_up_images(model, self.classes(model)))
        subset = torch.arange(steps * self.protocol["batch_size"], device=self.device) % len(images)
        scale = Normalisation(torch.full((1,), 128.0), torch.full((1,), 64.0)).to(self.device)
        size, padding, flip = (self.protocol[name] for name in ("batch_size", "crop_padding", "flip"))
        return Batches(images, labels, scale, size, padding, flip, generator(0, "batches of the bench"), subset)

    def batch(self, model: str) -> tuple[Tensor, Tensor]:
        """Return one mini-batch, made as in our loop."""
        return next(self.batches(model, 1).epoch())

    def optimizer(self, model: Classifier) -> torch.optim.Optimizer:
        """Return the optimizer of the pretraining."""
        settings = self.protocol["pretrain"]
        return torch.optim.SGD(
            model.parameters(),
            lr=1e-4,  # small, so that random labels do not make the training diverge; the speed does not depend on it
            momentum=settings["momentum"],
            weight_decay=settings["weight_decay"],
        )

    def method(self, name: str) -> tuple[Path, dict[str, Any]]:
        """Return a method's file and hyperparameters."""
        return config().method_file(name), dict(config().methods[name].hyperparameters)

    def in_turns(self, runs: dict[str, Run]) -> Iterator[tuple[int, str, float]]:
        """Yield (round, name, steps per second) in the order A B C A B C ...

        So whatever slows the machine down slows every run equally.
        """
        with computing_in(self.precision, self.device):
            steps = {name: self.steps_of(run) for name, run in runs.items()}
            for number in range(self.rounds):
                for name, run in runs.items():
                    yield number, name, self.rate_of(run, steps[name])

    def steps_of(self, run: Run) -> int:
        """Return how many steps fill the time of one measurement. The first steps warm up."""
        self.rate_of(run, 2)
        return min(MOST_STEPS, max(self.steps, math.ceil(self.seconds * self.rate_of(run, 1))))

    def rate_of(self, run: Run, steps: int) -> float:
        """Return steps per second."""
        self._wait()
        start = time.perf_counter()
        run(steps)
        self._wait()
        return steps / (time.perf_counter() - start)

    def _wait(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize()


@cache
def made_up_images(model: str, classes: int) -> tuple[Tensor, Tensor]:
    """Return images uint8 (N, 32, 32, C) and labels (N,). The content of images does not change the time."""
    random_stream = generator(0, "images of the bench")
    shape = (IMAGES, SIZE, SIZE, CHANNELS[MODELS[model]])
    images = torch.randint(256, shape, dtype=torch.uint8, generator=random_stream)
    return images, torch.randint(classes, (IMAGES,), generator=random_stream)


def sizes_for(retain_images: int, forget_images: int, batch_size: int, epoch_of: str) -> dict[str, int]:
    """Return what `unlearning.runner.interface.sizes_of` would for sets of so many images, without having them."""
    steps = {"retain": math.ceil(retain_images / batch_size), "forget": math.ceil(forget_images / batch_size)}
    return {
        "retain_images": retain_images,
        "forget_images": forget_images,
        "steps_per_epoch": steps[epoch_of],
        "steps_per_forget_pass": steps["forget"],
    }


def device_name(device: torch.device) -> str:
    """Return e.g. "AMD EPYC with AVX-512 and bf16, 1 thread" or the GPU's name."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{processor_name()}, 1 thread"
