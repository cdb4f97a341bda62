"""Checkpoints: a state dict and the record of what made it, readable without running any code."""

from __future__ import annotations

import os
import pickle
import platform
from typing import Any

import torch
from torch import nn

from unlearning.errors import UserError
from unlearning.files import whole_file
from unlearning.models import Classifier, build_model


def save_checkpoint(path: str | os.PathLike, model: nn.Module | None, made_by: dict[str, Any]) -> None:
    """Write ``model`` and ``made_by`` (model, width, channels, classes, data set, seed, protocol ...), and versions.

    The model of a cell that failed is None; its record has the outcome.
    """
    state = None
    if model is not None:
        state = {name: tensor.detach().cpu() for name, tensor in model.state_dict().items()}
    versions = {"torch": str(torch.__version__), "python": platform.python_version()}
    with whole_file(path) as partial:
        torch.save({"state_dict": state, "made_by": made_by | {"versions": versions}}, partial)


def rebuild(state: dict[str, torch.Tensor], made_by: dict[str, Any]) -> Classifier:
    """Return the model of a record with the weights ``state``: nothing else that was done to it comes along."""
    model = build_model(made_by["model"], made_by["classes"], made_by["channels"], made_by["width"])
    model.load_state_dict(state)
    return model


def load_checkpoint(
    path: str | os.PathLike, device: torch.device | str = "cpu"
) -> tuple[Classifier | None, dict[str, Any]]:
    """Return the model on ``device`` and its record; the model of a cell that failed is None.

    Raises UserError for a file that is no checkpoint of ours or does not fit the model that its record names.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
        made_by = content["made_by"]
        if content["state_dict"] is None:
            return None, made_by
        model = rebuild(content["state_dict"], made_by)
    except pickle.UnpicklingError:
        reason = "it holds something else than tensors and plain values"
    except Exception as error:  # torch.load raises half a dozen types for a damaged file
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
    else:
        return model.to(device), made_by
    raise UserError(f"{path}: not a whole checkpoint ({reason}); delete it to have it made again")
