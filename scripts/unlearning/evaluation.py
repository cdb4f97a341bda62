"""From a model to the metrics of its cell in the table, and the scores that further attacks need."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
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


@dataclass(frozen=True)
class Predictions:
    """A model's features (N, width) and logits (N, classes) of some images, with their labels (N,)."""

    features: np.ndarray
    logits: np.ndarray
    labels: np.ndarray


def evaluate_model(
    model: Classifier, data: TensorData, split: Mapping[str, np.ndarray], protocol: dict[str, Any], seed: int
) -> tuple[Outcome, dict[str, float | None], dict[str, np.ndarray]]:
    """Return the outcome, the metrics and the scores of ``model`` for a split of `datasets.class_split`.

    ``protocol`` says how training images are augmented; ``seed`` fixes the draw, alike for all methods. Scores are
    the logits float32 (N, classes) of member_logits (the forget class's training images), augmented_member_logits
    and non_member_logits (its test images), each in the order of the split. The outcome is "diverged", and the rest
    empty, if the model gives any image a logit that is not finite.
    """

    def predictions(images: Tensor, labels: Tensor) -> Predictions:
        features, logits = predict(model, images, data.normalisation)
        return Predictions(features.numpy(), logits.numpy(), labels.cpu().numpy())

    sets = {part: predictions(*_chosen(data, split, part)) for part in split}
    members, labels = _chosen(data, split, "forget_train")
    augmented = predictions(augment(members, protocol, generator(seed, "augmented members")), labels)
    if not all(np.isfinite(each.logits).all() for each in (*sets.values(), augmented)):
        return Outcome("diverged", "the model's logits are not finite"), {}, {}
    scores = {
        "member_logits": sets["forget_train"].logits,
        "augmented_member_logits": augmented.logits,
        "non_member_logits": sets["forget_test"].logits,
    }
    return Outcome(), _metrics(sets, scores), scores


def _chosen(data: TensorData, split: Mapping[str, np.ndarray], part: str) -> tuple[Tensor, Tensor]:
    """Return images uint8 (N, H, W, C) and labels (N,) of e.g. "retain_train"."""
    train = part.endswith("train")
    images, labels = (data.train_images, data.train_labels) if train else (data.test_images, data.test_labels)
    index = torch.from_numpy(split[part]).to(images.device)
    return images[index], labels[index]


def _metrics(sets: Mapping[str, Predictions], scores: Mapping[str, np.ndarray]) -> dict[str, float | None]:
    retain, forget = sets["retain_test"], sets["forget_test"]
    features, logits, labels = (
        np.concatenate([getattr(part, name) for part in (retain, forget)]) for name in ("features", "logits", "labels")
    )
    forget_class = forget.labels[0]
    return {
        **evaluate(retain.logits, retain.labels, forget.logits, forget.labels, scores["member_logits"]),
        **attacks(**scores, forget_class=forget_class),
        "retain_train_acc": accuracy(sets["retain_train"].logits, sets["retain_train"].labels),
        "forget_train_acc": accuracy(sets["forget_train"].logits, sets["forget_train"].labels),
        "test_acc": accuracy(logits, labels),
        "probe_acc": probe_accuracy(features, labels == forget_class),
    }
