"""What a run prints while it goes on: each finished cell with its result, and how far the run is."""

from __future__ import annotations

import contextlib
import csv
import json
import logging
import shutil
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

from unlearning.workflow.progress import duration

TRAININGS = ("pretrain", "retrain", "train_shadow")
"""The rules that take long and have no row in the table: they are named when they are finished."""
SHOWN = ("retain_acc", "forget_acc", "forget_mia_auc", "unlearn_score")
CELL = "evaluate"
"""The rule that makes the result of a cell."""
QUICK = 1.0
"""Seconds of work per core that are left when no time is shown any more."""


Kind = tuple[str, str | None]
"""A rule and a model, if the rule has one."""


@dataclass(frozen=True)
class Work:
    """A job as a person knows it: its rule, the wildcards, and the file with its result, if it has one."""

    rule: str
    wildcards: Mapping[str, str] = field(default_factory=dict)
    result: str | None = None

    def __str__(self) -> str:
        name = f"{self.rule} {self.wildcards['method']}" if "method" in self.wildcards else self.rule
        return " · ".join([name, *self.place()])

    def place(self) -> list[str]:
        """Return the benchmark and the seed, as far as the job belongs to one."""
        parts = [self.wildcards[key] for key in ("model", "dataset") if key in self.wildcards]
        parts += [f"class{self.wildcards['forget_class']}"] if "forget_class" in self.wildcards else []
        seed = [f"seed {self.wildcards['seed']}"] if "seed" in self.wildcards else []
        return (["-".join(parts)] if parts else []) + seed

    @property
    def kind(self) -> Kind:
        """What takes about equally long: the rule, on the same model."""
        return self.rule, self.wildcards.get("model")


class Progress:
    """The state of a run: which jobs wait, run and are finished, and how long they take.

    It counts as jobs start and finish: to look at all jobs after each of them takes minutes in a run of many thousands.
    """

    def __init__(self, jobs: Mapping[int, Work], now: float):
        self.jobs, self.began = dict(jobs), now
        self.running: dict[int, float] = {}
        self.finished: set[int] = set()
        self.left = Counter(work.kind for work in self.jobs.values())
        self.done: Counter[Kind] = Counter()
        self.seconds: defaultdict[Kind, float] = defaultdict(float)
        self.cells = sum(work.rule == CELL for work in self.jobs.values())
        self.cells_finished = 0

    def start(self, numbers: Iterable[int], now: float) -> None:
        """Note that the jobs with these numbers start at ``now`` (seconds). A job that is tried again starts anew."""
        self.running.update((number, now) for number in numbers if number in self.jobs)

    def finish(self, number: int, now: float) -> tuple[Work, float] | None:
        """Note that a job is finished at ``now``. Return it with its seconds, or None if it was not planned."""
        work, seconds = self.jobs.get(number), now - self.running.pop(number, now)
        if work is None or number in self.finished:
            return None
        self.finished.add(number)
        self.left -= Counter([work.kind])
        self.done[work.kind] += 1
        self.seconds[work.kind] += seconds
        self.cells_finished += work.rule == CELL
        return work, seconds

    def seconds_left(self, now: float) -> float | None:
        """Return about how many seconds the run still takes, or None as long as no job of some kind is finished."""
        if not self.done or any(kind not in self.done for kind in self.left if kind[1] is not None):
            return None
        known = [kind for kind in self.left if kind in self.done]
        work_left = sum(self.left[kind] * self.seconds[kind] / self.done[kind] for kind in known)
        at_once = sum(self.seconds.values()) / max(now - self.began, 1e-9)
        return work_left / max(at_once, 1.0)

    def line(self, now: float) -> str:
        """Return e.g. "12 of 87 jobs, 4 of 27 cells, 3 min left: unlearn scrub · resnet20-digits-class0 · seed 43"."""
        said = [f"{len(self.finished)} of {len(self.jobs)} jobs"]
        said += [f"{self.cells_finished} of {self.cells} cells"] if self.cells else []
        left = self.seconds_left(now)
        said += [f"{duration(left)} left"] if left is not None and left >= QUICK else []
        last = next(reversed(self.running), None)  # the one that began last
        now_at = f": {self.jobs[last]}" if last is not None else ""
        more = f" and {len(self.running) - 1} more" if len(self.running) > 1 else ""
        return ", ".join(said) + now_at + more


def result_of(work: Work, seconds: float) -> str | None:
    """Return one line about a finished job that a person waits for: a training or a cell. None: about no other."""
    if work.rule in TRAININGS:
        return f"{work}: {duration(seconds)}"
    if work.rule != CELL or work.result is None:
        return None
    # Not `files.read_json`: what Snakemake's own process imports comes with Snakemake, without NumPy.
    metrics = json.loads(Path(work.result).read_text(encoding="utf-8"))
    name = " · ".join([work.wildcards["method"], *work.place()])
    if metrics["status"] != "ok":
        return f"{name}: {metrics['status']}: {metrics['reason']}"
    return f"{name}: " + ", ".join(f"{key} {metrics[key]:.3f}" for key in SHOWN if metrics.get(key) is not None)


