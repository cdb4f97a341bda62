"""Relearning: how soon a little fine-tuning brings the forget class back."""

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
    """Return after how many epochs of fine-tuning the forget class's test images have at least the accuracy ``target``.

    0 if it is so from the beginning; ``protocol["relearn"]["epochs"]``, the limit, if it takes that many or more.
    The model is changed in place.

    Fine-tuned are all weights, with Adam, on a sample of ``images`` forget images and as many retained ones, so that
    naming everything the forget class is no relearning. The model is in eval mode: batch statistics of so few images
    would say more about the sample than about the model. The head's row of the forget class starts as the mean of the
    other rows: what comes back shall come from the features, so that a logit that was merely suppressed hides nothing.
    The same sample for every method of a seed. Relearn time: Golatkar et al., CVPR 2020; Tarun et al., TNNLS 2023.
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
    """Return indices of ``images`` forget images, or all where there are fewer, and as many retained ones."""
    parts = [split["forget_train"], split["retain_train"]]
    size = min(images, *map(len, parts))
    return np.concatenate([part[torch.randperm(len(part), generator=random_stream)[:size].numpy()] for part in parts])
