"""Estimate how long the jobs of a plan will take on this device, from a few measured steps per model and method."""

from __future__ import annotations

import contextlib
import io
import os
import subprocess  # nosec B404: this Python, to time its start
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from unlearning.data.batches import Normalisation
from unlearning.evaluation.probe import probe_accuracy
from unlearning.models import Classifier, build_model
from unlearning.runner.interface import load_method
from unlearning.streams import seed_global_streams
from unlearning.training.cuda_graphs import gradients_of
from unlearning.training.precision import computing_in
from unlearning.training.prediction import predict_logits
from unlearning.watched_code import SCRIPTS

LONGEST_STEP = 0.15
"""Seconds. If a training step takes longer, methods are measured on smaller batches, in units of a training step."""

PROBED = 500
"""Number of images to measure the probe on."""

LEAST_TIME, MOST_STEPS = 0.1, 5
"""A measurement lasts LEAST_TIME seconds or MOST_STEPS steps, whichever ends first."""


@dataclass(frozen=True)
class Sizes:
    """Numbers of images of a data set: for training, for the test, and how many of them belong to the forget class."""

    train: int
    test: int
    forget_train: int
    forget_test: int


@dataclass(frozen=True)
class Setup:
    """A model, the images that it sees, and the settings of its arithmetic."""

    model: str
    width: float
    classes: int
    channels: int
    image_size: int
    batch_size: int
    precision: str

    def build(self, device: torch.device) -> Classifier:
        """Return the model."""
        seed_global_streams(0, "estimate")
        return build_model(self.model, self.classes, self.channels, self.width).to(device).train()

    def batch(self, device: torch.device) -> tuple[Tensor, Tensor]:
        """Return a mini-batch of made-up images: the content of images does not change the time."""
        images = torch.rand(self.batch_size, self.channels, self.image_size, self.image_size)
        images = images.to(device, memory_format=torch.channels_last)
        return images, torch.arange(self.batch_size, device=device) % self.classes


@dataclass(frozen=True)
class Speed:
    """Seconds on this device per training step, per evaluated image and per image of the probe; sizes of the model.

    ``weights`` is in bytes; ``features`` is how many penultimate features an image has.

    Methods are measured on ``small``: the same model, with smaller batches where a training step takes long. Their
    seconds are multiplied by ``scale``: how many times longer a training step takes on whole batches.
    """

    step: float
    image: float
    probe: float
    weights: int
    features: int
    small: Setup
    scale: float


def speed_of(setup: Setup, device: torch.device) -> Speed:
    """Measure the training and the evaluation of a model."""
    model = setup.build(device)
    weights = sum(tensor.numel() * tensor.element_size() for tensor in model.state_dict().values())
    shape = (2 * setup.batch_size, setup.image_size, setup.image_size, setup.channels)
    images = torch.zeros(shape, dtype=torch.uint8, device=device)
    scale = Normalisation(torch.zeros(1), torch.ones(1)).to(device)
    looking = _seconds(lambda: predict_logits(model, images, scale), device) / len(images)
    features = torch.rand(PROBED, model.head.in_features, device=device)
    probing = _once(lambda: probe_accuracy(features, torch.arange(PROBED, device=device) % 10 == 0), device) / PROBED
    step = training_step(setup, device)
    share = min(1.0, LONGEST_STEP / step)
    small = replace(setup, batch_size=max(2, round(share * setup.batch_size)))
    scale_of_small = step / training_step(small, device) if small != setup else 1.0
    return Speed(step, looking, probing, weights, model.head.in_features, small, scale_of_small)


def training_step(setup: Setup, device: torch.device) -> float:
    """Return the seconds per step of training from scratch."""
    model, batch = setup.build(device), setup.batch(device)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-4, momentum=0.9, weight_decay=5e-4)
    gradients = gradients_of(model, device, setup.batch_size)

    def step() -> None:
        gradients(*batch)
        optimizer.step()

    with computing_in(setup.precision, device):
        return _seconds(step, device)


def unlearning_seconds(
    speed: Speed,
    device: torch.device,
    file: Path,
    hyperparameters: Mapping[str, Any],
    epochs: int,
    sizes: Mapping[str, int],
) -> float:
    """Return the seconds of unlearning with the method in ``file`` for ``epochs`` epochs; ``sizes`` as in `sizes_of`.

    Three steps are measured in the first, second, middle and last epoch: two in which a method may take a forget step
    even if it makes a single pass over the forget set per epoch (`methods.shared.schedule`: spread, or at the
    beginning), of which the slower one counts, and the epoch's last. They also stand for the unmeasured epochs before
    it. The very first step is counted separately, because many methods prepare something in it. Raises any error that
    the method raises.
    """
    model, batch = speed.small.build(device), speed.small.batch(device)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-6)
    steps = sizes["steps_per_epoch"]
    turns = min(sizes["steps_per_forget_pass"], steps)
    forget_steps, last = ({1, -(-steps // turns)} if turns > 1 else {0}), steps - 1
    with computing_in(speed.small.precision, device), contextlib.redirect_stdout(io.StringIO()):
        method = load_method(file, hyperparameters, sizes)

        def step_of(epoch: int, step: int) -> Callable[[], None]:
            def run() -> None:
                model.train()
                method.unlearn_step(model, batch, batch, optimizer, step, epoch)

            return run

        def epoch_of(epoch: int) -> float:
            at_turn = max(_seconds(step_of(epoch, step), device, is_warm=True) for step in forget_steps)
            return turns * at_turn + (steps - turns) * _seconds(step_of(epoch, last), device, is_warm=True)

        first = _once(step_of(0, 0), device)
        sampled = sorted({0, min(1, epochs - 1), epochs // 2, epochs - 1})
        measured = {epoch: epoch_of(epoch) for epoch in sampled}
    of_epochs = (measured[min(sample for sample in sampled if sample >= epoch)] for epoch in range(epochs))
    return speed.scale * max(first - measured[0] / steps + sum(of_epochs), 0.0)


def start_seconds() -> float:
    """Return the seconds that a job spends on its imports."""
    code = "import unlearning.data.batches, unlearning.training.loop, unlearning.runner.loop"
    begin = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], env=os.environ | {"PYTHONPATH": str(SCRIPTS)}, check=True)  # nosec B603
    return time.perf_counter() - begin


def _seconds(run: Callable[[], Any], device: torch.device, is_warm: bool = False) -> float:
    """Return the seconds of a run. If needed, another run warms up before it."""
    if not is_warm:
        _once(run, device)
    begin, count = time.perf_counter(), 0
    while count < MOST_STEPS and (count == 0 or time.perf_counter() - begin < LEAST_TIME):
        run()
        count += 1
    _wait(device)
    return (time.perf_counter() - begin) / count


def _once(run: Callable[[], Any], device: torch.device) -> float:
    begin = time.perf_counter()
    run()
    _wait(device)
    return time.perf_counter() - begin


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()
