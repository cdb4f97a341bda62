"""The error of an area under the ROC curve that comes from the draw of images, for any number of seeds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas

from unlearning.evaluation.metrics import confidence, placement_values, standard_error_of_placements
from unlearning.tables.cells import ORACLE

AREA, AREA_GAP = "forget_mia_auc", "gap_forget_mia_auc"
COLUMNS = ["benchmark", "method", "metric", "seeds", "standard_error"]

Placements = tuple[np.ndarray, np.ndarray]


def placements_of(scores: Mapping[str, np.ndarray]) -> Placements | None:
    """Return the placement values of a cell's images, from the contents of its scores.npz; None if it has no scores."""
    if not scores:
        return None
    return placement_values(confidence(scores["member_logits"]), confidence(scores["non_member_logits"]))


def image_errors(cells: Iterable[Mapping[str, Any]], placements: Iterable[Placements | None]) -> pandas.DataFrame:
    """Return image_errors.csv: the standard error of the mean area, and of its mean difference to the oracle's.

    ``cells`` have benchmark, method and seed; ``placements`` are theirs, None for a cell without scores. All seeds of a
    benchmark share the same images, so the error does not shrink with the number of seeds: placement values are
    averaged over seeds, image by image, before their spread over images is taken. The difference is paired by image
    and seed (DeLong et al., Biometrics 1988).
    """
    known: dict[tuple[str, str], dict[int, Placements]] = {}
    for cell, its in zip(cells, placements, strict=True):
        if its is not None:
            known.setdefault((cell["benchmark"], cell["method"]), {})[cell["seed"]] = its
    rows = []
    for (benchmark, method), by_seed in known.items():
        rows.append((benchmark, method, AREA, len(by_seed), _error(by_seed.values())))
        of_oracle = known.get((benchmark, ORACLE), {})
        pairs = [_difference(by_seed[seed], of_oracle[seed]) for seed in by_seed.keys() & of_oracle.keys()]
        if pairs and method != ORACLE:
            rows.append((benchmark, method, AREA_GAP, len(pairs), _error(pairs)))
    return pandas.DataFrame(rows, columns=COLUMNS)


def _difference(placements: Placements, of_oracle: Placements) -> Placements:
    return placements[0] - of_oracle[0], placements[1] - of_oracle[1]


def _error(several: Iterable[Placements]) -> float | None:
    of_members, of_non_members = zip(*several, strict=True)
    return standard_error_of_placements(np.mean(of_members, axis=0), np.mean(of_non_members, axis=0))
