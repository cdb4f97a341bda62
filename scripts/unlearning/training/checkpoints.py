"""Checkpoints: a state dict and the record of what made it, readable without running any code."""

from __future__ import annotations

import os
import pickle  # nosec B403: only the name of its exception
import platform
import textwrap
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from unlearning.clocks import spent_on
from unlearning.errors import UserError
from unlearning.files import write_tensors
from unlearning.formats import CHECKPOINT
from unlearning.models import Classifier, build_model


@spent_on("files")
def save_checkpoint(path: str | os.PathLike, model: nn.Module | None, made_by: dict[str, Any]) -> None:
    """Write ``model`` and ``made_by`` (model, width, channels, classes, data set, seed, protocol ...), and versions.

    The model of a cell that failed is None; its record has the outcome.
    """
    state = None
    if model is not None:
        state = {name: tensor.detach().cpu() for name, tensor in model.state_dict().items()}
    versions = {"torch": str(torch.__version__), "python": platform.python_version()}
    write_tensors(path, {"format": CHECKPOINT, "state_dict": state, "made_by": made_by | {"versions": versions}})


def rebuild(state: dict[str, torch.Tensor], made_by: dict[str, Any]) -> Classifier:
    """Return the model of a record with the weights ``state``: nothing else that was done to it comes along."""
    model = build_model(made_by["model"], made_by["classes"], made_by["channels"], made_by["width"])
    model.load_state_dict(state)
    return model


@spent_on("files")
def load_checkpoint(
    path: str | os.PathLike, device: torch.device | str = "cpu", expected: Mapping[str, Any] | None = None
) -> tuple[Classifier | None, dict[str, Any]]:
    """Return the model on ``device`` and its record; the model of a cell that failed is None.

    Raises UserError for a file that is no checkpoint of ours, was made by a newer version, does not fit the model that
    its record names, or whose record contradicts ``expected``.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
        made_by, written_as = content["made_by"], content.get("format", 1)
        if written_as > CHECKPOINT:
            raise ValueError(f"format {written_as}, of a newer version than this, which reads up to {CHECKPOINT}")
        for key, value in (expected or {}).items():
            if made_by.get(key, value) != value:
                raise ValueError(f"it was made with {key} {made_by[key]}, not {value}")
        if content["state_dict"] is None:
            return None, made_by
        model = rebuild(content["state_dict"], made_by)
    except pickle.UnpicklingError:
        reason = "it holds something else than tensors and plain values"
    except Exception as error:  # torch.load raises half a dozen types for a damaged file
        reason = textwrap.shorten(str(error) or type(error).__name__, 200)
    else:
        return model.to(device), made_by
    raise UserError(f"{path}: not the checkpoint that is needed ({reason}); delete it to have it made again")
