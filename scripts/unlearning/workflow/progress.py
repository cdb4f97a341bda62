"""The progress of a run: the finished jobs, according to Snakemake, and the logs of the running jobs."""

from __future__ import annotations

import csv
import re
import subprocess  # nosec B404: Snakemake, with arguments of our own
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from unlearning.errors import UserError
from unlearning.paths import RESULTS
from unlearning.watched_code import SCRIPTS
from unlearning.workflow.cluster import jobs_of
from unlearning.workflow.workspace import is_free, may_be_alive

TABLE, CALIBRATION = f"{RESULTS}/table.md", f"{RESULTS}/calibration.md"
SNAKEFILE = SCRIPTS.parent / "workflow" / "Snakefile"

ENDS = DONE, ERROR, STOPPED = (": done in ", "error in ", "stopped in ")
"""Texts in the last line of an ended job's log."""

OF_BAR = re.compile(r"(?P<done>\d+)/(?P<all>\d+) \[[^<\]]*<(?P<left>[\d:]+)")
"""tqdm's bar in a line of a log, e.g. " 88%|####7 | 70/80 [21:16<20:24, 122.47s/epoch, train_loss=0.0740]"."""


@dataclass(frozen=True)
class PlannedJob:
    """A job behind a report: its rule, its outputs, and whether they are there and up to date."""

    rule: str
    outputs: tuple[str, ...]
    is_done: bool


def planned_jobs(arguments: Sequence[str], report: str = TABLE) -> list[PlannedJob]:
    """Return the jobs behind ``report`` in a run of Snakemake with ``arguments``; nothing is locked or changed.

    Raises UserError with Snakemake's message if Snakemake refuses the arguments.
    """
    command = [sys.executable, "-m", "snakemake", report, "--snakefile", str(SNAKEFILE), "--cores", "1", "--summary"]
    done = subprocess.run([*command, *arguments], capture_output=True, text=True)  # nosec B603
    if done.returncode != 0:
        lines = (done.stdout + done.stderr).strip().splitlines()
        errors = [line for line in lines if line.startswith("error: ")] or lines[-1:]
        raise UserError(errors[0].removeprefix("error: ") if errors else "snakemake --summary failed")
    outputs: dict[tuple[str, str], list[str]] = {}
    pending = set()
    for row in csv.DictReader(done.stdout.splitlines(), delimiter="\t"):
        key = (row["rule"], str(Path(row["output_file"]).parent))
        outputs.setdefault(key, []).append(row["output_file"])
        if row["plan"] != "no update":
            pending.add(key)
    return [PlannedJob(key[0], tuple(files), key not in pending) for key, files in outputs.items()]


def finished_files(jobs: Iterable[PlannedJob]) -> set[str]:
    """Return the outputs of the jobs that are done."""
    return {file for job in jobs if job.is_done for file in job.outputs}


@dataclass(frozen=True)
class Running:
    """The state of a running job: epochs done, all epochs, seconds left. None: the log does not say."""

    done: int | None = None
    epochs: int | None = None
    seconds_left: float | None = None

    def __str__(self) -> str:
        if self.epochs is None:
            return "running"
        left = f", {duration(self.seconds_left)} left" if self.seconds_left is not None else ""
        return f"epoch {self.done} of {self.epochs}{left}"


def owner() -> str | None:
    """Return "PROCESS on HOST" of the run that has locked the results, or None if there is none.

    Where the file system has no locks between machines, a run on another machine counts as alive.
    """
    lock = Path(RESULTS) / ".lock"
    text = lock.read_text(encoding="utf-8").strip() if lock.exists() else ""
    is_run = text.partition(" on ")[0].isdecimal() and not is_free(lock) and may_be_alive(text, lock.stat().st_mtime)
    return text if is_run else None


def lines_of(log: Path) -> list[str]:
    """Return the lines of a job's ``log``, none if the job is not of the last run."""
    lock = Path(RESULTS) / ".lock"
    if not log.exists() or not lock.exists() or log.stat().st_mtime < lock.stat().st_mtime:
        return []
    return log.read_text(encoding="utf-8", errors="replace").splitlines()


def failure_in(log: Path, is_over: bool = True) -> str | None:
    """Return why the job with this ``log`` did not end well in the last run; None if it did, or was stopped.

    If the run ``is_over``, a job whose log has no end ended without a word; until then, it may still run.
    """
    last = "".join(lines_of(log)[-1:])
    if last.startswith(ERROR):
        return last.removeprefix(ERROR)
    has_end = not last or DONE in last or last.startswith(STOPPED)
    return f"ended without a word: see {log}" if is_over and not has_end else None


def is_going_on() -> bool:
    """Return whether a run is going on, or jobs of one that was killed still run on a cluster."""
    return owner() is not None or bool(jobs_of(Path.cwd()))


def failures() -> list[str]:
    """Return why jobs of the last run did not end well, each once; none while it is going on, or if all did."""
    lock = Path(RESULTS) / ".lock"
    ended_well = not lock.exists() or not lock.read_text(encoding="utf-8").strip()
    logs = [] if ended_well or is_going_on() else sorted(Path(RESULTS).rglob("*.log"))
    return list(dict.fromkeys(why for log in logs if (why := failure_in(log)) is not None))


def running(log: Path, now: float | None = None) -> Running | None:
    """Return the state of the job with this ``log``, or None if it does not run or belongs to an earlier run."""
    lines = lines_of(log)
    if not lines or any(end in lines[-1] for end in ENDS):
        return None
    bars = [match for line in lines if (match := OF_BAR.search(line))]
    if not bars:
        return Running()
    last, age = bars[-1], (time.time() if now is None else now) - log.stat().st_mtime
    seconds = 0.0
    for part in last["left"].split(":"):
        seconds = 60 * seconds + int(part)
    return Running(int(last["done"]), int(last["all"]), max(0.0, seconds - age))


def duration(seconds: float) -> str:
    """Return e.g. "45 s", "12 min" or "3.4 h"."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
