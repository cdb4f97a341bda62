"""An average of the weights that the optimizer goes through, which the model holds between the steps.

The steps of an optimizer with one learning rate never shrink, so its last weights are noisy; their average is less so.
The optimizer steps on weights of its own, which the method keeps, with the average, in attributes: lists of tensors, so
that it is resumed after an interruption (docs/extending.md). Before the first step, ``self.weights, self.average =
begin_average(weights_of(model))``; in a step, with ``shown = weights_of(model)``:

    torch._foreach_copy_(shown, self.weights)
    ...  # forward, backward, optimizer.step()
    self.steps += 1
    show_average(shown, self.weights, self.average, self.steps, self.recency)
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


def weights_of(model: nn.Module) -> list[Tensor]:
    """Return all weights and running statistics of ``model``, as the tensors that the model computes with."""
    return [tensor for tensor in model.state_dict().values() if tensor.is_floating_point()]


def begin_average(shown: Sequence[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
    """Return the optimizer's weights and their average before the first step: two copies of ``shown``."""
    return [tensor.clone() for tensor in shown], [tensor.clone() for tensor in shown]


def show_average(
    shown: Sequence[Tensor], weights: Sequence[Tensor], average: Sequence[Tensor], steps: int, recency: float
) -> None:
    """Move the optimizer's weights from ``shown``, the model's tensors, into ``weights``, and show their ``average``.

    ``steps`` counts this step. Step t counts as t (t + 1) ... (t + recency - 1), about t^recency: the polynomial-decay
    average of Shamir and Zhang, "Stochastic Gradient Descent for Non-smooth Optimization", ICML 2013 (not verified).
    """
    torch._foreach_copy_(weights, shown)
    torch._foreach_lerp_(average, weights, (1 + recency) / (steps + recency))
    torch._foreach_copy_(shown, average)
