"""The interface of a method: the class that a file in scripts/methods/ provides, and how it is loaded."""

from __future__ import annotations

import importlib.util
import inspect
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from unlearning.data.batches import Batches
from unlearning.errors import UserError

Batch = tuple[Tensor, Tensor]


class Method(Protocol):
    """The class ``UnlearningMethod`` that a file in scripts/methods/ provides."""

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


def sizes_of(retain: Batches, forget: Batches, epoch_of: str) -> dict[str, int]:
    """Return what a method may ask for, by the names that its constructor uses.

    retain_images, forget_images: numbers of images; steps_per_epoch: calls of ``unlearn_step`` in an epoch;
    steps_per_forget_pass: mini-batches in one pass over the forget set. An epoch is a pass over the set ``epoch_of``.
    """
    return {
        "retain_images": len(retain.subset),
        "forget_images": len(forget.subset),
        "steps_per_epoch": len(retain if epoch_of == "retain" else forget),
        "steps_per_forget_pass": len(forget),
    }


def load_method(path: str | Path, hyperparameters: Mapping[str, Any], sizes: Mapping[str, int] | None = None) -> Method:
    """Run the file ``path`` and return its ``UnlearningMethod(**hyperparameters)``.

    Those of ``sizes`` (see `sizes_of`) that the constructor names are handed to it, too. A parameter with a default
    other than None, or a value among the hyperparameters, is not such a request.

    ``torch`` and ``F`` are defined beforehand, because methods written for the published task use them without an
    import. The file may import modules from its own folder. Raises UserError if the file does not define the class, and
    any error that its code raises.
    """
    spec = importlib.util.spec_from_file_location(f"method_{Path(path).stem}", Path(path).resolve())
    assert spec is not None  # nosec B101: a file always has one
    assert spec.loader is not None  # nosec B101
    module = importlib.util.module_from_spec(spec)
    vars(module).update(torch=torch, F=F)
    sys.modules[spec.name] = module  # as an import does: dataclasses look up their module there
    beside = str(Path(path).resolve().parent)
    if beside not in sys.path:
        sys.path.append(beside)  # last, so that no file there takes the place of a library
    spec.loader.exec_module(module)
    if not hasattr(module, "UnlearningMethod"):
        raise UserError(f"{path}: no class UnlearningMethod; a method is a class of that name")
    make = module.UnlearningMethod
    asked = {name: value for name, value in (sizes or {}).items() if _asks_for(make, name)}
    return make(**{**asked, **hyperparameters})


def _asks_for(make: type, name: str) -> bool:
    parameter = inspect.signature(make).parameters.get(name)
    return parameter is not None and parameter.default in (parameter.empty, None)
