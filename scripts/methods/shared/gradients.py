"""How much each weight matters to a set of images: the diagonal of the Fisher information, as methods estimate it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def add_squared_gradients(totals: Sequence[Tensor], model: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
    """Add the squared gradients of a mini-batch's mean cross-entropy to ``totals`` and return the cross-entropy.

    ``totals`` has one tensor per parameter of ``model``, with the parameter's shape; images (B, C, H, W), labels (B,).
    """
    loss = F.cross_entropy(model(images), labels)
    for total, gradient in zip(totals, torch.autograd.grad(loss, list(model.parameters())), strict=True):
        total += gradient.square()
    return loss
