"""The paragraphs above the blocks of the comparison table, which say how to read them."""

from __future__ import annotations

import textwrap

import pandas

from unlearning.config.model import EXTERNAL
from unlearning.tables.classes import ANY_CLASS
from unlearning.tables.columns import COLUMN
from unlearning.tables.intervals import LEAST_FOR_A_SIGN, LEAST_FOR_AN_INTERVAL, SIGNIFICANT
from unlearning.tables.limits import FOUND, LEAST_KEPT, MORE_THAN_ORACLE, STILL_KNOWN
from unlearning.tables.markdown import WIDTH
from unlearning.tables.numbers import Numbers

PRIMARY, GAP, SETTINGS = COLUMN["unlearn_score"], COLUMN["mean_abs_gap"], COLUMN["settings"]
LEVEL, OTHER_DEVICE, OVER_FORGETS = "≈", "†", "‡"


def legend(numbers: Numbers, seeds: int) -> list[str]:
    """Return the paragraphs for a table with this number of ``seeds``, wrapped to the width of the table."""
    has_pooled = bool(numbers.summary["benchmark"].str.endswith(ANY_CLASS).any())
    parts = [_ranking(seeds, has_pooled), _floor(numbers), _rest(numbers, seeds)]
    return [textwrap.fill(part, WIDTH) for part in [*parts, *([OF_ALL] if has_pooled else [])]]


OF_ALL = (
    "Blocks of all classes (class*): mean (standard deviation) over classes and seeds. Differences there are paired by "
    "class, and their intervals and signs are over the classes, not over trainings."
)


def _ranking(seeds: int, has_pooled: bool) -> str:
    if seeds == 1:
        spread = f"One seed: a mean{' of one class' * has_pooled} has no spread, a difference no test."
    elif seeds < LEAST_FOR_AN_INTERVAL:
        spread = f"Mean (smallest – largest) of {seeds} seeds."
    else:
        spread = f"Mean (95 % Student interval, within the metric's bounds) over {seeds} seeds."
    return (
        f"{spread} (SE …): DeLong's standard error over draws of images, which all seeds share. *original*: the model "
        "before unlearning. *References* and *controls* are not methods and are not ranked. **Bold**: the best method "
        f"of a column, among the methods that forget (forget_acc at most {_short(STILL_KNOWN)} above *retrain*'s), "
        f"keep the rest (retain_acc at least {LEAST_KEPT} of *original*'s) and do not over-forget. {OVER_FORGETS}: "
        f"over-forgets: the attack turned around, 1 − AUC, reaches {_short(FOUND)}, and {_short(MORE_THAN_ORACLE)} "
        "more than with *retrain*. In the columns of the AUC nothing is bold: the lowest AUC is not the best. ↑: "
        "higher is better; ↓: lower is better; →: compare with *retrain*, which never saw the class."
    )


def _short(share: float) -> str:
    """Return a share without the zero before its point."""
    return f"{share:g}".removeprefix("0")


def _floor(numbers: Numbers) -> str:
    gap = f"{GAP.label}: the mean distance to *retrain* in retain_acc, forget_acc and forget_mia_auc."
    if numbers.floor.empty:
        return (
            "There is no more than one *retrain*, so nothing says which distances to it are noise, and none is bold. "
            f"{gap}"
        )
    return (
        "The rows *retrain*, other seed, and *retrain*, furthest, are the noise floor: the mean and the largest "
        f"distance between the oracles of two seeds. {LEVEL}: not further from *retrain* than that; where this holds "
        "for a method that is compared, no method is nearest, and none is bold. × floor: the gap divided by the mean "
        f"of the floor. {gap}"
    )


def _rest(numbers: Numbers, seeds: int) -> str:
    tests = numbers.comparisons[numbers.comparisons["metric"] == PRIMARY.name]
    parts = [_tests(tests.dropna(subset="p_holm"), seeds)]
    if numbers.comparisons["has_other_device"].any():
        parts.append(f"{OTHER_DEVICE}: the two models were made on different devices.")
    parts.append(
        "Costs: seconds, steps and peak memory of the unlearning, and its seconds divided by those of training the "
        f"oracle; {SETTINGS.label}: where the hyperparameters come from."
    )
    if (numbers.metrics["kind"] == EXTERNAL).any():
        parts.append(
            "*External* models were unlearned by another program, outside of the protocol: they are measured like all "
            "others, but not compared for the best of a column."
        )
    return " ".join([*parts, "Every column is explained in metrics.md."])


def _tests(tests: pandas.DataFrame, seeds: int) -> str:
    """Return how many of the comparisons that were tested have a sign, each pair counted once."""
    if tests.empty:
        why = f"; with fewer than {LEAST_FOR_A_SIGN} seeds they have no sign" if seeds < LEAST_FOR_A_SIGN else ""
        return f"Differences are paired by seed{why}."
    pairs = [(row.benchmark, frozenset((row.method, row.baseline))) for row in tests.itertuples()]
    found = {pair for pair, its in zip(pairs, tests["p_holm"], strict=True) if its < SIGNIFICANT}
    return (
        "Differences are paired by seed, ± half of Student's 95 % interval. ▲ and ▼: over trainings, the difference on "
        "these test images is not zero (what a draw of other images would change comes on top), by the paired t-test "
        "after Holm's correction (5 %) over the comparisons of a benchmark with baselines that have not collapsed "
        f"(retain_acc at least {LEAST_KEPT} of *original*'s): {len(found)} of {len(set(pairs))} have a "
        "sign, each pair counted once."
    )
