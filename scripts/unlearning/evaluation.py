"""From a model to the metrics of its cell in the table, and the scores that further attacks need."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from unlearning.batches import TensorData, augment
from unlearning.metrics import accuracy, attacks, evaluate
from unlearning.models import Classifier
from unlearning.outcomes import Outcome
from unlearning.probe import probe_accuracy
from unlearning.streams import generator
from unlearning.training import predict


def evaluate_model(
    model: Classifier, data: TensorData, split: Mapping[str, np.ndarray], protocol: dict[str, Any], seed: int
) -> tuple[Outcome, dict[str, float | None], dict[str, np.ndarray]]:
    """Return the outcome, the metrics and the scores of ``model`` for a split of `datasets.class_split`.

    ``protocol`` says how training images are augmented; ``seed`` fixes the draw, alike for all methods. Scores are
    the logits float32 (N, classes) of member_logits (the forget class's training images), augmented_member_logits
    and non_member_logits (its test images), each in the order of the split. The outcome is "diverged", and the rest
    empty, if the model gives any image a logit that is not finite.
    """

    def chosen(part: str) -> tuple[Tensor, Tensor]:
        train = part.endswith("train")
        images, labels = (data.train_images, data.train_labels) if train else (data.test_images, data.test_labels)
        index = torch.from_numpy(split[part]).to(images.device)
        return images[index], labels[index].cpu()

    features, logits, labels = {}, {}, {}
    for part in ("retain_train", "forget_train", "retain_test", "forget_test"):
        images, part_labels = chosen(part)
        part_features, part_logits = predict(model, images, data.normalisation)
        features[part], logits[part], labels[part] = part_features.numpy(), part_logits.numpy(), part_labels.numpy()
    members = augment(chosen("forget_train")[0], protocol, generator(seed, "augmented members"))
    logits["augmented"] = predict(model, members, data.normalisation)[1].numpy()
    if not all(np.isfinite(values).all() for values in logits.values()):
        return Outcome("diverged", "the model's logits are not finite"), {}, {}
    metrics = evaluate(
        logits["retain_test"],
        labels["retain_test"],
        logits["forget_test"],
        labels["forget_test"],
        logits["forget_train"],
    )
    metrics |= attacks(
        logits["forget_train"], logits["augmented"], logits["forget_test"], int(labels["forget_test"][0])
    )
    for part in ("retain_train", "forget_train"):
        metrics[f"{part}_acc"] = accuracy(logits[part], labels[part])
    test = ("retain_test", "forget_test")
    logits_of_test, labels_of_test = (np.concatenate([values[part] for part in test]) for values in (logits, labels))
    metrics["test_acc"] = accuracy(logits_of_test, labels_of_test)
    is_forget = np.repeat([False, True], [len(labels[part]) for part in test])
    metrics["probe_acc"] = probe_accuracy(np.concatenate([features[part] for part in test]), is_forget)
    scores = {
        "member_logits": logits["forget_train"],
        "augmented_member_logits": logits["augmented"],
        "non_member_logits": logits["forget_test"],
    }
    return Outcome(), metrics, scores
