"""The job's own clock: how its processor time is divided."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

PARTS = ("start-up", "imports", "files", "training", "evaluation", "other")
""""start-up": Python, Snakemake's preamble and imports before this library. "files": reading and writing files."""


class Clock:
    """Processor seconds of this process, with all its threads, by part. One part runs at a time."""

    def __init__(self) -> None:
        self.part, self.since = "start-up", 0.0  # `time.process_time` counts from the start of the process
        self.seconds = dict.fromkeys(PARTS, 0.0)

    def switch(self, part: str) -> str:
        """Let ``part`` run from now on, and return the part that ran before."""
        now, before = time.process_time(), self.part
        self.seconds[before] += now - self.since
        self.part, self.since = part, now
        return before

    def __str__(self) -> str:
        """Return the last line of a job's log, e.g. "start-up 0.10, imports 1.02, ..."."""
        self.switch(self.part)
        return ", ".join(f"{part} {seconds:.2f}" for part, seconds in self.seconds.items())


CLOCK = Clock()


@contextmanager
def spent_on(part: str) -> Iterator[None]:
    """Count the block, or the decorated function, to ``part``, except for time that it counts to other parts itself."""
    before = CLOCK.switch(part)
    try:
        yield
    finally:
        CLOCK.switch(before)
