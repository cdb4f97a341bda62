"""Unlearning jobs that share a device: steps per second of all jobs together."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch.multiprocessing as multiprocessing

from benches.methods import bare
from benches.setting import Setting
from unlearning.errors import UserError
from unlearning.training.precision import computing_in

SLOTS = (1, 2, 4, 8)
METHOD = "retain_finetune"


def measure_slots(setting: Setting) -> Iterator[dict[str, Any]]:
    """Yield steps per second of all jobs together, for the first model: one row per number of jobs and round.

    Eight jobs with the largest model would not fit into the memory of a small machine.
    """
    for model in setting.models[:1]:
        for number in range(setting.rounds):
            for slots in SLOTS:
                row = {"model": model, "method": METHOD, "what": str(slots), "round": number}
                yield setting.where | row | {"value": together(setting, model, slots), "unit": "steps/s"}


def together(setting: Setting, model: str, slots: int) -> float:
    """Return the steps per second of ``slots`` processes together.

    They start at the same time, and each has its own model.
    """
    context = multiprocessing.get_context("spawn")
    start, rates = context.Barrier(slots), context.SimpleQueue()
    jobs = [context.Process(target=_job, args=(setting, model, start, rates)) for _ in range(slots)]
    for job in jobs:
        job.start()
    for job in jobs:
        job.join()
        if job.exitcode:
            raise UserError(f"one of {slots} jobs on {model} ended with status {job.exitcode}")
    return sum(rates.get() for _ in jobs)


def _job(setting: Setting, model: str, start: Any, rates: Any) -> None:
    setting.prepare_process()
    run = bare(setting, model, METHOD)
    with computing_in(setting.protocol["precision"], setting.device):
        steps = setting.steps_of(run)
        start.wait()
        rates.put(setting.rate_of(run, steps))
