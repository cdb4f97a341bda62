"""An audit of an evaluation: can its checks tell a model that erased a class from models that did not?

The audit judges the checks, not the methods. On each benchmark the outcome of three rows is known:

- `retrain`, the oracle, never saw the class: it has to pass every check.
- `original` still has the class: it has to fail every check.
- `head_mask` has the class in its features and only hides it in the output: it has to fail the checks that look at
  features. It may pass the checks that look at outputs alone.

A check that `original` passes has no power on this benchmark: if a method passes it, that shows nothing. So has a check
of features that `head_mask` passes. A check that the oracle fails is wrong, or too noisy, on this benchmark.

What "passes" means is a convention of this project, no test of significance. A row passes if its distance to the oracle
of the same seed, averaged over the seeds, is within a tolerance: `LEAST_SHARE` (for epochs `LEAST_EPOCHS`), or, if that
is more, the largest difference between the oracles of two seeds: no method has to be nearer to the oracle than a second
oracle is. The oracle itself is judged by the other seeds (`held_out`): it must not lie on the side of `original`.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import combinations

import pandas

from unlearning.tables.blocks import LEGEND as READING
from unlearning.tables.blocks import WARNING, Block, Grid, Heading, Words
from unlearning.tables.cells import ORACLE, ORIGINAL
from unlearning.tables.intervals import ROUNDING
from unlearning.tables.markdown import markdown_table

HEAD_MASK = "head_mask"
ROWS = (ORACLE, ORIGINAL, HEAD_MASK)

OUTPUT, FEATURES = "output", "features"
"""What a check looks at. FEATURES: anything that a mask on the logit of the class leaves as it is."""

LEAST_SHARE = 0.1
"""Least tolerance of a share, and of a divergence in bits. Oracles of few seeds may agree by chance, and the digits
have about 45 test images per class: the difference of two accuracies near one half has a standard error of .1 there. A
class that is still known is at a distance near 1."""

LEAST_EPOCHS = 2.0
"""Least tolerance of a number of epochs. It is a whole number, and may move by one step in each of the two models."""

OK = "ok"
ORACLE_FAILS = "the oracle fails"
NO_POWER = "no power: {row} passes"
NOT_JUDGED = "not judged: no {row}"


@dataclass(frozen=True)
class Check:
    """A column of metrics.csv that says how a model stands to the oracle.

    ``sees`` is OUTPUT or FEATURES. A column that is itself a distance to the oracle of the same seed has ``ideal``, its
    value for the oracle. ``least`` is the least tolerance, in the unit of the column.
    """

    metric: str
    sees: str
    ideal: float | None = None
    least: float = LEAST_SHARE


CHECKS = (
    Check("forget_acc", OUTPUT),
    Check("forget_train_acc", OUTPUT),
    Check("js_to_oracle", OUTPUT, ideal=0.0),
    Check("routing_tv", OUTPUT, ideal=0.0),
    Check("mean_abs_gap", OUTPUT, ideal=0.0),
    Check("tow", OUTPUT, ideal=1.0),
    Check("ulira_auc", OUTPUT),
    Check("ulira_class_auc", OUTPUT),
    Check("probe_acc", FEATURES),
    Check("prototype_acc_10", FEATURES),
    Check("few_shot_probe_acc", FEATURES),
    Check("class_mean_acc", FEATURES),
    Check("forget_logit_auc", FEATURES),
    Check("relearn_epochs", FEATURES, least=LEAST_EPOCHS),
)
"""All checks, in the order of the audit. A check whose column is absent or empty is left out, and named."""


@dataclass(frozen=True)
class Entry:
    """The outcome of one row in one check. ``distance``, in the unit of the metric, decides whether it ``passes``."""

    distance: float
    passes: bool


@dataclass(frozen=True)
class Finding:
    """One check on one benchmark: the outcome of each row (None: not judged), the tolerance, the verdict."""

    check: Check
    entries: dict[str, Entry | None]
    tolerance: float
    verdict: str

    def is_unexpected(self, row: str) -> bool:
        """Return whether the outcome of ``row`` is known beforehand, and is another one."""
        entry = self.entries[row]
        expected = expected_to_pass(row, self.check)
        return entry is not None and expected is not None and entry.passes is not expected


@dataclass(frozen=True)
class Audit:
    """The audit of one benchmark. ``left_out`` names the checks without values, ``seeds`` the seeds with an oracle."""

    benchmark: str
    seeds: list[int]
    findings: list[Finding] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)

    def problems(self) -> list[str]:
        """Return why the checks of this benchmark, as a whole, cannot tell erasure: one sentence each, or none."""
        if not self.seeds:
            return [f"there is no row {ORACLE} that is ok, and nothing to compare with"]
        found = [
            f"the oracle fails {finding.check.metric}: the one of a seed is nearer to {ORIGINAL} than to the others"
            for finding in self.findings
            if finding.verdict == ORACLE_FAILS and finding.check.sees == OUTPUT
        ]
        of_features = [finding for finding in self.findings if finding.check.sees == FEATURES]
        masked = [entry for finding in of_features if (entry := finding.entries[HEAD_MASK]) is not None]
        if not masked:
            found.append(
                f"no check of features has a value for {HEAD_MASK}; add {HEAD_MASK} to the methods of the suite"
            )
        elif all(finding.verdict != OK for finding in of_features):
            names = ", ".join(finding.check.metric for finding in of_features)
            found.append(f"no check of features tells {HEAD_MASK}, which erases nothing, from the oracle ({names})")
        return found


def expected_to_pass(row: str, check: Check) -> bool | None:
    """Return whether ``row`` has to pass ``check`` (True), has to fail it (False), or may do either (None)."""
    if row == HEAD_MASK and check.sees == OUTPUT:
        return None
    return row == ORACLE


def audits_of(cells: pandas.DataFrame, floor: pandas.DataFrame | None = None) -> list[Audit]:
    """Return the audit of each benchmark in ``cells``, the rows of metrics.csv.

    ``floor`` holds the rows of floor.csv, if there: how far the oracles of two seeds are from each other in the metrics
    that are distances to the oracle (columns benchmark, metric, mean, furthest).
    """
    return [_audit(str(benchmark), its, floor) for benchmark, its in cells.groupby("benchmark", sort=False)]


def _audit(benchmark: str, cells: pandas.DataFrame, floor: pandas.DataFrame | None) -> Audit:
    cells = cells[(cells["status"] == OK) & cells["method"].isin(ROWS)]
    audit = Audit(benchmark, sorted(int(seed) for seed in cells.loc[cells["method"] == ORACLE, "seed"]))
    for check in CHECKS:
        values = _values(cells, check.metric)
        if values[ORACLE].notna().any():
            audit.findings.append(_finding(check, values, _floor_of(check, benchmark, floor)))
        else:
            audit.left_out.append(check.metric)
    return audit


def _values(cells: pandas.DataFrame, metric: str) -> pandas.DataFrame:
    """Return the values of a metric, one row per seed, one column for each of ROWS; missing values are NaN."""
    if metric not in cells:
        return pandas.DataFrame(columns=list(ROWS), dtype=float)
    return cells.pivot(index="seed", columns="method", values=metric).reindex(columns=list(ROWS)).astype(float)


def _floor_of(check: Check, benchmark: str, floor: pandas.DataFrame | None) -> float:
    """Return how far the oracle of another seed is from the ideal value of a distance, at most; 0 if not known."""
    if floor is None or check.ideal is None:
        return 0.0
    rows = floor[(floor["benchmark"] == benchmark) & (floor["metric"] == check.metric)]
    far = (rows[["mean", "furthest"]] - check.ideal).abs().max(axis=None)
    return 0.0 if rows.empty or pandas.isna(far) else float(far)


def _finding(check: Check, values: pandas.DataFrame, floor: float) -> Finding:
    oracles = [float(value) for value in values[ORACLE].dropna()] if check.ideal is None else []
    tolerance = max(check.least, largest_difference(oracles), floor)
    originals = values[ORIGINAL].mean()
    entries = {ORACLE: held_out(oracles, float(originals), check.least)} | {
        row: _entry(values[row] - (values[ORACLE] if check.ideal is None else check.ideal), tolerance)
        for row in (ORIGINAL, HEAD_MASK)
    }
    return Finding(check, entries, tolerance, verdict_of(check, entries))


def _entry(differences: pandas.Series, tolerance: float) -> Entry | None:
    distance = float(differences.abs().mean())
    return None if pandas.isna(distance) else Entry(distance, distance <= tolerance + ROUNDING)


def largest_difference(values: Sequence[float]) -> float:
    """Return the largest difference between two of ``values``; 0 for fewer than two."""
    return max((abs(one - other) for one, other in combinations(values, 2)), default=0.0)


def held_out(oracles: Sequence[float], original: float, least: float) -> Entry | None:
    """Return how the oracles pass if each in turn is judged by the others; None for fewer than two, or no ``original``.

    ``original`` is the mean of the original models. An oracle fails if it is more than ``least`` away from the mean of
    the others, and nearer to ``original`` than to them: as far as the check tells, it has the class. All have to pass;
    the distance is the largest.
    """
    outcomes = []
    for index, value in enumerate(oracles):
        others = [*oracles[:index], *oracles[index + 1 :]]
        if others and not math.isnan(original):
            distance = abs(value - sum(others) / len(others))
            passes = distance <= max(least, abs(value - original)) + ROUNDING
            outcomes.append(Entry(distance, passes))
    if not outcomes:
        return None
    return Entry(max(outcome.distance for outcome in outcomes), all(outcome.passes for outcome in outcomes))


def verdict_of(check: Check, entries: dict[str, Entry | None]) -> str:
    """Return what the outcomes say about the check. The first reason counts: oracle, original, head_mask."""
    oracle = entries[ORACLE]
    if oracle is not None and not oracle.passes:
        return ORACLE_FAILS
    for row in (ORIGINAL, HEAD_MASK):
        entry = entries[row]
        if expected_to_pass(row, check) is False:
            if entry is None:
                return NOT_JUDGED.format(row=row)
            if entry.passes:
                return NO_POWER.format(row=row)
    return OK


LEGEND = (
    f"Expected: {ORACLE} passes every check, {ORIGINAL} fails every check, and {HEAD_MASK}, which erases nothing, "
    "fails the checks of features; it may pass those of the output. A ! marks an entry that is not as expected. The "
    "number is the distance to the oracle of the same seed, averaged over seeds, which passes within the tolerance; "
    f"for {ORACLE}, it is the largest distance of one seed to the mean of the others, and it must not be nearer to "
    f"{ORIGINAL}. A dash: not judged."
)
TITLES = ["check", "looks at", ORACLE, ORIGINAL, HEAD_MASK, "tolerance", "verdict"]


def render_audits(audits: Sequence[Audit]) -> str:
    """Return the audits as text of at most 120 characters per line: per benchmark a table and a summary line."""
    return "\n\n".join([_wrapped(LEGEND), *("\n\n".join(_parts(audit)) for audit in audits)])


def audit_blocks(audits: Sequence[Audit]) -> list[Block]:
    """Return the audits as a page."""
    blocks: list[Block] = [Heading("Can the checks tell erasure?", 1), Words(LEGEND, READING)]
    for audit in audits:
        blocks.append(Heading(audit.benchmark))
        blocks += [Words(problem, WARNING) for problem in audit.problems()]
        blocks.append(Grid("Checks", TITLES, [_line(finding) for finding in audit.findings], texts=2))
        blocks += [Words(note) for note in (*_notes(audit), _summary(audit))]
    return blocks


def _wrapped(text: str) -> str:
    return textwrap.fill(text, 120, break_on_hyphens=False)


def _parts(audit: Audit) -> Iterator[str]:
    yield f"## {audit.benchmark}"
    if audit.findings:
        yield markdown_table([_line(finding) for finding in audit.findings], TITLES, len(TITLES))
    yield from map(_wrapped, _notes(audit))
    yield "\n".join([_summary(audit), *(_wrapped(f"FAIL: {problem}") for problem in audit.problems())])


def _notes(audit: Audit) -> Iterator[str]:
    """Yield sentences about what was not judged."""
    if audit.left_out and audit.seeds:
        yield f"Left out, because the table has no values: {', '.join(audit.left_out)}."
    if len(audit.seeds) == 1:
        yield "One seed: the oracle itself is not judged, and the tolerance is the least."


def _summary(audit: Audit) -> str:
    good = sum(finding.verdict == OK for finding in audit.findings)
    return f"{good} of {len(audit.findings)} checks do what they should"


def _line(finding: Finding) -> list[str]:
    entries = [_shown(finding, row) for row in ROWS]
    return [finding.check.metric, finding.check.sees, *entries, f"{finding.tolerance:.3f}", finding.verdict]


def _shown(finding: Finding, row: str) -> str:
    entry = finding.entries[row]
    if entry is None:
        return "–"
    mark = " !" if finding.is_unexpected(row) else ""
    return f"{'pass' if entry.passes else 'FAIL'} {entry.distance:.3f}{mark}"
