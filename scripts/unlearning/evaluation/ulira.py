"""U-LiRA: the likelihood-ratio attack on unlearned models (Hayes et al., "Inexact unlearning needs more careful
evaluations to avoid a false sense of privacy", 2024; LiRA: Carlini et al., IEEE S&P 2022).

Shadow models are trained on the retain set and a random half of the forget class's images, both training and test
images, and then unlearn that half. So one half of the shadow models has forgotten each image, and the other half has
never seen it. From the attacked model's answer to an image, the attack tells which of the two the model did.

A second attack is about the class, not about one image: it tells a model that had the class and unlearned it from a
model that never saw it. It uses the same shadow models, and those that are trained on the retain set alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from scipy.special import logsumexp
from scipy.stats import norm

from unlearning.errors import UserError
from unlearning.evaluation.metrics import membership_auc, true_positive_rate
from unlearning.seeds import stream_seed


def forget_pool(split: Mapping[str, np.ndarray], train_size: int) -> np.ndarray:
    """Return the forget class's images, training then test, as indices (P,) into the joined parts."""
    return np.concatenate([split["forget_train"], train_size + split["forget_test"]])


def shadow_members(pool_size: int, shadows: int) -> np.ndarray:
    """Return bool (shadows, pool_size): the training images of each shadow model.

    Exactly half of the shadow models are trained on each image.
    """
    random_stream = np.random.default_rng(stream_seed(0, "shadow members"))
    return np.argsort(random_stream.random((shadows, pool_size)), axis=0) < shadows // 2


def shadow_members_of(split: Mapping[str, np.ndarray], train_size: int, shadow: int, shadows: int) -> np.ndarray:
    """Return the forget class's images that shadow model ``shadow`` is trained on, as indices like `forget_pool`'s.

    Raises UserError if there are too few images, so that the model has none.
    """
    pool = forget_pool(split, train_size)
    members = pool[shadow_members(len(pool), shadows)[shadow]]
    if len(members) == 0:
        raise UserError(f"U-LiRA: the {len(pool)} images of the forget class are too few for {shadows} shadow models")
    return members


def scaled_confidence(logits: np.ndarray, label: int) -> np.ndarray:
    """Return log(p / (1 - p)) (N,) of the probability p of class ``label``. It is close to normally distributed."""
    logits = logits.astype(np.float64)
    return logits[:, label] - logsumexp(np.delete(logits, label, axis=1), axis=1)


def likelihood_ratios(answers: np.ndarray, shadow_answers: np.ndarray, is_member: np.ndarray) -> np.ndarray:
    """Return the log-likelihood ratio (P,) of each image: forgotten against never seen.

    ``answers`` (P,) and ``shadow_answers`` (shadows, P) are scaled confidences, ``is_member`` bool (shadows, P). The
    normal distributions have one mean per image and one standard deviation per side, as in LiRA with few shadow models.
    """
    ratios = np.zeros(len(answers))
    for sign, side in ((1, is_member), (-1, ~is_member)):
        counts = side.sum(axis=0)
        means = np.where(side, shadow_answers, 0).sum(axis=0) / counts
        squares = np.where(side, (shadow_answers - means) ** 2, 0).sum()
        deviation = max(np.sqrt(squares / (counts - 1).sum()), 1e-6)  # for models that agree to the last bit
        ratios += sign * norm.logpdf(answers, means, deviation)
    return ratios


def shadow_failure(shadows: Sequence[Mapping[str, np.ndarray]]) -> str | None:
    """Return why the first bad shadow model has no answer, in one line; None if all have finite answers."""
    for number, shadow in enumerate(shadows):
        if "logits" not in shadow:
            return f"shadow model {number}: {shadow['failure']}"
        if not np.isfinite(shadow["logits"]).all():
            return f"shadow model {number}: its logits are not finite"
    return None


def centred(answers: np.ndarray) -> np.ndarray:
    """Return ``answers`` (..., P) of models to P images, minus each model's mean.

    Models differ by an offset that all their answers share: the attacked model forgot the whole class, a shadow model
    one half of a pool, and no two trainings are alike. An offset says nothing about one image, but it would widen the
    distributions of `likelihood_ratios`. Carlini et al. do not centre: there, attacked model and shadow models are all
    trained alike, on a random half of one pool.
    """
    return answers - answers.mean(axis=-1, keepdims=True)


def attack(
    member_logits: np.ndarray, non_member_logits: np.ndarray, shadow_logits: Sequence[np.ndarray], forget_class: int
) -> dict[str, float]:
    """Return the metrics of the attack on one model; a number added to all answers of a model changes nothing.

    ``member_logits`` (M, classes) and ``non_member_logits`` (N, classes) are the model's logits on the forget class's
    training and test images; ``shadow_logits`` (M + N, classes) are the logits of each shadow model that
    `shadow_members` describes.
    """
    answers = scaled_confidence(np.concatenate([member_logits, non_member_logits]), forget_class)
    of_shadows = _answers_of(shadow_logits, forget_class)
    is_member = shadow_members(len(answers), len(of_shadows))
    ratios = likelihood_ratios(centred(answers), centred(of_shadows), is_member)
    members, non_members = ratios[: len(member_logits)], ratios[len(member_logits) :]
    return {
        "ulira_auc": membership_auc(members, non_members),
        "ulira_tpr_at_1pct_fpr": true_positive_rate(members, non_members, 0.01),
    }


def class_attack(
    logits: np.ndarray,
    oracle_logits: np.ndarray,
    shadow_logits: Sequence[np.ndarray],
    stranger_logits: Sequence[np.ndarray],
    forget_class: int,
) -> float:
    """Return the area (0 to 1) under the ROC curve of telling a model from the oracle by the forget class's images.

    ``logits`` and ``oracle_logits`` (P, classes) are the answers of the two to the forget class's images; the arrays of
    ``shadow_logits`` (P, classes) are of shadow models that had the class and unlearned it, those of
    ``stranger_logits`` of shadow models that never saw it. Each image under each of the two models has its likelihood
    ratio: had the class against never saw it. .5: the images do not tell. Answers are not centred: an offset of a whole
    model is evidence here. The attacked model had all images of a side, a shadow model one half of both sides.
    """
    had, never_saw = (_answers_of(each, forget_class) for each in (shadow_logits, stranger_logits))
    shadows = np.concatenate([had, never_saw])
    had_the_class = np.repeat(np.arange(len(shadows)) < len(had), shadows.shape[1]).reshape(shadows.shape)
    ratios, of_oracle = (
        likelihood_ratios(scaled_confidence(each, forget_class), shadows, had_the_class)
        for each in (logits, oracle_logits)
    )
    return membership_auc(ratios, of_oracle)


def class_attack_by_chance(
    oracle_logits: np.ndarray,
    shadow_logits: Sequence[np.ndarray],
    stranger_logits: Sequence[np.ndarray],
    forget_class: int,
) -> float:
    """Return the largest area (0 to 1) of `class_attack` on a model that never saw the class.

    Each of the strangers is attacked in turn, with the other strangers as those that never saw the class. All answers
    of a model move together, so that the area is far from .5 for one such model in a few. An area of the attacked model
    that is no larger than this one is no evidence.
    """
    return max(
        class_attack(
            stranger,
            oracle_logits,
            shadow_logits,
            [*stranger_logits[:index], *stranger_logits[index + 1 :]],
            forget_class,
        )
        for index, stranger in enumerate(stranger_logits)
    )


def _answers_of(logits: Sequence[np.ndarray], forget_class: int) -> np.ndarray:
    return np.stack([scaled_confidence(each, forget_class) for each in logits])
