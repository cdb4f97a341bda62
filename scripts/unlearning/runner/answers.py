"""The numbers that a method returns from each step, and the answers of its model at the end."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping
from numbers import Real
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from unlearning.data.batches import TensorData
from unlearning.data.content import digests_of
from unlearning.runner.outcomes import LOOKED_AT, MethodError
from unlearning.training.precision import computing_in


def checked(values: Any) -> dict[str, Any]:
    """Check the values that a method returned, and keep its numbers, detached, without waiting for the device.

    A number with the name of one that the protocol measures, such as the accuracy on a batch, is kept as own_NAME.
    """
    if not isinstance(values, dict) or "loss" not in values:
        shown = f"a dict with {sorted(map(str, values))}" if isinstance(values, dict) else type(values).__name__
        raise MethodError(f'unlearn_step returned {shown}; it must return a dict with "loss"')
    if not _is_number(values["loss"]):
        kind = type(values["loss"]).__name__
        raise MethodError(f'unlearn_step returned a "loss" of type {kind}; it must be one number')
    # Copies, because a method may change its tensor in place later.
    return {
        f"{'own_' * (name in LOOKED_AT)}{name}": value.detach().clone() if isinstance(value, Tensor) else value
        for name, value in values.items()
        if _is_number(value)
    }


def _is_number(value: Any) -> bool:
    return isinstance(value, Real) or (isinstance(value, Tensor) and value.numel() == 1)


def means(numbers: list[dict[str, float]]) -> dict[str, float]:
    """Average each number over the steps that returned it."""
    columns = defaultdict(list)
    for values in numbers:
        for name, value in values.items():
            columns[name].append(value)
    return {name: sum(column) / len(column) for name, column in columns.items()}


PROBED = 16
"""Number of images from the retain set, and from the forget set."""

TOLERANCE = 0.01
"""As a share of the largest logit. Another device rounds differently in every layer."""


def probe_of(data: TensorData, split: Mapping[str, np.ndarray]) -> Tensor:
    """Return some training images of both sets, normalised (N, C, H, W), to compare a model's answers on.

    They are chosen by what they show, not by their places: a model may be carried to a file of the same images in
    another order.
    """
    device = data.train_images.device
    of_both = (_first_by_content(data, split[f"{part}_train"]) for part in ("retain", "forget"))
    return data.normalisation.apply(data.train_images[torch.from_numpy(np.concatenate([*of_both])).to(device)])


def _first_by_content(data: TensorData, indices: np.ndarray) -> np.ndarray:
    digests = digests_of(data.train_images, data.train_labels, indices)
    return indices[sorted(range(len(digests)), key=digests.__getitem__)[:PROBED]]


@torch.no_grad()
def answers_to(model: nn.Module, images: Tensor) -> Tensor:
    """Return the model's logits of ``images`` in eval mode and full precision, float32 (N, classes), on the CPU."""
    model.eval()
    with computing_in("float32", images.device):
        return model(images).float().cpu()


def differs_from_its_weights(answers: Tensor, of_weights: Tensor) -> str | None:
    """Return why a cell failed: its model's ``answers`` differ from the answers of its weights in a fresh model.

    None if they do not differ beyond rounding, or if an answer of the weights is not finite.
    """
    difference = (answers - of_weights).abs().max().item() if answers.shape == of_weights.shape else math.inf
    is_rounding = difference <= TOLERANCE * max(1.0, of_weights.abs().max().item())
    if is_rounding or not of_weights.isfinite().all():
        return None
    return (
        f"its weights in a fresh model do not give its answers (logits differ by {difference:.3g}): what it does "
        "outside of the weights (a replaced forward, a hook, a wrapped layer) is lost; change the weights in place"
    )
