"""The unlearning loop: hands a rule one retain and one forget mini-batch at a time."""

from __future__ import annotations

import importlib.util
from collections import defaultdict
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from unlearning.batches import Batches
from unlearning.errors import UserError
from unlearning.training import Progress

Batch = tuple[Tensor, Tensor]


class UpdateRule(Protocol):
    """What a file in scripts/methods/ provides as ``UnlearningMethod``."""

    def unlearn_step(
        self,
        model: nn.Module,
        retain_batch: Batch,
        forget_batch: Batch,
        optimizer: torch.optim.Optimizer,
        step: int,
        epoch: int,
    ) -> dict[str, Any]:
        """Update ``model`` once, in place, and return at least ``{"loss": ...}``."""


def load_method(path: str | Path, hyperparameters: dict[str, Any]) -> UpdateRule:
    """Run the file ``path`` and return its ``UnlearningMethod(**hyperparameters)``.

    ``torch`` and ``F`` are defined beforehand, because rules written for the published task use them unimported.
    Raises UserError if the file does not define the class.
    """
    spec = importlib.util.spec_from_file_location(f"method_{Path(path).stem}", path)
    module = importlib.util.module_from_spec(spec)
    module.torch, module.F = torch, F
    spec.loader.exec_module(module)
    if not hasattr(module, "UnlearningMethod"):
        raise UserError(f"{path}: no class UnlearningMethod; an update rule is a class of that name")
    return module.UnlearningMethod(**hyperparameters)


def unlearn(
    model: nn.Module, method: UpdateRule, retain: Batches, forget: Batches, protocol: dict[str, Any]
) -> list[dict[str, Any]]:
    """Apply ``method`` to ``model`` in place for ``protocol["epochs"]`` passes over ``retain``.

    The optimizer is Adam with ``protocol["learning_rate"]``; ``forget`` starts again whenever it runs out. Returns the
    history, one row an epoch: its number from 0 and the mean over the steps of every number the rule returned.
    """
    optimizer = torch.optim.Adam(model.parameters(), lr=protocol["learning_rate"])
    forget_batches = forget.forever()
    history = []
    progress = Progress(protocol["epochs"])
    for epoch in progress:
        returned = []
        for step, retain_batch in enumerate(retain.epoch()):
            model.train()  # whatever mode the rule left it in
            values = method.unlearn_step(model, retain_batch, next(forget_batches), optimizer, step, epoch)
            returned.append(_detached(values, epoch, step))
        means = _means(returned)
        history.append({"epoch": epoch, **means})
        progress.report(**{name: f"{value:.4f}" for name, value in means.items()})
    return history


def _detached(values: Any, epoch: int, step: int) -> dict[str, Any]:
    """Check what a rule returned and cut it off its graph, without waiting for the device."""
    if not isinstance(values, dict) or "loss" not in values:
        shown = f"a dict with {sorted(values)}" if isinstance(values, dict) else type(values).__name__
        raise UserError(f'unlearn_step returned {shown} in epoch {epoch}, step {step}; it must be a dict with "loss"')
    return {name: value.detach() if isinstance(value, Tensor) else value for name, value in values.items()}


def _means(returned: list[dict[str, Any]]) -> dict[str, float]:
    """Average each number over the steps that returned it; what is no number is left out."""
    columns = defaultdict(list)
    for values in returned:
        for name, value in values.items():
            if isinstance(value, (int, float)) or (isinstance(value, Tensor) and value.numel() == 1):
                columns[name].append(value)
    return {name: sum(float(value) for value in column) / len(column) for name, column in columns.items()}
