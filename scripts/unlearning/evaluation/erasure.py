"""Measures of erasure that a suppressed logit cannot fake: a cell's model beside the oracle and the original model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from unlearning.clocks import spent_on
from unlearning.evaluation.few_shot import (
    CLEARLY,
    ROUNDING,
    class_mean_accuracy,
    few_shot_probe_accuracy,
    normalised,
    prototype_accuracy,
)
from unlearning.evaluation.metrics import log_softmax, membership_auc, numbers_below
from unlearning.evaluation.sample import Representation

Values = dict[str, float | None]


@spent_on("evaluation")
def erasure(
    model: Representation | None, oracle: Representation | None, original: Representation | None
) -> dict[str, Any]:
    """Return all measures of a cell's ``model``, and ``routing``, the classes that its forget-test images go to.

    The oracle and the original model have the benchmark and the seed of the cell. A model that is not ok is None; the
    measures that need it are then None.
    """
    return (
        of_model(model) | to_the_oracle(model, oracle) | residue(model, oracle, original) | {"routing": routing(model)}
    )


def of_model(model: Representation | None) -> Values:
    """Return the measures that need the cell's model alone."""
    measures: dict[str, Callable[[Representation], float | None]] = {
        "prototype_acc_1": partial(prototype_accuracy, shots=1),
        "prototype_acc_5": partial(prototype_accuracy, shots=5),
        "prototype_acc_10": partial(prototype_accuracy, shots=10),
        "class_mean_acc": class_mean_accuracy,
        "few_shot_probe_acc": few_shot_probe_accuracy,
        "forget_logit_auc": forget_logit_auc,
        "residue_rank": nearest_rank,
    }
    return {name: None if model is None else measure(model) for name, measure in measures.items()}


def to_the_oracle(model: Representation | None, oracle: Representation | None) -> Values:
    """Return two distances to the oracle on the forget class's test images: of where they go, and of the features."""
    if model is None or oracle is None:
        return {"routing_tv": None, "cka_to_oracle": None}
    part = "forget_test"
    return {
        "routing_tv": routing_distance(model.logits(part), oracle.logits(part)),
        "cka_to_oracle": linear_cka(model.features[part], oracle.features[part]),
    }


# --- the head


def forget_logit_auc(model: Representation) -> float:
    """Return the area under the ROC curve of telling forget-test from retained test images by the forget class's logit.

    The score is z_f - log sum exp of the other logits, so that another bias of the class changes nothing.
    """
    without_bias = replace(model, bias=np.where(np.arange(len(model.bias)) == model.forget_class, 0, model.bias))
    logits = [without_bias.logits(part) for part in ("forget_test", "retain_test")]
    # Equal features have equal odds but for rounding.
    grain = CLEARLY * (max(np.abs(its).max() for its in logits) or 1.0)
    forget, retained = (np.round(_log_odds(its, model.forget_class) / grain) for its in logits)
    return membership_auc(forget, retained)


def _log_odds(logits: np.ndarray, label: int) -> np.ndarray:
    others = np.delete(logits, label, axis=1)
    largest = others.max(axis=1)
    return logits[:, label] - largest - np.log(np.exp(others - largest[:, None]).sum(axis=1))


def routing(model: Representation | None) -> list[float] | None:
    """Return the share of the forget class's test images that the model names each class (classes,)."""
    if model is None:
        return None
    named = model.logits("forget_test").argmax(axis=1)
    return (np.bincount(named, minlength=len(model.bias)) / len(named)).tolist()


def mean_softmax(logits: np.ndarray) -> np.ndarray:
    """Return the mean probability (classes,) of each class over images; logits (N, classes)."""
    return np.exp(log_softmax(logits)).mean(axis=0)


def routing_distance(logits: np.ndarray, of_other: np.ndarray) -> float:
    """Return the total variation distance, 0 to 1, of two models' mean softmax over images; logits (N, classes)."""
    return total_variation(mean_softmax(logits), mean_softmax(of_other))


def total_variation(p: np.ndarray, q: np.ndarray) -> float:
    """Return the total variation distance, 0 to 1, of two distributions (classes,)."""
    return float(np.abs(p - q).sum() / 2)


# --- the features


def linear_cka(features: np.ndarray, of_other: np.ndarray) -> float | None:
    """Return the linear centred kernel alignment, 0 to 1, of two models' features of the same images.

    Features (N, width), of any two widths. 1 for features that are equal up to rotation, shift and scale (Kornblith et
    al., ICML 2019). None if all features of a model are equal.
    """
    x, y = (values - values.mean(axis=0) for values in (features, of_other))
    if any(np.abs(each).max() <= ROUNDING * np.abs(of).max() for each, of in ((x, features), (y, of_other))):
        return None
    return float(np.linalg.norm(x.T @ y) ** 2 / (np.linalg.norm(x.T @ x) * np.linalg.norm(y.T @ y)))


def residue(model: Representation | None, oracle: Representation | None, original: Representation | None) -> Values:
    """Return the numbers of RULER (arXiv 2605.27569) that compare with the oracle: M1, M2 and M3.

    The three models started from the same weights: cosines of features have no meaning otherwise.
    """
    cosine = of_retained = before = None
    if model is not None and oracle is not None:
        cosine = float(cosines(model, oracle, "forget_train").mean())
        of_retained = float(np.median(cosines(model, oracle, "retain_train")))
    if oracle is not None and original is not None:
        before = float(cosines(original, oracle, "forget_train").mean())
    return {
        "residue_cosine": cosine,
        "residue_against_retained": None if cosine is None or of_retained is None else cosine - of_retained,
        "residue_against_original": None if cosine is None or before is None else cosine - before,
    }


def cosines(model: Representation, other: Representation, part: str) -> np.ndarray:
    """Return the cosine (N,) between two models' features of each image of a part."""
    return (normalised(model.features[part]) * normalised(other.features[part])).sum(axis=1)


def nearest_rank(model: Representation) -> float | None:
    """Return RULER's M4 (arXiv 2605.27569): the mean rank, 0 to 1, of how near forget images are to retained images.

    All are training images. How near an image is: its largest cosine with a retained image other than itself. Its rank:
    the share of retained images that are less near; a tie counts one half. .5 if forget images lie among the retained
    images as these do themselves, near 0 if they lie apart. None with fewer than two retained images.
    """
    retained = normalised(model.features["retain_train"])
    if len(retained) < 2:
        return None
    among_retained = retained @ retained.T
    np.fill_diagonal(among_retained, -np.inf)
    nearest = (normalised(model.features["forget_train"]) @ retained.T).max(axis=1)
    return float(numbers_below(nearest, among_retained.max(axis=1)).mean() / len(retained))
