"""From a model to the metrics of its cell in the table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import nn

from unlearning.batches import TensorData
from unlearning.metrics import METRICS, evaluate
from unlearning.training import predict_logits


def evaluate_model(model: nn.Module, data: TensorData, split: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Return ``status`` and the metrics of ``model`` for a split of `datasets.class_split`.

    The status is "ok", or "diverged" (then without metrics) if the model gives an image a logit that is not finite.
    """
    logits, labels = {}, {}
    sets = {
        "retain": (data.test_images, data.test_labels, split["retain_test"]),
        "forget": (data.test_images, data.test_labels, split["forget_test"]),
        "member": (data.train_images, data.train_labels, split["forget_train"]),
    }
    for name, (images, classes, chosen) in sets.items():
        index = torch.from_numpy(chosen).to(images.device)
        logits[name] = predict_logits(model, images[index], data.normalisation).numpy()
        labels[name] = classes[index].cpu().numpy()
    if not all(np.isfinite(values).all() for values in logits.values()):
        return {"status": "diverged"} | dict.fromkeys(METRICS)
    metrics = evaluate(logits["retain"], labels["retain"], logits["forget"], labels["forget"], logits["member"])
    return {"status": "ok"} | metrics
