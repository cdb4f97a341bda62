"""Evaluate a model: the metrics of its cell in the table, and the scores and features that others are made from."""

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
from unlearning.evaluation.sample import Representation, pack, places_of_sample
from unlearning.models import Classifier
from unlearning.runner.answers import answers_to, differs_from_its_weights, probe_of
from unlearning.runner.outcomes import Outcome
from unlearning.streams import generator
from unlearning.training.prediction import predict, predict_logits


@dataclass(frozen=True)
class Predictions:
    """A model's logits (N, classes) of some images, their labels (N,), and the features of images that are kept.

    Kept are all test images, and the training images of the sample.
    """

    logits: np.ndarray
    labels: np.ndarray
    features: Tensor


@spent_on("evaluation")
def evaluate_model(
    model: Classifier,
    data: TensorData,
    split: Mapping[str, np.ndarray],
    protocol: dict[str, Any],
    seed: int,
    record: Mapping[str, Any] | None = None,
) -> tuple[Outcome, dict[str, float | None], dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Return the outcome, metrics, scores and features of ``model`` for a split of `datasets.class_split`.

    ``protocol`` says how training images are augmented; ``seed`` fixes the random draw, the same for all methods.
    Scores are logits float32 (N, classes): member_logits (the forget class's training images), augmented_member_logits
    (the same images, augmented) and non_member_logits (the forget class's test images), each in the order of the split.
    Features are the arrays of `sample.pack`, of a sample that is the same for all models of a benchmark. The outcome is
    "diverged", and the rest is empty, if any logit is not finite. The outcome is "failed" if the model's answers differ
    from the answers in its ``record``, which it gave before it was saved.
    """
    if record and record.get("answers_to_probe") is not None:
        reason = differs_from_its_weights(record["answers_to_probe"], answers_to(model, probe_of(data, split)))
        if reason is not None:
            return Outcome("failed", reason), {}, {}, {}
    labels = {part: _of_part(data, part)[1].cpu().numpy()[indices] for part, indices in split.items()}
    places = places_of_sample(labels)
    sets = {part: _predictions(model, data, part, split[part], labels[part], places[part]) for part in labels}
    members = data.train_images[_on_device(split["forget_train"], data)]
    augmented = augment(members, protocol, generator(seed, "augmented members"))
    augmented_logits = predict_logits(model, augmented, data.normalisation).numpy()
    if not all(np.isfinite(logits).all() for logits in (*(each.logits for each in sets.values()), augmented_logits)):
        return Outcome("diverged", "the model's logits are not finite"), {}, {}, {}
    scores = {
        "member_logits": sets["forget_train"].logits,
        "augmented_member_logits": augmented_logits,
        "non_member_logits": sets["forget_test"].logits,
    }
    return Outcome(), _metrics(sets, scores), scores, pack(_representation(model, sets, places))


def _of_part(data: TensorData, part: str) -> tuple[Tensor, Tensor]:
    """Return the images and labels of the training or the test images, which a part such as "retain_train" is of."""
    is_training = part.endswith("train")
    return (data.train_images, data.train_labels) if is_training else (data.test_images, data.test_labels)


def _predictions(
    model: Classifier, data: TensorData, part: str, indices: np.ndarray, labels: np.ndarray, places: np.ndarray
) -> Predictions:
    """Evaluate the images at ``indices`` of a part, once for all metrics, the sample of which is at ``places``."""
    is_kept = torch.ones(len(indices), dtype=torch.bool)
    if part.endswith("train"):  # a million training images have too many features to keep
        is_kept = torch.zeros_like(is_kept).index_fill_(0, torch.from_numpy(places), True)
    is_kept = is_kept.to(data.train_images.device)
    features, logits = [], []
    seen = 0
    for batch, its_logits in predict(model, _of_part(data, part)[0], data.normalisation, _on_device(indices, data)):
        features.append(batch[is_kept[seen : seen + len(batch)]])
        logits.append(its_logits)
        seen += len(batch)
    return Predictions(torch.cat(logits).cpu().numpy(), labels, torch.cat(features))


def _representation(
    model: Classifier, sets: Mapping[str, Predictions], places: Mapping[str, np.ndarray]
) -> Representation:
    """Return the features and labels of the sample, and the model's head."""
    features = {
        part: its.features.cpu().numpy() if part.endswith("train") else its.features.cpu().numpy()[places[part]]
        for part, its in sets.items()
    }
    labels = {part: its.labels[places[part]] for part, its in sets.items()}
    head = (tensor.detach().cpu().numpy() for tensor in (model.head.weight, model.head.bias))
    return Representation(features, labels, *head)


def _on_device(indices: np.ndarray, data: TensorData) -> Tensor:
    return torch.from_numpy(indices).to(data.train_images.device)


def _metrics(sets: Mapping[str, Predictions], scores: Mapping[str, np.ndarray]) -> dict[str, float | None]:
    retain, forget = sets["retain_test"], sets["forget_test"]
    logits, labels = (
        np.concatenate([getattr(part, name) for part in (retain, forget)]) for name in ("logits", "labels")
    )
    features = torch.cat([retain.features, forget.features])
    is_forget = torch.arange(len(features), device=features.device) >= len(retain.labels)
    return {
        **evaluate(retain.logits, retain.labels, forget.logits, forget.labels, scores["member_logits"]),
        **attacks(**scores, forget_class=forget.labels[0]),
        "retain_train_acc": accuracy(sets["retain_train"].logits, sets["retain_train"].labels),
        "forget_train_acc": accuracy(sets["forget_train"].logits, sets["forget_train"].labels),
        "test_acc": accuracy(logits, labels),
        "probe_acc": probe_accuracy(features, is_forget),
    }
