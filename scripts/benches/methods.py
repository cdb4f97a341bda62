"""Steps per second of the unlearning loop with each method, and of the method alone."""

from __future__ import annotations

import contextlib
import copy
import io
from collections.abc import Iterator
from functools import partial
from typing import Any

import torch

from benches.setting import Run, Setting, sizes_for
from unlearning.errors import UserError
from unlearning.runner.interface import load_method
from unlearning.runner.loop import unlearn
from unlearning.streams import seed_global_streams

LOOP, BARE = "our loop", "bare step"


def measure_unlearning(setting: Setting) -> Iterator[dict[str, Any]]:
    """Yield steps per second: one row per model, method, loop and round."""
    for model in setting.models:
        for method in setting.methods:
            runs = {BARE: bare(setting, model, method), LOOP: loop(setting, model, method)}
            for number, name, rate in setting.in_turns(runs):
                row = {"model": model, "method": method, "what": name, "round": number}
                yield setting.where | row | {"value": rate, "unit": "steps/s"}


def bare(setting: Setting, name: str, method: str) -> Run:
    """The method's own step on one fixed pair of batches."""
    fresh, batch = setting.model(name), setting.batch(name)
    file, hyperparameters = setting.method(method)

    def run(steps: int) -> None:
        images = steps * len(batch[1])
        sizes = sizes_for(images, images, len(batch[1]), "retain")
        model, method = copy.deepcopy(fresh), load_method(file, hyperparameters, sizes)
        optimizer = torch.optim.Adam(model.parameters(), lr=setting.protocol["unlearn"]["learning_rate"])
        for step in range(steps):
            method.unlearn_step(model, batch, batch, optimizer, step, 0)

    return run


def loop(setting: Setting, name: str, method: str) -> Run:
    """The loop of the workflow: it makes batches, checks what the method does, and contains the method's output."""
    fresh = setting.model(name)
    file, hyperparameters = setting.method(method)
    protocol = setting.protocol["unlearn"] | {"epochs": 1}

    def run(steps: int) -> None:
        model, make_method = copy.deepcopy(fresh), partial(load_method, file, hyperparameters)
        retain, forget = setting.batches(name, steps), setting.batches(name, steps)
        seed_global_streams(0, "bench")
        with contextlib.redirect_stderr(io.StringIO()):  # hides the progress bar
            done = unlearn(model, make_method, file, retain, forget, protocol)
        if done.outcome.status != "ok":
            raise UserError(f"{method} on {name}: {done.outcome.reason}")

    return run
