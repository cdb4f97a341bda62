"""What a method must have forgotten and kept to be compared: the table's legend says it in words.

Every function takes ``mean(name, metric)``: the mean of a row of the table, NaN where it is not known.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from unlearning.tables.cells import ORACLE, ORIGINAL

LEAST_KEPT = 0.7
"""A method that keeps a smaller share of the original model's retain_acc has collapsed."""

STILL_KNOWN = 0.1
"""A method whose forget_acc is more than this above the oracle's has not forgotten the class."""

FOUND, MORE_THAN_ORACLE = 0.6, 0.05
"""A method over-forgets if 1 − AUC, of the attack turned around, reaches the first, and the oracle's and the second."""

Mean = Callable[[str, str], float]


def has_collapsed(mean: Mean, name: str) -> bool:
    """Return whether a model has lost too much of the retained accuracy."""
    return mean(name, "retain_acc") < LEAST_KEPT * mean(ORIGINAL, "retain_acc")


def still_knows(mean: Mean, name: str) -> bool:
    """Return whether a model still names the forget class. An oracle that is not there yet is taken to name none."""
    of_oracle = mean(ORACLE, "forget_acc")
    return mean(name, "forget_acc") > (0.0 if math.isnan(of_oracle) else of_oracle) + STILL_KNOWN


def over_forgets(mean: Mean, name: str) -> bool:
    """Return whether the attack, turned around, finds the members, and better than with the oracle."""
    auc, of_oracle = (mean(each, "forget_mia_auc") for each in (name, ORACLE))
    return auc <= 1 - FOUND and not auc > of_oracle - MORE_THAN_ORACLE


def may_be_best(mean: Mean, name: str) -> bool:
    """Return whether a method, if all its cells are ok, is compared for the best of a column."""
    return not any(is_out(mean, name) for is_out in (has_collapsed, still_knows, over_forgets))
