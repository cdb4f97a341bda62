"""Few-shot classifiers on a model's features: how many images bring the forget class back, without the model's head.

What a method did to the head, such as to lower one bias, cannot change these numbers.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from unlearning.evaluation.metrics import log_softmax
from unlearning.evaluation.sample import Representation
from unlearning.seeds import stream_seed

SHOTS = 10
"""Training images per class."""

DRAWS = 5
PROTOTYPE_DRAWS = 10

LARGEST_RETAIN_LOSS = 0.01
"""Share of the rightly named retained test images that the new row of the head may take over."""

MOST_STEPS = 1000
LARGEST_GRADIENT = 1e-6
"""If no weight's gradient, divided by the number of images, is larger, the fit has converged: see `fit_probe`."""

ROUNDING = 1e-6
"""Features that differ by a smaller share than this are equal: float16, in which they are stored, is coarser."""

CLEARLY = 1e-9
"""A class is named if its score is larger than all others by more than rounding, so that equal features name none: as a
share of the largest score where scores are not of length 1."""


def normalised(features: np.ndarray) -> np.ndarray:
    """Return features (N, width) of length 1. A vector of zeros stays as it is."""
    lengths = np.linalg.norm(features, axis=1, keepdims=True)
    return features / np.where(lengths > 0, lengths, 1)


def share_named(scores: np.ndarray, label: int) -> float:
    """Return the share of images whose score of class ``label`` is the largest; scores (N, classes)."""
    others = np.delete(scores, label, axis=1).max(axis=1)
    return float(np.mean(scores[:, label] > others + CLEARLY))


# --- prototypical relearning


def prototype_accuracy(model: Representation, shots: int) -> float | None:
    """Return the share of forget-test images that are named right after ``shots`` images rebuilt the class's row.

    Prototypical relearning (Spotter, arXiv 2506.01318). The head's row of the forget class becomes the prototype, which
    is the normalised mean of the normalised features of ``shots`` forget-train images (all if there are fewer), times
    the mean length of the other rows. The row's bias becomes the largest with which at most 1 % of the retained test
    images that were named right change to the class. The mean over 10 draws, the same for all models. What the row and
    its bias were has no influence: "right" is said without the forget class. None if no retained image is named right.
    """
    retained = model.retained_classes
    logits = {part: model.logits(part)[:, retained] for part in ("retain_test", "forget_test")}
    is_right = retained[logits["retain_test"].argmax(axis=1)] == model.labels["retain_test"]
    if not is_right.any():
        return None
    rows = _prototypes(model, shots) * np.linalg.norm(model.weight[retained], axis=1).mean()
    of_retained = model.features["retain_test"][is_right] @ rows.T
    # An image changes to the class if the bias is larger than this.
    limits = logits["retain_test"][is_right].max(axis=1, keepdims=True) - of_retained
    allowed = int(LARGEST_RETAIN_LOSS * is_right.sum() + 1e-9)
    biases = np.sort(limits, axis=0)[allowed]
    of_class = model.features["forget_test"] @ rows.T + biases
    largest = logits["forget_test"].max(axis=1, keepdims=True)
    return float(np.mean(of_class > largest + CLEARLY * max(np.abs(largest).max(), np.abs(of_class - biases).max())))


def _prototypes(model: Representation, shots: int) -> np.ndarray:
    """Return one prototype of length 1 per draw (draws, width)."""
    features = normalised(model.features["forget_train"])
    random_stream = np.random.default_rng(stream_seed(0, "images of prototypes"))
    drawn = [random_stream.permutation(len(features))[:shots] for _ in range(PROTOTYPE_DRAWS)]
    return normalised(np.array([features[places].mean(axis=0) for places in drawn]))


# --- classifiers of all classes, from a few images of each


