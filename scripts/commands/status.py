"""make status: show for each benchmark, method and seed what is done, has failed, runs (and for how long), or waits."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

from tabulate import tabulate

from commands import run, tells_mistakes
from commands.request import Request, add_request, request_of
from unlearning.config.model import Benchmark
from unlearning.files import read_json
from unlearning.paths import CELL, PRETRAINING, cell_at
from unlearning.workflow.progress import Running, failure_in, finished_files, is_going_on, owner, planned_jobs, running

LOGS = {"original": [f"{PRETRAINING}/pretrain.log"], "retrain": [f"{CELL}/retrain.log"]}
"""The logs of the references, by row. For the logs of a method, see `logs_of`."""


@tells_mistakes
def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="make status", description=__doc__)
    add_request(parser)
    print(report(request_of(parser.parse_args(arguments))))
    return 0


def report(request: Request) -> str:
    """Return one grid per benchmark, and one line about all of them."""
    done = finished_files(planned_jobs(request.arguments, request.report))
    alive, is_over, seeds = owner(), not is_going_on(), request.plan.suite.seeds
    states: dict[tuple[str, str], dict[int, str | Running]] = {}
    for cell in map(cell_at, request.cells("metrics.json")):
        benchmark, method, seed = cell["benchmark"], cell["method"], cell["seed"]
        states.setdefault((benchmark, method), {})[seed] = state_of(benchmark, method, seed, done, alive, is_over)
    counts = Counter(kind_of(state) for of_seeds in states.values() for state in of_seeds.values())
    blocks = []
    for benchmark in dict.fromkeys(benchmark for benchmark, _ in states):
        rows = [
            [method, *(of_seeds.get(seed, "") for seed in seeds)]
            for (its, method), of_seeds in states.items()
            if its == benchmark
        ]
        blocks.append(f"{benchmark}\n\n{tabulate(rows, ['', *(f'seed {seed}' for seed in seeds)])}")
    kinds = ", ".join(f"{count} {kind}" for kind, count in counts.items())
    run = f"a run is going on (process {alive})" if alive else "no run is going on"
    return "\n\n".join([*blocks, f"{sum(counts.values())} cells: {kinds}; {run}"])


def state_of(benchmark: str, method: str, seed: int, done: set[str], alive: str | None, is_over: bool) -> str | Running:
    """Return the state of a cell: done, failed, diverged or waiting, or the progress of the job that works on it.

    "error": its job did not end well, which is no outcome of a method; make check says why.
    """
    cell = SimpleNamespace(**vars(Benchmark.parse(benchmark)), method=method, seed=seed)
    metrics = f"{CELL}/metrics.json".format(**vars(cell))
    if metrics in done:
        status = read_json(metrics)["status"]
        return "done" if status == "ok" else str(status)
    logs = [*LOGS.get(method, [f"{CELL}/unlearn.log", f"{CELL}/adopt.log"]), f"{CELL}/evaluate.log"]
    for log in reversed(logs if alive else []):
        its = running(Path(log.format(**vars(cell))))
        if its is not None:
            return its
    is_broken = is_over and any(failure_in(Path(log.format(**vars(cell)))) for log in logs)
    return "error" if is_broken else "waiting"


def kind_of(state: str | Running) -> str:
    return "running" if isinstance(state, Running) else state


if __name__ == "__main__":
    run(main, sys.argv[1:])
