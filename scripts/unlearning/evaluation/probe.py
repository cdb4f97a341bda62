"""A linear probe: how much of the forget class is still in the features, independent of the head."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from unlearning.streams import generator

FOLDS = 5
MOST_STEPS = 1000
LARGEST_GRADIENT = 1e-5
"""If no weight's gradient is larger, the fit has converged, usually after a few dozen steps."""


def probe_accuracy(features: Tensor, is_forget: Tensor) -> float | None:
    """Return the balanced accuracy of logistic regression for the forget class against all others; chance is .5.

    ``features`` (N, width) of test images, ``is_forget`` bool (N,), on one device. Features are standardised, both
    sides have equal weight, and 5 stratified folds are cross-validated, so that every image is judged by a probe that
    was not fitted to it. None if a side has fewer than two images. Probes: Alain & Bengio, ICLR 2017 workshop.
    """
    folds = min(FOLDS, int(is_forget.sum()), int((~is_forget).sum()))
    if folds < 2:
        return None
    fold = stratified_folds(is_forget.cpu(), folds).to(features.device)
    deviation, mean = torch.std_mean(features.double(), dim=0, correction=0)
    standardised = (features.double() - mean) / torch.where(deviation > 0, deviation, 1)
    weights, biases = fit_probes(standardised, is_forget, torch.stack([fold != each for each in range(folds)]))
    logits = standardised @ weights.T + biases
    is_found = logits.gather(1, fold[:, None])[:, 0] > 0  # by the probe that did not see the image
    return (is_found[is_forget].double().mean() + (~is_found[~is_forget]).double().mean()).item() / 2


def stratified_folds(is_forget: Tensor, folds: int) -> Tensor:
    """Return the fold of each image (N,), drawn so that every fold has an equal share of both sides."""
    fold, random_stream = torch.empty(len(is_forget), dtype=torch.int64), generator(0, "folds of the probe")
    for side in (is_forget, ~is_forget):
        members = side.nonzero()[:, 0]
        shuffled = torch.randperm(len(members), generator=random_stream)  # data sets may be sorted by class
        fold[members[shuffled]] = torch.arange(len(members)) % folds
    return fold


def fit_probes(features: Tensor, is_forget: Tensor, is_fitted: Tensor) -> tuple[Tensor, Tensor]:
    """Fit a logistic regression for each row of ``is_fitted``, to the images that it names.

    features float64 (N, width), is_forget bool (N,), is_fitted bool (probes, N). Returns weights (probes, width) and
    biases (probes,). Each probe minimises ||weights||² / 2 plus the cross-entropy summed over its images, where each
    side is weighted to half of the sum: scikit-learn's LogisticRegression(class_weight="balanced"). All probes are
    fitted at once, so that the features, whose reading is most of the work, are read once.
    """
    counts = is_fitted.sum(dim=1, keepdim=True)
    of_side = torch.where(is_forget, (is_fitted & is_forget).sum(1, True), (is_fitted & ~is_forget).sum(1, True))
    shares = torch.where(is_fitted, 0.5 / of_side.double(), 0.0)
    targets = is_forget.double().expand_as(shares)
    weights = torch.zeros(len(is_fitted), features.shape[1], dtype=torch.float64, device=features.device)
    biases = torch.zeros(len(is_fitted), dtype=torch.float64, device=features.device)
    parameters = [weights.requires_grad_(), biases.requires_grad_()]
    optimizer = torch.optim.LBFGS(
        parameters,
        max_iter=MOST_STEPS,
        tolerance_grad=LARGEST_GRADIENT,
        tolerance_change=0,
        line_search_fn="strong_wolfe",
    )

    def loss() -> Tensor:
        optimizer.zero_grad()
        logits = weights @ features.T + biases[:, None]
        entropies = F.binary_cross_entropy_with_logits(logits, targets, shares, reduction="sum")
        total = entropies + (weights**2 / (2 * counts)).sum()
        total.backward()
        return total

    with torch.enable_grad():
        optimizer.step(loss)
    return weights.detach(), biases.detach()
