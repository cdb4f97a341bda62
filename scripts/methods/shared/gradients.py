"""How much each weight matters to a set of images, as methods estimate it from the gradients of mini-batches."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def add_squared_gradients(totals: Sequence[Tensor], model: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
    """Add the squared gradients of a mini-batch's mean cross-entropy to ``totals`` and return the cross-entropy.

    ``totals`` has one tensor per parameter of ``model``, with the parameter's shape; images (B, C, H, W), labels (B,).
    The square is that of the whole mini-batch: gradients of images that pull in different directions cancel in it. So
    the values depend on how the set is divided into mini-batches. For a sum over images see
    `add_squared_gradients_of_images`.
    """
    loss = F.cross_entropy(model(images), labels)
    for total, gradient in zip(totals, torch.autograd.grad(loss, list(model.parameters())), strict=True):
        total += gradient.square()
    return loss


def add_squared_gradients_of_images(totals: Sequence[Tensor], model: nn.Module, losses: Tensor) -> None:
    """Add an unbiased estimate of the sum, over the images of a mini-batch, of each image's squared gradient.

    ``losses`` (B,) are the images' losses, with a graph; ``totals`` has one tensor per parameter of ``model``, with the
    parameter's shape. Divided by the number of images, the totals estimate the mean squared gradient of an image. If
    the losses are cross-entropies, this is the diagonal of the Fisher information: the empirical one for the images'
    own labels, the true one for labels that are drawn from the model's softmax.

    One backward pass is enough, with a random sign s_i for each image: (sum of s_i g_i)^2 is the sum of g_i^2 and of
    the products s_i s_j g_i g_j of different images, whose expectation is zero. ``model`` must be in eval mode, because
    in train mode batch norm makes an image's loss depend on the other images.
    """
    signs = 2 * torch.randint_like(losses, 2) - 1
    gradients = torch.autograd.grad((signs * losses).sum(), list(model.parameters()))
    for total, gradient in zip(totals, gradients, strict=True):
        total += gradient.square()
