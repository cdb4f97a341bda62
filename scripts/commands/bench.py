"""make bench: compare the speed of training and unlearning with the hardware's limit; results/bench.md and bench.csv.

make bench                                        everything, on the CPU with one thread and on CUDA if there is any
make bench ARGS="--device cuda --model resnet20"  narrowed
make bench ARGS=--slots                           one part: --training, --unlearning, --workflow, --growth, --slots
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from benches.methods import measure_unlearning
from benches.report import render_report
from benches.setting import MODELS, Setting
from benches.slots import measure_slots
from benches.training import measure_training
from benches.workflow import measure_growth, measure_workflow
from commands import run, tells_mistakes
from unlearning.files import write_csv, write_text

MEASURES = {
    "training": (measure_training, "the training loop beside the bare step and a conventional loop"),
    "unlearning": (measure_unlearning, "the unlearning loop beside each method's bare step"),
    "slots": (measure_slots, "unlearning jobs that run at the same time"),
    "workflow": (measure_workflow, "what a make table on 2 cores spends its processor time on"),
    "growth": (measure_growth, "plans of 600 cells, a million images, many epochs"),
}
PRECISIONS = ("float32", "tf32", "bfloat16")
ON_A_DEVICE = ("training", "unlearning", "slots")


def parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench", description="Measure speed side by side, in one run.")
    parser.add_argument("--device", choices=["cpu", "cuda"], action="append", help="default: each that there is")
    parser.add_argument(
        "--precision", choices=PRECISIONS, action="append", help="default: that of the paper suite's protocol"
    )
    parser.add_argument("--model", choices=MODELS, action="append", help="default: all")
    parser.add_argument(
        "--method", action="append", help="a name under methods of config.yaml; default: those of the paper suite"
    )
    parser.add_argument("--rounds", type=int, default=5, help="how often each measurement is repeated, in turns")
    parser.add_argument("--seconds", type=float, default=3.0, help="the least time of one measurement")
    parser.add_argument("--steps", type=int, default=1, help="the least steps of one measurement")
    parser.add_argument(
        "--default-allocator", action="store_true", help="return freed memory to the kernel, as Python programs do"
    )
    for name, (_, what) in MEASURES.items():
        parser.add_argument(f"--{name}", action="store_true", help=f"measure {what}; default: all of these")
    parsed = parser.parse_args(arguments)
    devices = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
    if "cuda" in (parsed.device or []) and "cuda" not in devices:
        parser.error("--device cuda: torch sees no CUDA device")
    known = Setting.method_names()
    for name in parsed.method or []:
        if name not in known:
            parser.error(f"--method {name}: not in config.yaml, which has {', '.join(known)}")
    parsed.device = parsed.device or devices
    parsed.parts = [name for name in MEASURES if getattr(parsed, name)] or list(MEASURES)
    return parsed


@tells_mistakes
def main() -> int:
    arguments = parse(sys.argv[1:])
    rows, results = [], Path("results")
    try:
        for row in measure(arguments):
            print(*row.values(), file=sys.stderr, flush=True)
            rows.append(row)
    finally:
        write_csv(results / "bench.csv", rows)  # rows measured before an error are kept too
    write_text(results / "bench.md", render_report(rows))
    print(f"{results / 'bench.md'} and bench.csv are written")
    return 0


def measure(arguments: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Yield the rows of bench.csv."""
    for device in arguments.device:
        for number, precision in enumerate(arguments.precision or [None]):
            setting = Setting.of(arguments, torch.device(device), precision)
            for name in arguments.parts:
                if name in ON_A_DEVICE or (device == arguments.device[0] and number == 0):
                    for row in MEASURES[name][0](setting):
                        yield {"part": name} | row


if __name__ == "__main__":
    run(main)