def class_mean_accuracy(model: Representation) -> float:
    """Return the share of forget-test images whose nearest class mean is the forget class's.

    A mean is the normalised mean of the normalised features of 10 training images; the nearest has the largest cosine
    (the rule of iCaRL: Rebuffi et al., CVPR 2017; as a measure of unlearning: CMF, arXiv 2604.08271). The mean over 5
    draws, the same for all models.
    """
    tested = normalised(model.features["forget_test"])
    shares = []
    for features, labels in _few_images(model):
        known = normalised(features)
        means = normalised(np.array([known[labels == each].mean(axis=0) for each in range(len(model.bias))]))
        shares.append(share_named(tested @ means.T, model.forget_class))
    return float(np.mean(shares))


def few_shot_probe_accuracy(model: Representation) -> float:
    """Return the share of forget-test images that a linear probe of all classes names right.

    The probe is a multinomial logistic regression, fitted to 10 training images of each class, whose features are
    standardised (CMF, arXiv 2604.08271; probes: Alain & Bengio, ICLR 2017 workshop). The mean over 5 draws, the same
    for all models.
    """
    shares = []
    for features, labels in _few_images(model):
        mean, deviation = features.mean(axis=0), features.std(axis=0)
        is_constant = deviation <= ROUNDING * np.abs(mean)
        scale = np.where(is_constant, np.inf, deviation)
        weights, biases = fit_probe((features - mean) / scale, labels, len(model.bias))
        tested = (model.features["forget_test"] - mean) / scale
        shares.append(share_named(tested @ weights.T + biases, model.forget_class))
    return float(np.mean(shares))


def _few_images(model: Representation) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield, for each draw, the features and the labels of 10 training images of each class (all if fewer)."""
    features, labels = (
        np.concatenate([values[part] for part in ("forget_train", "retain_train")])
        for values in (model.features, model.labels)
    )
    random_stream = np.random.default_rng(stream_seed(0, "images of few-shot classifiers"))
    of_class = [np.flatnonzero(labels == each) for each in range(len(model.bias))]
    for _ in range(DRAWS):
        drawn = np.concatenate([random_stream.permutation(places)[:SHOTS] for places in of_class])
        yield features[drawn], labels[drawn]


def fit_probe(features: np.ndarray, labels: np.ndarray, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Return weights (classes, width) and biases (classes,) of a multinomial logistic regression.

    It minimises ||weights||^2 / 2 plus the sum of the cross-entropies, as scikit-learn's LogisticRegression does, whose
    import would take longer than all measures; features float64 (N, width), labels int64 (N,). The fit is done in the
    axes of the features, of which there are no more than images, each divided by the square root of Böhning's bound of
    its curvature (Ann. Inst. Stat. Math. 1992), so that all are equally steep.
    """
    from scipy.optimize import minimize  # only the job of rule compare calls this

    centre = features.mean(axis=0)
    coordinates, lengths, axes = np.linalg.svd(features - centre, full_matrices=False)
    inputs = np.column_stack([coordinates * lengths, np.ones(len(features))])  # the last is the biases'
    penalty = np.append(np.ones(len(lengths)), 0.0)[:, None]
    steepness = np.sqrt(penalty + (inputs**2).sum(axis=0)[:, None] / 2)
    inputs, penalty = inputs / steepness.T, penalty / steepness**2
    targets = np.eye(classes)[labels]

    def loss_and_gradient(parameters: np.ndarray) -> tuple[float, np.ndarray]:
        parameters = parameters.reshape(-1, classes)
        logarithms = log_softmax(inputs @ parameters)
        loss = (penalty * parameters**2).sum() / 2 - (targets * logarithms).sum()
        return loss, (inputs.T @ (np.exp(logarithms) - targets) + penalty * parameters).ravel()

    limits = {"gtol": LARGEST_GRADIENT * len(features), "ftol": 0, "maxiter": MOST_STEPS, "maxfun": 2 * MOST_STEPS}
    start = np.zeros(inputs.shape[1] * classes)
    fitted = minimize(loss_and_gradient, start, jac=True, method="L-BFGS-B", options=limits).x
    fitted = fitted.reshape(-1, classes) / steepness
    weights = (axes.T @ fitted[:-1]).T
    return weights, fitted[-1] - weights @ centre
