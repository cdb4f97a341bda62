"""Relearning: how many epochs of fine-tuning bring the forget class back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F

from unlearning.clocks import spent_on
from unlearning.data.batches import TensorData
from unlearning.models import Classifier
from unlearning.streams import generator
from unlearning.training.prediction import accuracy


@spent_on("training")
def relearning_epochs(
    model: Classifier,
    data: TensorData,
    split: Mapping[str, np.ndarray],
    protocol: dict[str, Any],
    target: float,
    seed: int,
) -> int:
    """Return the epochs of fine-tuning after which the forget class's test accuracy is at least ``target``.

    0 if the accuracy is reached before fine-tuning; the limit ``protocol["relearn"]["epochs"]`` if the limit or more
    epochs are needed. The model is changed in place.

    All weights are fine-tuned, with Adam, on a sample of ``images`` forget images and an equal number of retain images,
    so that a model which names everything the forget class does not count as relearned. The model is in eval mode:
    batch statistics of so small a sample would say more about the sample than about the model. The head's row of the
    forget class starts as the mean of the other rows, so that the class comes back from the features, and a suppressed
    logit hides nothing. All methods of one seed have the same sample. Relearn time: Golatkar et al., CVPR 2020; Tarun
    et al., TNNLS 2023.
    """
    settings = protocol["relearn"]
    test = torch.from_numpy(split["forget_test"]).to(data.test_images.device)
    images, labels = data.test_images[test], data.test_labels[test]

    def is_back() -> bool:
        return accuracy(model, images, labels, data.normalisation) >= target

    if is_back():
        return 0
    _reset_head_row(model, int(labels[0]))
    sample = relearning_sample(split, settings["images"], generator(seed, "relearning sample"))
    batches = data.train_batches(sample, protocol | settings, generator(seed, "relearning batches"))
    optimizer = torch.optim.Adam(model.parameters(), lr=settings["learning_rate"])
    for epoch in range(1, settings["epochs"]):
        model.eval()
        for batch, batch_labels in batches.epoch():
            optimizer.zero_grad(set_to_none=True)
            F.cross_entropy(model(batch), batch_labels).backward()
            optimizer.step()
        if is_back():
            return epoch
    return settings["epochs"]


@torch.no_grad()
def _reset_head_row(model: Classifier, forget_class: int) -> None:
    others = torch.arange(model.head.out_features, device=model.head.weight.device) != forget_class
    for tensor in (model.head.weight, model.head.bias):
        tensor[forget_class] = tensor[others].mean(dim=0)


def relearning_sample(split: Mapping[str, np.ndarray], images: int, random_stream: torch.Generator) -> np.ndarray:
    """Return indices of ``images`` forget images (all if there are fewer) and of an equal number of retain images."""
    parts = [split["forget_train"], split["retain_train"]]
    size = min(images, *map(len, parts))
    return np.concatenate([part[torch.randperm(len(part), generator=random_stream)[:size].numpy()] for part in parts])
