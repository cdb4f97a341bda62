"""Weights from another program: read without running code, and renamed to the names of our models.

Accepted is a plain state dict, alone or under a usual key, as torch.save or safetensors write it. It may have our names
or torchvision's names, with or without the prefix of DataParallel or torch.compile.
"""

from __future__ import annotations

import pickle  # nosec B403: only the name of its exception
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from unlearning.errors import UserError, first_line

State = dict[str, Tensor]

WRAPPERS = ("state_dict", "model_state_dict", "model", "net", "weights")
"""The keys under which other programs store a state dict together with their own notes."""

PREFIXES = ("module.", "_orig_mod.")
"""The prefixes of DataParallel and torch.compile."""

HEADS = ("fc", "linear", "classifier", "classifier.0", "classifier.1", "classifier.6")
"""Names of the last layer in other programs."""

NEEDLESS = "num_batches_tracked"
"""A count of steps that changes no answer; some programs leave it out."""


class MisfitError(Exception):
    """Why weights do not fit a model, and what the model expects instead."""


def read_weights(file: Path) -> State:
    """Return the state dict in ``file``. Raises UserError if no state dict can be read without running code."""
    content = _read_safetensors(file) if file.suffix == ".safetensors" else _read_torch(file)
    for key in WRAPPERS:
        if isinstance(content, dict) and isinstance(content.get(key), dict):
            content = content[key]
            break
    if not isinstance(content, dict) or not content or not all(isinstance(its, Tensor) for its in content.values()):
        raise UserError(f"{file}: it holds no state dict, a mapping of names to tensors; save model.state_dict()")
    state = {str(name): tensor for name, tensor in content.items()}
    while prefix := next((its for its in PREFIXES if all(name.startswith(its) for name in state)), None):
        state = {name.removeprefix(prefix): tensor for name, tensor in state.items()}
    return state


def _read_torch(file: Path) -> Any:
    try:
        return torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        raise UserError(
            f"{file}: it holds something else than tensors, such as a whole pickled model, which is never loaded; "
            "save model.state_dict()"
        ) from None
    except OSError as error:  # the file is gone, or may not be read
        raise UserError(f"{file}: {error.strerror or error}") from None
    except Exception:  # torch.load raises half a dozen types for a damaged file
        problem = "it is empty" if not file.stat().st_size else "it is not a whole file of torch.save"
        raise UserError(f"{file}: {problem}; save model.state_dict() with torch.save or safetensors") from None


def _read_safetensors(file: Path) -> Any:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(file)
    except (SafetensorError, OSError, ValueError) as error:
        raise UserError(f"{file}: safetensors cannot read it ({first_line(error)})") from None


def fitted(state: State, model: nn.Module, name: str) -> State:
    """Return the weights ``state`` with the names and types of ``model``, which is called ``name``.

    Raises MisfitError, which says what is expected, if a tensor is missing, has another shape, or has no place.
    """
    wanted = model.state_dict()
    named: dict[str, str] = {}
    for theirs in state:
        ours = our_name(theirs, name)
        if (first := named.setdefault(ours, theirs)) != theirs:
            raise MisfitError(f"{name} has one {ours}; here are {first}, {theirs}")
    found = {ours: state[theirs] for ours, theirs in named.items()}
    for key, tensor in wanted.items():
        if key not in found and not key.endswith(NEEDLESS):
            raise MisfitError(f"{name} expects {key} {_shape(tensor)}, which is missing; it has {_some(state)}")
        if key in found and found[key].shape != tensor.shape:
            raise MisfitError(f"{name} expects {key} {_shape(tensor)}; it is {_shape(found[key])}")
    without_place = [key for key in found if key not in wanted]
    if without_place:
        raise MisfitError(f"{name} has no {_some(without_place)}")
    return {key: found[key].to(tensor.dtype) if key in found else tensor for key, tensor in wanted.items()}


def _shape(tensor: Tensor) -> str:
    return f"({', '.join(map(str, tensor.shape))})"


def _some(names: Iterable[str]) -> str:
    names = list(names)
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def our_name(theirs: str, model: str) -> str:
    """Return our name of a tensor in another program's ``model``, or the same name if no other is known."""
    layer, _, tensor = theirs.rpartition(".")
    return f"{_LAYERS.get(model, _OF_HEADS).get(layer, layer)}.{tensor}" if layer else theirs


def _resnet20() -> dict[str, str]:
    names = {"conv1": "features.0", "bn1": "features.1"}
    inside = {"conv1": "residual.0", "bn1": "residual.1", "conv2": "residual.3", "bn2": "residual.4"}
    shortcuts = {f"{its}.{part}": f"shortcut.{part}" for its in ("downsample", "shortcut") for part in (0, 1)}
    for stage in range(3):
        for block in range(3):
            ours, theirs = f"features.{3 + 3 * stage + block}", f"layer{stage + 1}.{block}"
            names |= {f"{theirs}.{its}": f"{ours}.{part}" for its, part in (inside | shortcuts).items()}
    return names


def _mobilenetv2() -> dict[str, str]:
    names = {"features.0.0": "features.0", "features.0.1": "features.1"}
    names |= {"features.18.0": "features.20", "features.18.1": "features.21"}
    first = {"0.0": 0, "0.1": 1, "1": 3, "2": 4}
    others = {"0.0": 0, "0.1": 1, "1.0": 3, "1.1": 4, "2": 6, "3": 7}
    for block in range(1, 18):
        inside = first if block == 1 else others
        names |= {f"features.{block}.conv.{its}": f"features.{block + 2}.layers.{part}" for its, part in inside.items()}
    return names


_OF_HEADS = dict.fromkeys(HEADS, "head")
_LAYERS = {
    model: names | _OF_HEADS
    for model, names in {"resnet20": _resnet20(), "vgg16bn": {}, "mobilenetv2": _mobilenetv2()}.items()
}
"""By model: our layer names by torchvision's layer names (the convolutions of VGG-16 have the same names)."""
