"""Moments of their own for the steps that forget, beside those of the one optimizer that a method is handed.

The optimizer's settings are fixed, but its moments may be exchanged: what it remembers of earlier gradients, in
``optimizer.state``. The second set of moments is a list of plain dicts of tensors. A method that holds it in an
attribute is resumed after an interruption (docs/extending.md).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def exchange_moments(optimizer: torch.optim.Optimizer, others: list[dict[str, Any]]) -> None:
    """Exchange the moments of ``optimizer`` with ``others``, in place: a dict per parameter, or [] for a fresh start.

    After a second call, with the same arguments, both are where they were.
    """
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    if not others:
        others.extend({} for _ in parameters)
    for index, parameter in enumerate(parameters):
        own = optimizer.state.get(parameter, {})
        optimizer.state[parameter], others[index] = others[index], own


class StepsWith:
    """While it is entered, ``optimizer`` takes the steps whose gradients come from ``images`` with other ``moments``.

    Such a step is known by the gradient that reaches the images themselves, so they must require one and have none
    yet. Whether it was such a step is added to ``steps`` after each step.
    """

    def __init__(self, images: Tensor, optimizer: torch.optim.Optimizer, moments: list[dict[str, Any]]):
        self.images, self.optimizer, self.moments = images, optimizer, moments
        self.steps: list[bool] = []

    def __enter__(self) -> StepsWith:
        before = self.optimizer.register_step_pre_hook(lambda *_: self._exchange())
        after = self.optimizer.register_step_post_hook(lambda *_: self._exchange_back())
        self.hooks = [before, after]
        return self

    def __exit__(self, *_: object) -> None:
        for hook in self.hooks:
            hook.remove()

    def _exchange(self) -> None:
        self.steps.append(self.images.grad is not None)
        if self.steps[-1]:
            exchange_moments(self.optimizer, self.moments)

    def _exchange_back(self) -> None:
        if self.steps[-1]:
            exchange_moments(self.optimizer, self.moments)
            self.images.grad = None
