"""A linear probe: how much of the forget class is still in the features, whatever the head says."""

from __future__ import annotations

import numpy as np

FOLDS = 5


def probe_accuracy(features: np.ndarray, is_forget: np.ndarray) -> float | None:
    """Return the balanced accuracy of logistic regression for the forget class against the rest; chance is .5.

    ``features`` (N, width) of test images, ``is_forget`` bool (N,). Standardised, both sides weighted alike, cross-
    validated in 5 stratified folds, so that every image is judged by a probe that was not fitted to it. None if a
    side has fewer than two images. Probes: Alain & Bengio, ICLR 2017 workshop.
    """
    # Half a second of import that only this function needs.
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import balanced_accuracy_score
    from sklearn.model_selection import StratifiedKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    folds = min(FOLDS, is_forget.sum(), (~is_forget).sum())
    if folds < 2:
        return None
    probe = make_pipeline(StandardScaler(), LogisticRegression(class_weight="balanced", max_iter=1000))
    parts = StratifiedKFold(folds, shuffle=True, random_state=0)  # data sets may be sorted by class
    return float(balanced_accuracy_score(is_forget, cross_val_predict(probe, features, is_forget, cv=parts)))
