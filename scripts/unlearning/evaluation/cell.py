"""Evaluate a model: the metrics of its cell in the table, and the scores that further attacks need."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from unlearning.clocks import spent_on
from unlearning.data.batches import TensorData, augment
from unlearning.evaluation.metrics import accuracy, attacks, evaluate
from unlearning.evaluation.probe import probe_accuracy
from unlearning.models import Classifier
from unlearning.runner.answers import answers_to, differs_from_its_weights, probe_of
from unlearning.runner.outcomes import Outcome
from unlearning.streams import generator
from unlearning.training.prediction import predict, predict_logits


@dataclass(frozen=True)
class Predictions:
    """A model's logits (N, classes) of some images, and their labels (N,); for test images also the features."""

    logits: np.ndarray
    labels: np.ndarray
    features: Tensor | None = None


@spent_on("evaluation")
def evaluate_model(
    model: Classifier,
    data: TensorData,
    split: Mapping[str, np.ndarray],
    protocol: dict[str, Any],
    seed: int,
    record: Mapping[str, Any] | None = None,
) -> tuple[Outcome, dict[str, float | None], dict[str, np.ndarray]]:
    """Return the outcome, the metrics and the scores of ``model`` for a split of `datasets.class_split`.

    ``protocol`` says how training images are augmented; ``seed`` fixes the random draw, the same for all methods.
    Scores are logits float32 (N, classes): member_logits (the forget class's training images), augmented_member_logits
    (the same images, augmented) and non_member_logits (the forget class's test images), each in the order of the split.
    The outcome is "diverged", with empty metrics and scores, if any logit is not finite. The outcome is "failed" if the
    model's answers differ from the answers in its ``record``, which it gave before it was saved.
    """
    if record and record.get("answers") is not None:
        reason = differs_from_its_weights(record["answers"], answers_to(model, probe_of(data, split)))
        if reason is not None:
            return Outcome("failed", reason), {}, {}
    sets = {part: _predictions(model, data, part, indices) for part, indices in split.items()}
    members = data.train_images[_on_device(split["forget_train"], data)]
    augmented = augment(members, protocol, generator(seed, "augmented members"))
    augmented_logits = predict_logits(model, augmented, data.normalisation).numpy()
    if not all(np.isfinite(logits).all() for logits in (*(each.logits for each in sets.values()), augmented_logits)):
        return Outcome("diverged", "the model's logits are not finite"), {}, {}
    scores = {
        "member_logits": sets["forget_train"].logits,
        "augmented_member_logits": augmented_logits,
        "non_member_logits": sets["forget_test"].logits,
    }
    return Outcome(), _metrics(sets, scores), scores


def _predictions(model: Classifier, data: TensorData, part: str, indices: np.ndarray) -> Predictions:
    """Evaluate the images at ``indices`` of a part such as "retain_train", once for all metrics."""
    subset = _on_device(indices, data)
    if part.endswith("train"):
        logits = predict_logits(model, data.train_images, data.normalisation, subset)
        return Predictions(logits.numpy(), data.train_labels[subset].cpu().numpy())
    both = predict(model, data.test_images, data.normalisation, subset)
    features, logits = (torch.cat(batches) for batches in zip(*both, strict=True))
    return Predictions(logits.cpu().numpy(), data.test_labels[subset].cpu().numpy(), features)


def _on_device(indices: np.ndarray, data: TensorData) -> Tensor:
    return torch.from_numpy(indices).to(data.train_images.device)


def _metrics(sets: Mapping[str, Predictions], scores: Mapping[str, np.ndarray]) -> dict[str, float | None]:
    retain, forget = sets["retain_test"], sets["forget_test"]
    logits, labels = (
        np.concatenate([getattr(part, name) for part in (retain, forget)]) for name in ("logits", "labels")
    )
    features = torch.cat([part.features for part in (retain, forget) if part.features is not None])
    is_forget = torch.arange(len(features), device=features.device) >= len(retain.labels)
    return {
        **evaluate(retain.logits, retain.labels, forget.logits, forget.labels, scores["member_logits"]),
        **attacks(**scores, forget_class=forget.labels[0]),
        "retain_train_acc": accuracy(sets["retain_train"].logits, sets["retain_train"].labels),
        "forget_train_acc": accuracy(sets["forget_train"].logits, sets["forget_train"].labels),
        "test_acc": accuracy(logits, labels),
        "probe_acc": probe_accuracy(features, is_forget),
    }
