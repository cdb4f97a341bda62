"""Relearning: how many epochs of fine-tuning bring the forget class back, and whether retained images alone do."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from torch.nn import functional as F

from unlearning.clocks import spent_on
from unlearning.data.batches import Batches, TensorData
from unlearning.evaluation import metrics
from unlearning.models import Classifier, build_model
from unlearning.streams import generator, seed_global_streams
from unlearning.training.prediction import PREDICTION_BATCH, accuracy, predict_logits

KEPT = 0.9
"""The share of the retained accuracy that must be left for the forget class to count as back.

A model that names the class for everything reaches the target as well, but who brings the class back wants a model that
still works. A loss of one correct answer in ten leaves room for fine-tuning on few images, which costs some accuracy.
"""

LARGEST_RETAINED_SAMPLE = 1000
"""Retained images to fine-tune on, at most: as many of each class, however many classes there are."""

RETAINED_IMAGES = 1000
"""Retained test images, all if there are fewer, on which it is judged after each epoch whether the accuracy holds. An
accuracy of .9 has a standard error of .01 there; all of them would cost more than the fine-tuning."""

Split = Mapping[str, np.ndarray]
Protocol = dict[str, Any]


@spent_on("evaluation")
def accuracies_before(original: Classifier, data: TensorData, split: Split) -> dict[str, float] | None:
    """Return forget_acc and retain_acc (0 to 1) of the original model, to the last digit as rule evaluate has them.

    They are measured here, so that no cell waits for the evaluation of another one. None if a logit of the model is not
    finite: its training diverged, and there is nothing to bring back.
    """
    found = {}
    for name, part in (("forget_acc", "forget_test"), ("retain_acc", "retain_test")):
        images = torch.from_numpy(split[part]).to(data.test_images.device)
        logits = predict_logits(original, data.test_images, data.normalisation, images).numpy()
        if not np.isfinite(logits).all():
            return None
        found[name] = metrics.accuracy(logits, data.test_labels[images].cpu().numpy())
    return found


def relearning(
    model: Classifier, data: TensorData, split: Split, protocol: Protocol, original: Mapping[str, float], seed: int
) -> dict[str, Any]:
    """Return the epochs of `relearned` from both starts, and the smaller number, by the names of their columns.

    ``curves`` has the forget class's accuracy after each epoch, by the same names.
    ``original`` has the accuracies of `accuracies_before`, of the model before unlearning. The target is half of its
    forget_acc. With the head's row reset, the class comes back from the features alone; from the model as it is, it
    comes back sooner if the head still tells it. ``model`` stays as it is.
    """
    target, least = original["forget_acc"] / 2, least_retained(model, data, split, original["retain_acc"])
    reset = copy.deepcopy(model)
    reset_head_row(reset, int(data.test_labels[split["forget_test"][0]]))
    found = {
        "relearn_epochs_reset": relearned(reset, data, split, protocol, target, least, seed),
        "relearn_epochs_as_is": relearned(copy.deepcopy(model), data, split, protocol, target, least, seed),
    }
    epochs = {name: its.epochs for name, its in found.items()}
    curves = {name: its.curve for name, its in found.items()}
    return {"relearn_epochs": min(epochs.values())} | epochs | {"curves": curves}


def least_retained(model: Classifier, data: TensorData, split: Split, of_original: float) -> float:
    """Return the accuracy (0 to 1) that the retained classes must have left: `KEPT` of what the model has.

    A model that does not name the forget class takes no image for it, and has to lose by that when the class is back:
    no more is asked than of the original model, which keeps ``of_original``. And no less than of chance is asked: a
    model that names all images alike has not relearned.
    """
    return KEPT * max(min(_retained_accuracy(model, data, split), of_original), 1 / data.classes)


class Relearned(NamedTuple):
    """The epochs until the class is back, and its test accuracy (0 to 1) after 0, 1, ... epochs, as far as they ran."""

    epochs: int
    curve: list[float]


@spent_on("training")
def relearned(
    model: Classifier,
    data: TensorData,
    split: Split,
    protocol: Protocol,
    target: float,
    least_kept: float,
    seed: int,
) -> Relearned:
    """Return the epochs of fine-tuning after which the forget class is back, and its way there.

    It is back when its test accuracy is at least ``target`` and that of the retained classes at least
    ``least_kept``. 0 if this is so before fine-tuning; the limit ``protocol["relearn"]["epochs"]`` if the limit or
    more epochs are needed. The model is changed in place.

    All weights are fine-tuned on a sample of `relearning_sample`. All methods of one seed, and both starts, have the
    same sample and batches. Relearn time: Golatkar et al., CVPR 2020; Tarun et al., TNNLS 2023.
    """
    settings = protocol["relearn"]
    curve: list[float] = []

    def is_back() -> bool:
        curve.append(_accuracy(model, data, split["forget_test"]))
        return curve[-1] >= target and _retained_accuracy(model, data, split) >= least_kept

    if is_back():
        return Relearned(0, curve)
    sample = relearning_sample(split, data, settings["images"], generator(seed, "relearning sample"))
    batches = data.train_batches(sample, protocol | settings, generator(seed, "relearning batches"))
    optimizer = _optimizer(model, protocol)
    for epoch in range(1, settings["epochs"]):
        fine_tune(model, batches, optimizer)
        if is_back():
            return Relearned(epoch, curve)
    return Relearned(settings["epochs"], curve)


@spent_on("training")
def retain_relearned_accuracy(
    model: Classifier, data: TensorData, split: Split, protocol: Protocol, seed: int
) -> float:
    """Return the forget class's test accuracy (0 to 1) after fine-tuning on the retained training images alone.

    One pass over all of them, in batches of the training's size, from the model as it is. No image of the forget class
    is seen: what comes back was still there. The oracle has nothing to bring back. The model stays as it is.
    Siddiqui et al., "From Dormant to Deleted", 2025 (arXiv:2505.22310), find this for single forgotten images.
    """
    model = copy.deepcopy(model)
    batches = data.train_batches(split["retain_train"], protocol, generator(seed, "retain relearning batches"))
    fine_tune(model, batches, _optimizer(model, protocol))
    return _accuracy(model, data, split["forget_test"])


def fresh_model(record: Mapping[str, Any], data: TensorData, split: Split, protocol: Protocol, seed: int) -> Classifier:
    """Return a model of the architecture in a checkpoint's ``record``, with random weights, to be relearned.

    Its batch norms have the statistics of the relearning sample. With the statistics that they are built with, deep
    features would vanish or overflow, and the epochs would say more about that than about what is not known.
    """
    seed_global_streams(seed, "relearning from random weights")
    model = build_model(record["model"], record["classes"], record["channels"], record["width"])
    model = model.to(data.train_images.device).train()
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = None  # the statistics of all that it sees, not a moving average
    sample = relearning_sample(split, data, protocol["relearn"]["images"], generator(seed, "relearning sample"))
    some = torch.randperm(len(sample), generator=generator(seed, "statistics of random weights"))[:PREDICTION_BATCH]
    images = data.train_images[torch.from_numpy(sample)[some].to(data.train_images.device)]
    with torch.no_grad():
        model.embed(data.normalisation.apply(images))
    return model.eval()


def _optimizer(model: Classifier, protocol: Protocol) -> torch.optim.Optimizer:
    return torch.optim.Adam(model.parameters(), lr=protocol["relearn"]["learning_rate"])


def fine_tune(model: Classifier, batches: Batches, optimizer: torch.optim.Optimizer) -> None:
    """Fine-tune ``model`` in place for one pass over ``batches``, by cross-entropy.

    The model is in eval mode: batch statistics of a small sample would say more about the sample than about the model.
    """
    model.eval()
    for images, labels in batches.epoch():
        optimizer.zero_grad(set_to_none=True)
        F.cross_entropy(model(images), labels).backward()
        optimizer.step()


def _accuracy(model: Classifier, data: TensorData, images: np.ndarray) -> float:
    subset = torch.from_numpy(images).to(data.test_images.device)
    return accuracy(model, data.test_images, data.test_labels, data.normalisation, subset)


def _retained_accuracy(model: Classifier, data: TensorData, split: Split) -> float:
    retained = split["retain_test"]
    chosen = torch.randperm(len(retained), generator=generator(0, "retained images of relearning"))[:RETAINED_IMAGES]
    return _accuracy(model, data, retained[chosen.numpy()])


@torch.no_grad()
def reset_head_row(model: Classifier, forget_class: int) -> None:
    """Set the head's row of the forget class, weights and bias, to the mean of the other rows, in place."""
    others = torch.arange(model.head.out_features, device=model.head.weight.device) != forget_class
    for tensor in (model.head.weight, model.head.bias):
        tensor[forget_class] = tensor[others].mean(dim=0)


def relearning_sample(split: Split, data: TensorData, images: int, random_stream: torch.Generator) -> np.ndarray:
    """Return indices of ``images`` forget images (all if there are fewer) and of as many of each retained class.

    With every class as frequent as in the training data, fine-tuning does not teach the model to name the forget class
    more often than it should. Of many retained classes there are fewer images each, `LARGEST_RETAINED_SAMPLE` in all.
    """
    labels = data.train_labels.cpu().numpy()
    forget, retained = split["forget_train"], split["retain_train"]
    of_class = [retained[labels[retained] == each] for each in np.unique(labels[retained])]
    fewer = max(1, min(images, len(forget), LARGEST_RETAINED_SAMPLE // len(of_class)))
    wanted = [(forget, images), *((part, fewer) for part in of_class)]
    drawn = [part[torch.randperm(len(part), generator=random_stream)[:count].numpy()] for part, count in wanted]
    return np.concatenate(drawn)
