"""The process that runs a workflow: it locks the results, adapts Snakemake, and ends with its jobs on a signal."""

from __future__ import annotations

import atexit
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
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import IO, Any

import psutil

from unlearning.errors import UserError, unreadable
from unlearning.workflow.cluster import adapt_plugin, cancel_run, name_of_run

LEAST_FREE_MB = 50
PATIENCE, BETWEEN_TELLINGS = 20.0, 0.5
"""Seconds."""


def sees_gpu() -> bool:
    """Return whether this machine has a GPU that torch may use, by device files: asking torch would take seconds.

    The device files are NVIDIA's, the one of Linux inside Windows, and AMD's.
    """
    return any(found for name in ("nvidia[0-9]*", "dxg", "kfd") for found in Path("/dev").glob(name))


def check_room(results: Path) -> None:
    """Raise UserError if nothing can be written to ``results``, or if its disk is almost full."""
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
                raise unreadable(file)


def claim(results: Path) -> IO[str]:
    """Return the locked file ``results/.lock``. The folder belongs to this process while the file is open.

    The kernel frees the lock when the process ends in any way, so that nothing must be unlocked after a kill. On a file
    system whose locks do not reach other machines, what the file says counts too: the process, or how it ended. Raises
    UserError if another run has the folder, or may have it.
    """
    results.mkdir(parents=True, exist_ok=True)
    file = (results / ".lock").open("a+")
    has_locks = not locks_are_local(results)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        has_locks = error.errno in (errno.EWOULDBLOCK, errno.EACCES)
        if has_locks:
            raise UserError(
                f"{results}: another run (process {_owner(file) or 'unknown'}) is writing there; "
                "wait for its end, or end it"
            ) from None
    if not has_locks:
        owner = _owner(file)
        if " on " in owner and may_be_alive(owner, os.fstat(file.fileno()).st_mtime):
            raise UserError(
                f"{results}: this file system has no locks between machines, and another run (process {owner}) did not "
                f"say that it ended; wait for its end, or remove {results / '.lock'} if it is gone"
            )
    _locked.append(Path(file.name).resolve())
    atexit.register(say_how_it_ended)
    file.truncate(0)
    file.write(f"{os.getpid()} on {os.uname().nodename}\n")
    file.flush()
    return file


_locked: list[Path] = []
"""The file that this run has locked."""

ending, has_failed = threading.Event(), threading.Event()
"""Whether this run was told to end, and whether a job of it did not end well."""


def say_how_it_ended() -> None:
    """Write into the locked file how the run ended, nothing if well, with the time stamp of the run's start."""
    text = "stopped\n" if ending.is_set() else "failed\n" if has_failed.is_set() else ""
    for file in _locked:
        with contextlib.suppress(OSError):
            begun = file.stat()
            file.write_text(text, encoding="utf-8")
            os.utime(file, ns=(begun.st_atime_ns, begun.st_mtime_ns))


def _leave() -> None:
    """End this process at once, without Python's clean-up."""
    say_how_it_ended()
    os._exit(1)


def is_free(lock: Path) -> bool:
    """Return whether no process, on whatever machine, holds the file ``lock``. False where locks cannot tell."""
    if locks_are_local(lock.parent):
        return False
    with lock.open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            return False
    return True


def _owner(file: IO[str]) -> str:
    """Return what the run that locked ``file`` wrote into it: its process and machine."""
    file.seek(0)
    return file.read().strip()


def may_be_alive(owner: str, since: float) -> bool:
    """Return False if ``owner`` was a process of this machine that has ended since the time ``since``."""
    number, _, machine = owner.partition(" on ")
    if machine != os.uname().nodename or not number.isdigit():
        return True
    try:
        return psutil.Process(int(number)).create_time() <= since  # a later process has only taken the number
    except psutil.NoSuchProcess:
        return False


def locks_are_local(folder: Path) -> bool:
    """Return whether the locks of the file system of ``folder`` hold on this machine alone, by how it is mounted."""
    place = folder.resolve()
    mounts = [mount for mount in psutil.disk_partitions(all=True) if place.is_relative_to(mount.mountpoint)]
    if not mounts:
        return False
    mount = max(mounts, key=lambda mount: len(mount.mountpoint))
    options = set(mount.opts.split(","))
    # See nfs(5) and mount.lustre(8). Lustre without any such option refuses to lock.
    return (mount.fstype.startswith("nfs") and bool(options & {"nolock", "local_lock=all", "local_lock=flock"})) or (
        mount.fstype == "lustre" and "localflock" in options
    )


def remove_partial_files(results: Path) -> None:
    """Remove half-written files of killed jobs, with temporary names from `files.whole_file`. No rule reads them."""
    for file in results.rglob(".*.partial"):
        file.unlink(missing_ok=True)


