"""Runs with jobs on a SLURM cluster: jobs that outlived an earlier run, the words of their states, and their end."""

from __future__ import annotations

import os
import re
import shutil
import subprocess  # nosec B404: SLURM's own commands
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from unlearning.errors import UserError

PLUGIN = "snakemake_executor_plugin_slurm"
_PING = ["scontrol", "ping"]
_BETWEEN_LOOKS = 2.0
_PATIENCE_WITH_SLURM = 30.0
"""Seconds."""
_ENDED_BADLY = ("PREEMPTED", "REVOKED", "LAUNCH_FAILED", "RECONFIG_FAIL")
"""States in which a job does not run any more, and which the plugin takes for a living job. See squeue(1)."""


def settle_orphans(folder: Path, wish: str, pause: Callable[[float], None] = time.sleep) -> None:
    """Deal with the living SLURM jobs of an earlier run in ``folder``, as ``wish`` (refuse, wait or cancel) says.

    A run that was killed leaves its jobs in the queue. Together with the jobs of a new run, they would write the same
    files. Raises UserError, which names them, if the user has not said what to do. Does nothing without a SLURM that
    answers. ``pause`` waits for a number of seconds.
    """
    jobs = jobs_of(folder)
    if not jobs:
        return
    names = f"{len(jobs)} SLURM job(s) of an earlier run in this folder ({' '.join(jobs[:20])})"
    if wish == "refuse":
        raise UserError(
            f"{names} did not end with it; add orphans=wait to --config to use what they make, "
            "or orphans=cancel to cancel them (trainings go on from their last whole epoch)"
        )
    done = "cancelling" if wish == "cancel" else "waiting for"
    print(f"{done} {names}", file=sys.stderr, flush=True)
    while jobs:
        if wish == "cancel":
            _ask(["scancel", *jobs])
        pause(_BETWEEN_LOOKS)
        wait_for_controller(pause)  # without it, the queue would look empty
        jobs = jobs_of(folder)


def jobs_of(folder: Path) -> list[str]:
    """Return the ids of this user's living SLURM jobs that a run of Snakemake in ``folder`` submitted."""
    if shutil.which("squeue") is None:
        return []
    # The plugin gives its jobs the run's folder (%Z), and a comment (%k) with the name of the rule or group.
    rows = _ask(["squeue", "--noheader", "--user", str(os.getuid()), "--format", "%i|%Z|%k"])
    found = (row.strip().split("|", 2) for row in rows)
    return [
        number
        for number, place, comment in found
        if comment.startswith(("rule_", "group_")) and Path(place).resolve() == folder.resolve()
    ]


def _ask(command: Sequence[str]) -> list[str]:
    """Return the lines that a command of SLURM prints, none if it does not succeed."""
    done = _run(command)
    return done.stdout.splitlines() if done is not None and done.returncode == 0 else []


def _answers(command: Sequence[str]) -> bool:
    """Return whether a command of SLURM succeeds."""
    done = _run(command)
    return done is not None and done.returncode == 0


def _run(command: Sequence[str]) -> subprocess.CompletedProcess[str] | None:
    """Run a command of SLURM, and return its result, or None if it does not end or is not there."""
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=_PATIENCE_WITH_SLURM)  # nosec B603
    except (OSError, subprocess.TimeoutExpired):
        return None


def record_where_jobs_run() -> None:
    """Let the process in which a job runs on a cluster record what the job depended on, as on this machine.

    Snakemake records it in the process that submitted the job, when the job has ended: parameters of the code and data
    as they are by then, and of the configuration as it was when the run began. The job itself used what was there when
    it started. And where the submitting process was killed, nothing would be recorded at all. Every process of a run
    calls this; a run whose records do not lie on a shared disk stays as Snakemake has it.
    """
    from snakemake.persistence import PersistenceBase

    finished = PersistenceBase.finished

    async def finished_where_it_ran(self: Any, job: Any) -> None:
        workflow = self.dag.workflow
        if "PERSISTENCE" not in {usage.name for usage in workflow.storage_settings.shared_fs_usage}:
            await finished(self, job)
        elif workflow.is_main_process and not workflow.local_exec and not job.is_local:
            self._clear_cache()
            for file in job.output:
                self._unmark_incomplete(self._get_key(file))
        elif workflow.remote_exec and workflow.local_exec:  # the innermost process of a job
            settings = workflow.workflow_settings
            mode = settings.exec_mode
            settings.exec_mode = type(mode).DEFAULT  # in others, nothing is recorded
            try:
                await finished(self, job)
            finally:
                settings.exec_mode = mode
        else:
            await finished(self, job)

    PersistenceBase.finished = finished_where_it_ran


