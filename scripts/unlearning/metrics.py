"""The metrics of the protocol, from logits alone. Definitions and pitfalls: README.md, "The metrics"."""

from __future__ import annotations

import numpy as np
from scipy.special import softmax
from scipy.stats import mannwhitneyu

METRICS = ("retain_acc", "forget_acc", "forget_mia_auc", "unlearn_score")


def accuracy(logits: np.ndarray, labels: np.ndarray) -> float:
    """Return the share of images whose largest logit is their label's; logits (N, classes), labels (N,)."""
    return float(np.mean(logits.argmax(axis=1) == labels))


def confidence(logits: np.ndarray) -> np.ndarray:
    """Return each image's largest softmax probability (N,), the membership score of the protocol."""
    return softmax(logits.astype(np.float64), axis=1).max(axis=1)


def membership_auc(member_scores: np.ndarray, non_member_scores: np.ndarray) -> float:
    """Return the area under the ROC curve of telling members (M,) from non-members (N,) by a higher score.

    The Mann-Whitney statistic over M * N: the probability that a member scores above a non-member, ties one half.
    """
    # The asymptotic p-value is the cheap one; only the statistic is used.
    statistic = mannwhitneyu(member_scores, non_member_scores, method="asymptotic").statistic
    return float(statistic / (len(member_scores) * len(non_member_scores)))


def unlearn_score(retain_acc: float, forget_acc: float, forget_mia_auc: float) -> float:
    """Return the primary metric: the mean of retain_acc, 1 - forget_acc and 1 - forget_mia_auc."""
    return (retain_acc + (1 - forget_acc) + (1 - forget_mia_auc)) / 3


def evaluate(
    retain_logits: np.ndarray,
    retain_labels: np.ndarray,
    forget_logits: np.ndarray,
    forget_labels: np.ndarray,
    member_logits: np.ndarray,
) -> dict[str, float]:
    """Return the four metrics of the protocol.

    retain_*: test images of the retained classes. forget_*: test images of the forget class, the non-members.
    member_logits: training images of the forget class, unaugmented. Logits (N, classes), labels (N,).
    """
    metrics = {
        "retain_acc": accuracy(retain_logits, retain_labels),
        "forget_acc": accuracy(forget_logits, forget_labels),
        "forget_mia_auc": membership_auc(confidence(member_logits), confidence(forget_logits)),
    }
    return metrics | {"unlearn_score": unlearn_score(**metrics)}
