"""What the process that runs a workflow does around its jobs: it has the results to itself and leaves when told to."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import signal
from pathlib import Path
from typing import IO

import psutil

from unlearning.errors import UserError

LEAST_FREE_MB = 50


def sees_gpu() -> bool:
    """Return whether this machine has an NVIDIA GPU, by its device files: to ask torch takes seconds."""
    return any(Path("/dev").glob("nvidia[0-9]*"))


def check_room(results: Path) -> None:
    """Raise UserError if nothing can be written to ``results``, or if its disk is all but full."""
    folder = results if results.exists() else results.absolute().parent
    if not os.access(folder, os.W_OK | os.X_OK):
        raise UserError(f"{folder}: nothing can be written there; make it writable (nothing was changed)")
    free_mb = shutil.disk_usage(folder).free / 1e6
    if free_mb < LEAST_FREE_MB:
        raise UserError(f"{folder}: the disk is full ({free_mb:.0f} MB free); make room, at least {LEAST_FREE_MB} MB")


def claim(results: Path) -> IO[str]:
    """Return the locked file ``results/.lock``; the folder is this process's for as long as the file is open.

    The kernel frees the lock when the process ends, however it ends: nothing has to be unlocked after a kill. Raises
    UserError if another run has it.
    """
    results.mkdir(parents=True, exist_ok=True)
    file = (results / ".lock").open("a+")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):  # a file system without locks
            return file
        file.seek(0)
        process = file.read().strip() or "unknown"
        raise UserError(
            f"{results}: another run (process {process}) is writing there; wait for its end, or end it"
        ) from None
    file.truncate(0)
    file.write(f"{os.getpid()} on {os.uname().nodename}\n")
    file.flush()
    return file


def remove_partial_files(results: Path) -> None:
    """Remove what killed jobs left half written: files that no rule reads, under names of `files.whole_file`."""
    for partial in results.rglob(".*.partial"):
        partial.unlink(missing_ok=True)


def end_jobs_with_me() -> None:
    """On SIGTERM, end the jobs as well; Snakemake would wait for them, longer than whoever sends it does."""
    snakemakes = signal.getsignal(signal.SIGTERM)

    def leave(*arguments) -> None:
        if callable(snakemakes):
            snakemakes(*arguments)
        for child in psutil.Process().children(recursive=True):
            child.terminate()

    signal.signal(signal.SIGTERM, leave)