def take_turns(workflow: Any) -> None:
    """Let the parts of a cell, which are one job of the cluster, run one after the other on its GPU.

    The limit that the profile sets does not reach the process in which they run.
    """
    from snakemake.resources import Resource

    if workflow.remote_exec:
        workflow.global_resources["gpu"] = Resource("gpu", 1)


def name_of_run(workflow: Any) -> str | None:
    """Return the name that the jobs of this run have in the queue, or None if it does not submit to SLURM."""
    return getattr(workflow.scheduler._executor, "run_uuid", None)


def cancel_run(name: str) -> bool:
    """Cancel the jobs with this name, and return whether SLURM says that none is left."""
    _run(["scancel", "--name", name])
    left = _run(["squeue", "--noheader", "--name", name, "--format", "%i"])
    return left is not None and left.returncode == 0 and not left.stdout.strip()


def adapt_plugin(workflow: Any) -> None:
    """Change Snakemake's SLURM plugin where it would not see the end of a job, or ask in vain. Each has a test.

    - The accounting says "CANCELLED by 1000", which the plugin compares with "CANCELLED"; a preempted job it leaves to
      SLURM, also if SLURM does not start it again. A run with such a job would never end.
    - It asks the accounting wherever there is the command for it, also on a cluster that keeps none.
    - Without an account it tries to guess one. SLURM itself knows the user's default.
    - It takes a controller that is being restarted for a job that failed, once for each of the job's attempts.
    - Of a job that failed it shows the names of its logs, but not what they say.
    """
    plugin: Any = sys.modules.get(PLUGIN)
    if name_of_run(workflow) is None or plugin is None:
        return
    query = plugin.query_job_status

    async def query_and_understand(command: str, logger: Any) -> tuple[dict[str, str] | None, float | None]:
        states, seconds = await query(command, logger)
        return states and understood(states, is_queued), seconds

    plugin.query_job_status = query_and_understand
    settings = workflow.executor_settings
    if settings.status_command == "sacct" and not _answers(["sacct", "--noheader", "--starttime", "now"]):
        settings.status_command = "squeue"
    executor = workflow.scheduler._executor
    executor._fallback_account_arg = ""
    command_of = plugin.get_submit_command

    def wait_and_get(*arguments: Any, **options: Any) -> str:
        wait_for_controller()
        return command_of(*arguments, **options)

    plugin.get_submit_command = wait_and_get
    report = executor.report_job_error

    def report_and_say(job: Any, msg: str | None = None, aux_logs: Sequence[str] = (), **more: Any) -> None:
        report(job, msg=msg, aux_logs=aux_logs, **more)
        for log in filter(None, aux_logs):
            print(f"SLURM job {job.external_jobid}: {reason_in(Path(log))}", file=sys.stderr, flush=True)

    executor.report_job_error = report_and_say


_REASONS = (
    r"(?:error|stopped) in .*",  # what the job's script says last
    r"died with <Signals\.\w+",
    r"(?:exceeded memory limit|Exceeded job memory limit|oom[_-]kill).*",
    r"CANCELLED AT .*\w",
)


def reason_in(log: Path) -> str:
    """Return the line of a failed job's SLURM log that says why it ended, or where to look if no line says it."""
    try:
        lines = log.read_text(errors="replace").splitlines()
    except OSError:
        return f"ended without a log ({log})"
    for reason in _REASONS:
        found = [match[0] for line in lines if (match := re.search(reason, line))]
        if found:
            return found[-1]
    return f"ended without a reason; see {log}"


def wait_for_controller(pause: Callable[[float], None] = time.sleep) -> None:
    """Return once SLURM's controller answers, at once where there is no SLURM. ``pause`` waits for some seconds."""
    if shutil.which(_PING[0]) is not None and not _answers(_PING):
        print("SLURM's controller does not answer; waiting for it", file=sys.stderr, flush=True)
        while not _answers(_PING):
            pause(_BETWEEN_LOOKS)
        print("SLURM's controller answers again", file=sys.stderr, flush=True)


def understood(states: dict[str, str], is_in_queue: Callable[[str], bool]) -> dict[str, str]:
    """Return the states of jobs, by their ids, in words that the plugin knows.

    ``is_in_queue`` says whether SLURM still has a job in its queue, because it starts a preempted one again.
    """
    words = {number: (state.split() or [""])[0].rstrip("+") for number, state in states.items()}
    return {
        number: "CANCELLED" if word in _ENDED_BADLY and not is_in_queue(number) else word
        for number, word in words.items()
    }


def is_queued(number: str) -> bool:
    """Return whether the job with this id waits or runs."""
    return bool(_ask(["squeue", "--noheader", "--jobs", number, "--format", "%i"]))
