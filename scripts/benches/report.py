"""results/bench.md, from the rows of bench.csv: medians with their spread, and ratios within a round."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from statistics import median
from typing import Any

from benches import methods, slots, training
from benches.setting import MODELS, config
from unlearning.clocks import PARTS
from unlearning.tables.markdown import markdown_table

Row = Mapping[str, Any]

IMAGES = {"cifar10": (50_000, 10_000), "cifar100": (50_000, 10_000), "fmnist": (60_000, 10_000)}
"""Training and test images of the paper suite's data sets."""

INTRODUCTION = """\
# Bench

Measured in turns (A B C A B C ...) in one run, the paper suite's models and batches. Median (smallest – largest) of
{rounds} rounds; a ratio is the median over rounds of what was measured side by side in each.
docs/performance.md says what follows from it."""


def render_report(rows: Sequence[Row]) -> str:
    """Return the report for the rows of bench.csv, whose values are numbers. It shows only what was measured."""
    rounds = len({row["round"] for row in rows if row.get("round") not in (None, "")})
    parts = [INTRODUCTION.format(rounds=rounds or 1)]
    for name, render in SECTIONS.items():
        of_part = [row for row in rows if row["part"] == name]
        for where in dict.fromkeys(_where(row) for row in of_part):
            parts += [f"## {TITLES[name]}", where, *render([row for row in of_part if _where(row) == where])]
    return "\n\n".join(parts) + "\n"


def _where(row: Row) -> str:
    return f"{row['device']} · {row['precision']} · torch {row['torch']}"


def _values(rows: Sequence[Row], **wanted: str) -> list[float]:
    return [float(row["value"]) for row in rows if all(row[key] == value for key, value in wanted.items())]


def _spread(values: Sequence[float]) -> str:
    """Return e.g. "351 (349 – 356)"."""
    decimals = 0 if median(values) >= 100 else 1 if median(values) >= 10 else 2
    shown = f"{median(values):,.{decimals}f}"
    if len(values) == 1:
        return shown
    return f"{shown} ({min(values):,.{decimals}f} – {max(values):,.{decimals}f})"


def _ratio(values: Sequence[float], others: Sequence[float]) -> str:
    return f"{median(a / b for a, b in zip(values, others, strict=True)):.3f}"


def _training(rows: Sequence[Row]) -> list[str]:
    loops = (training.BARE_DEFAULT, training.BARE, training.OURS, training.CONVENTIONAL)
    table, shares = [], []
    for model in dict.fromkeys(row["model"] for row in rows):
        rates = {what: _values(rows, model=model, what=what) for what in (*loops, training.EVALUATION)}
        ratios = [_ratio(rates[training.OURS], rates[other]) for other in loops if other != training.OURS]
        table.append([model, *(_spread(rates[loop]) for loop in loops), *ratios])
        train_images, test_images = IMAGES[MODELS[model]]
        every = config().protocols["paper"].pretrain["evaluate_every"]
        evaluating = test_images / median(rates[training.EVALUATION])
        share = evaluating / (evaluating + every * train_images / median(rates[training.OURS]))
        shares.append(f"{model} {share:.1%}")
    titles = ["images/s", *loops, "ours / bare, default", "ours / bare, ours", "ours / conventional"]
    return [
        markdown_table(table, titles),
        f"Share of the time that the test accuracy of every {every}th epoch takes: {', '.join(shares)}.",
    ]


def _unlearning(rows: Sequence[Row]) -> list[str]:
    table = []
    for model, method in dict.fromkeys((row["model"], row["method"]) for row in rows):
        bare, loop = (_values(rows, model=model, method=method, what=what) for what in (methods.BARE, methods.LOOP))
        table.append([model, method, _spread(bare), _spread(loop), _ratio(loop, bare)])
    return [markdown_table(table, ["model", "method", "bare steps/s", "our loop's steps/s", "loop / bare"], texts=2)]


def _slots(rows: Sequence[Row]) -> list[str]:
    table = []
    for model in dict.fromkeys(row["model"] for row in rows):
        rates = {number: _values(rows, model=model, what=str(number)) for number in slots.SLOTS}
        table += [[model, str(number), _spread(rate), _ratio(rate, rates[1])] for number, rate in rates.items()]
    return [markdown_table(table, ["model", "jobs at a time", "steps/s together", "of one job"])]


def _workflow(rows: Sequence[Row]) -> list[str]:
    (wall,), (total,) = (_values(rows, model="", what=what) for what in ("wall clock", "processor"))
    seconds = {(row["model"], row["what"]): float(row["value"]) for row in rows if row["model"]}
    names = list(dict.fromkeys(name for name, _ in seconds))
    of_rules = {name: {part: seconds.get((name, part), 0.0) for part in PARTS} for name in sorted(names)}
    table = [[name, *_parts(its.__getitem__)] for name, its in of_rules.items()]
    sums = {part: sum(seconds.get((name, part), 0.0) for name in names) for part in PARTS}
    table.append(["all", *_parts(sums.__getitem__)])
    useful = sums["training"] + sums["evaluation"]
    return [
        f"Wall clock {wall:.0f} s; processor {total:.0f} s, {total / useful:.2f} times training and evaluation.",
        markdown_table(table, ["processor seconds", *PARTS, "sum"]),
    ]


def _parts(seconds_of: Callable[[str], float]) -> list[str]:
    values = [seconds_of(part) for part in PARTS]
    return [f"{value:.1f}" for value in (*values, sum(values))]


def _growth(rows: Sequence[Row]) -> list[str]:
    return [
        markdown_table([[row["what"], f"{float(row['value']):,.0f} {row['unit']}"] for row in rows], ["what", "takes"])
    ]


TITLES = {
    "training": "Training",
    "unlearning": "Unlearning",
    "slots": "Jobs that share a device",
    "workflow": "A make table of the digits suite",
    "growth": "Growth",
}
SECTIONS = {
    "training": _training,
    "unlearning": _unlearning,
    "slots": _slots,
    "workflow": _workflow,
    "growth": _growth,
}
