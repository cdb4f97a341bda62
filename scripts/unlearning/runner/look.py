"""On request: accuracies for the history, after every few epochs of unlearning."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import torch

from unlearning.data.batches import TensorData
from unlearning.models import Classifier
from unlearning.training.prediction import accuracy


def look_every(
    epochs: int, model: Classifier, data: TensorData, split: Mapping[str, np.ndarray]
) -> Callable[[int], dict[str, float]] | None:
    """Return a function that measures ``model`` on the test images once every ``epochs`` epochs.

    It takes the epoch, from 0, and returns retain_acc and forget_acc, or an empty dict. None if ``epochs`` is 0.
    """
    if not epochs:
        return None

    def look(epoch: int) -> dict[str, float]:
        if (epoch + 1) % epochs:
            return {}
        found = {}
        for part in ("retain", "forget"):
            subset = torch.from_numpy(split[f"{part}_test"]).to(data.test_images.device)
            found[f"{part}_acc"] = accuracy(model, data.test_images, data.test_labels, data.normalisation, subset)
        return found

    return look
