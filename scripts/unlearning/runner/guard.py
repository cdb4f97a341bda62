"""Check, after every step and every epoch, what a method must not change."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from unlearning.runner.outcomes import MethodError


class ProtocolGuard:
    """Notices when a method changes fixed things: the optimizer's settings, the model's modules and their shapes.

    The settings are also checked around each step of the optimizer, to notice a change that the method later undoes.
    """

    def __init__(self, model: nn.Module, optimizer: torch.optim.Optimizer):
        self.model, self.optimizer = model, optimizer
        self.parts = _parts(model)  # the objects, not their ids: the id of a freed object is used again
        self.shapes = _shapes(model.state_dict())
        self.weights = [parameter.detach().clone() for parameter in model.parameters()]
        self.settings = _settings(optimizer)
        optimizer.register_step_pre_hook(lambda *_: self._check_settings())
        optimizer.register_step_post_hook(lambda *_: self._check_settings())  # runs before any hook of the method

    def check(self) -> None:
        """Raise MethodError if the optimizer's settings, a module or a parameter has changed."""
        self._check_settings()
        parts = _parts(self.model)
        if len(parts) != len(self.parts) or any(a is not b for a, b in zip(parts, self.parts, strict=True)):
            raise MethodError("the method replaced a module or a parameter of the model; change their values in place")

    def check_weights(self) -> None:
        """Raise MethodError if a weight or running statistic was added, removed, reshaped, or is not finite."""
        state = self.model.state_dict()
        shapes = _shapes(state)
        changed = sorted(
            name for name in self.shapes.keys() | shapes.keys() if shapes.get(name) != self.shapes.get(name)
        )
        if changed:
            raise MethodError(
                f"the method added or removed {changed[0]} in the model's state, or changed its shape or type"
            )
        floating = {name: tensor for name, tensor in state.items() if tensor.is_floating_point()}
        finite = torch.stack([tensor.isfinite().all() for tensor in floating.values()]).tolist()
        if not all(finite):
            name = next(name for name, is_finite in zip(floating, finite, strict=True) if not is_finite)
            raise MethodError(f"the weights of {name} are not finite", "diverged")

    def share_changed(self) -> float:
        """Return the share of the weights that have changed."""
        pairs = zip(self.weights, self.model.parameters(), strict=True)
        changed = sum(int((before != now.detach()).sum()) for before, now in pairs)
        return changed / sum(weights.numel() for weights in self.weights)

    def _check_settings(self) -> None:
        settings = _settings(self.optimizer)
        if settings == self.settings:
            return
        if len(settings) != len(self.settings):
            raise MethodError(f"the method changed the number of the optimizer's param_groups to {len(settings)}")
        keys = {key for now, then in zip(settings, self.settings, strict=True) for key in now.keys() | then.keys()}
        changed = sorted(k for k in keys if [g.get(k) for g in settings] != [g.get(k) for g in self.settings])
        hint = "; a learning-rate scheduler does so, too" if "initial_lr" in changed else ""
        names = ", ".join(changed)
        raise MethodError(f"the method changed the optimizer's param_groups ({names}), which are fixed{hint}")


def _parts(model: nn.Module) -> list[nn.Module | nn.Parameter | None]:
    return [part for module in model.modules() for part in (module, *module._parameters.values())]


def _settings(optimizer: torch.optim.Optimizer) -> list[dict[str, Any]]:
    """Return the settings of each group, with parameters by identity: equal tensors are not the same parameter."""
    return [group | {"params": [id(parameter) for parameter in group["params"]]} for group in optimizer.param_groups]


def _shapes(state: dict[str, Tensor]) -> dict[str, tuple[torch.Size, torch.dtype]]:
    return {name: (tensor.shape, tensor.dtype) for name, tensor in state.items()}
