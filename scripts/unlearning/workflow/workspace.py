"""What the process that runs a workflow does around its jobs: it has the results to itself and leaves when told to."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import shutil
import signal
import subprocess  # nosec B404: a command of our own
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

import psutil

from unlearning.errors import UserError

LEAST_FREE_MB = 50
PATIENCE, BETWEEN_TELLINGS = 20.0, 0.5
"""Seconds."""


def sees_gpu() -> bool:
    """Return whether this machine has a GPU that torch may use, by its device files: to ask torch takes seconds.

    NVIDIA's own, that of a Linux inside Windows, and AMD's.
    """
    return any(found for name in ("nvidia[0-9]*", "dxg", "kfd") for found in Path("/dev").glob(name))


def check_room(results: Path) -> None:
    """Raise UserError if nothing can be written to ``results``, or if its disk is all but full."""
    if results.is_symlink() and not results.exists():
        raise UserError(f"{results}: a link to {os.readlink(results)}, which is not there; make that folder")
    if results.exists() and not results.is_dir():
        raise UserError(f"{results}: a file, where the folder of the results has to be; move it away")
    folder = results if results.exists() else results.absolute().parent
    if not os.access(folder, os.W_OK | os.X_OK):
        raise UserError(f"{folder}: nothing can be written there; make it writable (nothing was changed)")
    free_mb = shutil.disk_usage(folder).free / 1e6
    if free_mb < LEAST_FREE_MB:
        raise UserError(f"{folder}: the disk is full ({free_mb:.0f} MB free); make room, at least {LEAST_FREE_MB} MB")


def check_readable(results: Path) -> None:
    """Raise UserError if a file in ``results`` may not be read: Snakemake would end with a traceback."""
    for folder, _, names in os.walk(results):
        for file in (os.path.join(folder, name) for name in names):
            if not os.access(file, os.R_OK) and os.path.exists(file):
                raise UserError(f"{file}: it may not be read; give yourself the right, e.g. chmod u+r {file}")


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


def compare_replaced_files() -> None:
    """Let Snakemake compare the content of an input also if only the kernel knows that it was put there later.

    Snakemake looks at an input that is newer than the job's output. But cp -a, rsync and tar give a file that they put
    back its old time stamp. Its change time, which nobody can set, tells.
    """
    from snakemake.io import _IOFile

    is_newer = _IOFile.is_newer

    async def is_newer_or_replaced(file: Any, time_of_output: float) -> bool:
        return await is_newer(file, time_of_output) or (
            not file.is_ancient and os.path.exists(file) and os.stat(file).st_ctime > time_of_output
        )

    _IOFile.is_newer = is_newer_or_replaced


def prepare_snakemake(workflow: Any) -> None:
    """Change what Snakemake does between planning and running, where it stands in the way; see each part.

    ``workflow`` is its own object, and the attributes are not part of its interface: each has a test.
    """
    # What a job depends on is what it was when the job began. Of a parameter that was looked at in planning, Snakemake
    # notes the value of that time, which would make the job again: a missing file is no longer missing.
    workflow.persistence._params.cache_clear()
    _forget_planned_parameters()
    if workflow.local_exec:
        end_jobs_with_me()
        # Its limit of 100 jobs a second is for clusters. Here it only makes the scheduler look again after every
        # second, once for each job that it has started so far, and the run end a second late.
        workflow.scheduler.job_rate_limiter = None
        # Its handler of SIGTERM takes a lock that the interrupted code may hold, and would wait for itself.
        workflow.scheduler._lock = threading.RLock()


def _forget_planned_parameters() -> None:
    """Let the parameters that are noted of a job be worked out anew when it runs, like those that it is given.

    By itself Snakemake does so on this machine alone, not where a cluster runs the job.
    """
    from snakemake.jobs import Job

    reset = Job.reset_params_and_resources

    def reset_all(job: Any) -> None:
        reset(job)
        job._non_derived_params = None

    Job.reset_params_and_resources = reset_all


ending = threading.Event()
"""Whether this run was told to end."""


def preview(scripts: Path, settings: Sequence[str], files: Sequence[Path]) -> None:
    """Let make preview write the table of what is finished, also in place of a table where there is none yet.

    Says where it is. Nothing happens in an environment without what a table takes, or where nothing is finished.
    """
    command = [sys.executable, "-m", "commands.preview", "--as-table", *settings]
    command += ["--configfile", *map(str, files)] if files else []
    environment = os.environ | {"PYTHONPATH": str(scripts)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)  # nosec B603
    if done.returncode == 0:
        print(f"what is finished, and why the rest is not: {done.stdout.strip()}", file=sys.stderr, flush=True)


def end_jobs_with_me() -> None:
    """On SIGTERM and Ctrl-C, end the jobs as well, and this process with them within `PATIENCE` seconds.

    Snakemake would wait for its jobs, longer than whoever sends the signal does. They are told again and again, because
    a job that is just being started misses the first time; what does not end then is killed.
    """
    snakemakes = {int(number): signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}

    def leave(number: int, frame: Any) -> None:
        if not ending.is_set():
            ending.set()
            threading.Thread(target=_end_children, daemon=True).start()
        snakemakes_own = snakemakes[number]
        if callable(snakemakes_own):
            snakemakes_own(number, frame)  # that of SIGINT raises KeyboardInterrupt

    for number in snakemakes:
        signal.signal(number, leave)


def _end_children() -> None:
    """Tell the children of this process to end until it ends itself; kill them and end it if that takes too long."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        for child in psutil.Process().children(recursive=True):
            with contextlib.suppress(psutil.NoSuchProcess):
                child.terminate()
        time.sleep(BETWEEN_TELLINGS)
    for child in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            child.kill()
    os._exit(1)