class Watch(logging.Handler):
    """Prints one line for each finished training and cell; on a terminal also a last line that says how far the run is.

    Snakemake's own lines about the same are left out; its warnings and errors are printed as before.
    """

    def __init__(self, jobs: Mapping[int, Work], stream: TextIO):
        super().__init__()
        self.stream, self.is_live = stream, stream.isatty()
        self.progress = Progress(jobs, time.monotonic())
        self._drawn = False

    def emit(self, record: logging.LogRecord) -> None:
        # A result that cannot be read, or a stream that is closed, must not disturb the run.
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            self._show(record, time.monotonic())

    def _show(self, record: logging.LogRecord, now: float) -> None:
        event, told = _event(record), vars(record)
        if event == "job_started":
            self.progress.start(told["jobs"], now)
        elif event == "job_finished":
            finished = self.progress.finish(told["job_id"], now)
            self._tell(result_of(*finished) if finished else None)
        if self.is_live and event in ("job_started", "job_finished"):
            self._draw(self.progress.line(now))

    def _tell(self, line: str | None) -> None:
        if line:
            self.clear()
            print(line, file=self.stream, flush=True)

    def _draw(self, line: str) -> None:
        self.clear()
        self.stream.write(line[: shutil.get_terminal_size().columns - 1])
        self.stream.flush()
        self._drawn = True

    def clear(self) -> None:
        """Take the last line away from the terminal, so that something else can be printed."""
        if self._drawn:
            self.stream.write("\r\033[K")
            self.stream.flush()
            self._drawn = False

    def close(self) -> None:
        self.clear()
        super().close()


def _event(record: logging.LogRecord) -> str | None:
    """Return the name of Snakemake's event, in the words of its plugin interface, e.g. "job_finished"."""
    event = vars(record).get("event")
    return getattr(event, "value", event)


def watch(workflow: Any, stream: TextIO = sys.stderr) -> Watch | None:
    """Print the progress of a run in place of Snakemake's lines about it, and return what prints it.

    Does nothing if the user chose another way: a logger plugin, --quiet progress or --verbose. Called after planning.
    """
    from snakemake.logging import logger
    from snakemake.settings.enums import Quietness

    quiet = set(workflow.output_settings.quiet or ())
    handler = next((its for its in logger.handlers if its.name == "DefaultStreamHandler"), None)
    if handler is None or quiet & {Quietness.ALL, Quietness.PROGRESS} or workflow.output_settings.verbose:
        return None
    shown = Watch({workflow.dag.jobid(job): _work_of(job) for job in workflow.dag.needrun_jobs()}, stream)

    def is_left_to_snakemake(record: logging.LogRecord) -> bool:
        if _event(record) in ("job_started", "job_finished", "progress") or record.msg == "Select jobs to execute...":
            return False
        shown.clear()
        return True

    handler.addFilter(is_left_to_snakemake)
    logger.addHandler(shown)
    return shown


def _work_of(job: Any) -> Work:
    wildcards = dict(job.wildcards_dict)
    return Work(job.rule.name, wildcards, next((file for file in job.output if file.endswith("metrics.json")), None))


def print_closing_words(table: Path, metrics: Path) -> None:
    """Print the last words of a run to stderr, in place of a last line about its progress."""
    from snakemake.logging import logger

    for handler in logger.handlers:
        if isinstance(handler, Watch):
            handler.clear()
    with metrics.open(newline="", encoding="utf-8") as file:
        print(closing_words(table.read_text(encoding="utf-8"), list(csv.DictReader(file))), file=sys.stderr, flush=True)


def closing_words(table: str, cells: Sequence[Mapping[str, str]]) -> str:
    """Return the first block of the ``table``, how many ``cells`` (rows of metrics.csv) are ok, and what is next."""
    sections = table.split("\n## ")[1:]
    block = next(part for part in sections[0].split("\n\n") if part.startswith("|"))
    bad = [cell for cell in cells if cell["status"] != "ok"]
    return "\n".join(
        [
            f"\n{sections[0].splitlines()[0]}\n\n{block}\n",
            "results/table.md: the whole table, with distances and costs",
            f"{len(cells) - len(bad)} of {len(cells)} cells are ok",
            *(f"{cell_in_words(cell)}: {cell['status']}" for cell in bad),
            'next: make audit (can the checks tell a method from the oracle?), make keep ARGS="SUITE results"',
        ]
    )


def cell_in_words(cell: Mapping[str, str]) -> str:
    """Return the name of a cell, a row of metrics.csv, e.g. "scrub on resnet20-digits-class0, seed 42"."""
    return f"{cell['method']} on {cell['benchmark']}, seed {cell['seed']}"