def before_planning(workflow: Any, check: Callable[[], None]) -> None:
    """Call ``check`` in a run that is about to plan its jobs, but not in a dry run or for a question.

    Snakemake has no hook there. Its hook `onstart` comes too late for a cluster: the executor is there by then, and its
    end removes the folders into which the waiting jobs of another run will write their logs.
    """
    prepare = workflow._prepare_dag

    def check_and_prepare(*arguments: Any, **settings: Any) -> None:
        if workflow.executor_plugin is not None and not workflow.dryrun and workflow.is_main_process:
            check()
        prepare(*arguments, **settings)

    workflow._prepare_dag = check_and_prepare


def compare_replaced_files() -> None:
    """Let Snakemake also compare the content of an input that was replaced by a file with an old time stamp.

    Snakemake compares an input only if it is newer than the job's output. But cp -a, rsync and tar restore a file with
    its old time stamp. The change time of the file, which nobody can set, shows the replacement.
    """
    from snakemake.io import _IOFile

    is_newer = _IOFile.is_newer

    async def is_newer_or_replaced(file: Any, time_of_output: float) -> bool:
        return await is_newer(file, time_of_output) or (
            not file.is_ancient and os.path.exists(file) and os.stat(file).st_ctime > time_of_output
        )

    _IOFile.is_newer = is_newer_or_replaced


def prepare_snakemake(workflow: Any) -> None:
    """Change Snakemake's behaviour between planning and running where it causes problems; see each part.

    ``workflow`` is Snakemake's own object. The changed attributes are not part of its interface, so each has a test.
    """
    # A job depends on the parameters at its start. For a parameter that was computed in planning, Snakemake records the
    # value from planning. This would make the job again: a file that was missing then is no longer missing.
    workflow.persistence._params.cache_clear()
    if not workflow.local_exec:
        adapt_plugin(workflow)
    run = name_of_run(workflow)
    if workflow.local_exec or run is not None:  # the jobs of other clusters are Snakemake's alone
        end_jobs_with_me(run)
    if workflow.local_exec:
        # Snakemake's limit of 100 jobs per second is for clusters. Here it only makes the scheduler check again every
        # second, once per job started so far, and makes the run end one second late.
        workflow.scheduler.job_rate_limiter = None
        # Snakemake's handler of SIGTERM takes a lock. If the interrupted code holds it, the process would wait for
        # itself.
        workflow.scheduler._lock = threading.RLock()


def preview(scripts: Path, settings: Sequence[str], files: Sequence[Path]) -> None:
    """Run make preview to write the table of finished cells, also in place of the table if there is none yet.

    Prints where the table is. Does nothing if the environment lacks the packages of a table, or if nothing is finished.
    """
    command = [sys.executable, "-m", "commands.preview", "--as-table", *settings]
    command += ["--configfile", *map(str, files)] if files else []
    environment = os.environ | {"PYTHONPATH": str(scripts)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)  # nosec B603
    if done.returncode == 0:
        print(f"what is finished, and why the rest is not: {done.stdout.strip()}", file=sys.stderr, flush=True)


def end_jobs_with_me(run: str | None = None) -> None:
    """On SIGTERM and Ctrl-C, end the jobs too, and end this process with them within `PATIENCE` seconds.

    Snakemake would wait for its jobs, longer than the sender of the signal waits. The signal is sent to the jobs again
    and again, because a job that is just starting misses the first one. Jobs that do not end by then are killed.
    ``run`` is the name of the jobs of this run on a SLURM cluster, if it has such jobs: they are cancelled.
    """
    snakemakes = {int(number): signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    end = partial(_end_run, run) if run else _end_children

    def leave(number: int, frame: Any) -> None:
        if not ending.is_set():
            ending.set()
            threading.Thread(target=end, daemon=True).start()
        # On a cluster, Snakemake's answer to SIGTERM is to wait for all jobs, and that to SIGINT to cancel them.
        snakemakes_own = snakemakes[signal.SIGINT if run else number]
        if callable(snakemakes_own):
            snakemakes_own(number, frame)  # the handler of SIGINT raises KeyboardInterrupt

    for number in snakemakes:
        signal.signal(number, leave)


def _end_children() -> None:
    """Tell the children of this process to end, again and again; after `PATIENCE` seconds, kill them and this process.

    The process itself usually ends earlier.
    """
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        _tell_children()
        time.sleep(BETWEEN_TELLINGS)
    for child in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            child.kill()
    _leave()


def _tell_children() -> None:
    """Send SIGTERM to all children of this process."""
    for child in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            child.terminate()


def _end_run(run: str) -> None:
    """Cancel the SLURM jobs named ``run`` until none is left, but not longer than `PATIENCE` seconds; then end.

    Snakemake itself cancels only what it has submitted by now, and then waits up to three minutes for its next look at
    the queue.
    """
    deadline = time.monotonic() + PATIENCE
    while not (all_ended := cancel_run(run)) and time.monotonic() < deadline:
        time.sleep(BETWEEN_TELLINGS)
    _tell_children()
    jobs = "the jobs of this run are cancelled" if all_ended else "some jobs may still end; the next start names them"
    print(f"stopped; {jobs}; run again to go on", file=sys.stderr, flush=True)
    _leave()
