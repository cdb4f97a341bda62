"""The metrics, from logits alone. `unlearning.tables.columns` defines each metric and says where it misleads."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

# An evaluation uses NumPy alone: the import of SciPy's functions would take longer than all metrics.

METRICS = ("retain_acc", "forget_acc", "forget_mia_auc", "unlearn_score")
"""The metrics of the protocol, in the protocol's order. The last is the primary metric."""

METRICS_FORMAT = 2
"""The format of metrics.json. Raise it when the meaning of the content changes. Format 1 does not name itself."""


def accuracy(logits: np.ndarray, labels: np.ndarray) -> float:
    """Return the share of images whose largest logit is the logit of their label; logits (N, classes), labels (N,)."""
    return float(np.mean(logits.argmax(axis=1) == labels))


def log_softmax(logits: np.ndarray) -> np.ndarray:
    """Return the logarithms of the softmax, float64 (N, classes), of logits (N, classes)."""
    shifted = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))


# --- membership scores: a higher score means: more likely a training image


def confidence(logits: np.ndarray) -> np.ndarray:
    """Return the largest softmax probability of each image (N,), the membership score of the protocol."""
    return np.exp(log_softmax(logits).max(axis=1))


def log_likelihood(logits: np.ndarray, label: int) -> np.ndarray:
    """Return minus the cross-entropy (N,) of images that all have the class ``label`` (Yeom et al., CSF 2018)."""
    return log_softmax(logits)[:, label]


def negative_entropy(logits: np.ndarray) -> np.ndarray:
    """Return minus the entropy (N,), in nats, of the predicted distributions (Salem et al., NDSS 2019)."""
    logarithms = log_softmax(logits)
    return (np.exp(logarithms) * logarithms).sum(axis=1)


# --- how well a score tells members from non-members


def membership_auc(member_scores: np.ndarray, non_member_scores: np.ndarray) -> float:
    """Return the area under the ROC curve of telling members (M,) from non-members (N,) by a higher score.

    The Mann-Whitney statistic over M * N: the probability that a member scores above a non-member. A tie counts one
    half.
    """
    statistic = numbers_below(member_scores, non_member_scores).sum()
    return float(statistic / (len(member_scores) * len(non_member_scores)))


def numbers_below(scores: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Return, for each of ``scores``, how many of ``others`` lie below it. A tie counts one half."""
    ordered = np.sort(others)
    return (np.searchsorted(ordered, scores, "left") + np.searchsorted(ordered, scores, "right")) / 2


def membership_auc_standard_error(member_scores: np.ndarray, non_member_scores: np.ndarray) -> float | None:
    """Return the standard error of `membership_auc` over draws of images (DeLong et al., Biometrics 1988).

    The model is taken as fixed: the spread over training seeds is not included. None with fewer than two images on a
    side.
    """
    return standard_error_of_placements(*placement_values(member_scores, non_member_scores))


def placement_values(member_scores: np.ndarray, non_member_scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the placement value of each member (M,) and of each non-member (N,); the mean of either is the area.

    A member's value is the share of non-members below it; a non-member's, the share of members above it. A tie counts
    one half (Sun & Xu, IEEE SPL 2014).
    """
    members, non_members = len(member_scores), len(non_member_scores)
    of_members = numbers_below(member_scores, non_member_scores) / non_members
    return of_members, 1 - numbers_below(non_member_scores, member_scores) / members


def standard_error_of_placements(of_members: np.ndarray, of_non_members: np.ndarray) -> float | None:
    """Return the standard error, over draws of images, of an area with these `placement_values`.

    Placement values of several models may be averaged, or subtracted, image by image: the result is the standard error
    of the mean area, or of the difference (DeLong et al., Biometrics 1988). None with fewer than two images on a side.
    """
    members, non_members = len(of_members), len(of_non_members)
    if min(members, non_members) < 2:
        return None
    return float(np.sqrt(of_members.var(ddof=1) / members + of_non_members.var(ddof=1) / non_members))


def true_positive_rate(member_scores: np.ndarray, non_member_scores: np.ndarray, false_positive_rate: float) -> float:
    """Return the share of members above the lowest threshold that has at most ``false_positive_rate`` false alarms.

    An image is called a member if its score is strictly above the threshold (Carlini et al., IEEE S&P 2022).
    """
    false_alarms = int(false_positive_rate * len(non_member_scores) + 1e-9)  # .01 * 2900 is 28.999...
    threshold = np.sort(non_member_scores)[::-1][false_alarms]
    return float(np.mean(member_scores > threshold))


def two_sided(auc: float) -> float:
    """Return the area of an attack that may also be inverted: max(A, 1 - A)."""
    return max(auc, 1 - auc)


# --- the tables' metrics


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


def attacks(
    member_logits: np.ndarray, augmented_member_logits: np.ndarray, non_member_logits: np.ndarray, forget_class: int
) -> dict[str, float | None]:
    """Return the metrics of further attacks, from logits (N, classes) of images that all have class ``forget_class``.

    augmented_member_logits: the members again, cropped and flipped as in training.
    """
    members, non_members = confidence(member_logits), confidence(non_member_logits)
    losses = (log_likelihood(logits, forget_class) for logits in (member_logits, non_member_logits))
    entropies = (negative_entropy(logits) for logits in (member_logits, non_member_logits))
    return {
        "forget_mia_auc_se": membership_auc_standard_error(members, non_members),
        "forget_mia_auc_two_sided": two_sided(membership_auc(members, non_members)),
        "forget_mia_auc_augmented": membership_auc(confidence(augmented_member_logits), non_members),
        "forget_mia_auc_loss": membership_auc(*losses),
        "forget_mia_auc_entropy": membership_auc(*entropies),
        "forget_mia_tpr_at_1pct_fpr": true_positive_rate(members, non_members, 0.01),
    }


# --- the distance to the oracle


def tug_of_war(accuracies: Sequence[float], of_oracle: Sequence[float]) -> float:
    """Return ToW: the product of 1 - |difference to the oracle's accuracy| over forget train, retain train and test.

    Zhao et al., "What makes unlearning hard and what to do about it", NeurIPS 2024.
    """
    return float(np.prod([1 - abs(a - b) for a, b in zip(accuracies, of_oracle, strict=True)]))


def jensen_shannon(logits: np.ndarray, of_oracle: np.ndarray) -> float:
    """Return the mean over images of the Jensen-Shannon divergence of two models' softmax, in bits (0 to 1).

    Logits (N, classes) of the same images in the same order.
    """
    from scipy.special import rel_entr, softmax  # only the aggregation calls this, and it has SciPy

    p, q = (softmax(values.astype(np.float64), axis=1) for values in (logits, of_oracle))
    middle = (p + q) / 2
    divergences = (rel_entr(p, middle) + rel_entr(q, middle)).sum(axis=1) / (2 * np.log(2))
    return float(divergences.clip(0, 1).mean())  # rounding may leave -1e-17
