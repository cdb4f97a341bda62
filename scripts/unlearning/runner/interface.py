"""The interface of a method: the class that a file in scripts/methods/ provides, and how it is loaded."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F

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


def load_method(path: str | Path, hyperparameters: dict[str, Any]) -> Method:
    """Run the file ``path`` and return its ``UnlearningMethod(**hyperparameters)``.

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
    return module.UnlearningMethod(**hyperparameters)
