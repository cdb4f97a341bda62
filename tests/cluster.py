"""Shared by the tests on a real SLURM: a project whose jobs go to the cluster, and what its queue holds."""

import contextlib
import os
import re
import signal
import subprocess
import time

from project import Project


class ClusterProject(Project):
    """A project whose jobs go to the cluster, with the profile for SLURM, as the README says.

    But for the first look at a job, which is sooner: each further one waits 10 s longer, and these jobs are short.
    """

    WHERE = ("--workflow-profile", "workflow/profiles/slurm", "--slurm-init-seconds-before-status-checks", "1")

    def start(self, *arguments, **variables):
        process = super().start(*arguments, **variables)
        self.__dict__.setdefault("started", []).append(process)
        return process

    def end(self):
        """Kill what was started, with its children, and cancel its jobs."""
        for process in self.__dict__.get("started", []):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        for (job,) in self.queue():
            slurm("scancel", job)
        until(lambda: not self.queue())

    def submit(self, *arguments):
        """Start ``snakemake`` for the table, and return its process."""
        return self.start("results/table.md", *arguments)

    def submitted(self, *arguments):
        """Run ``snakemake`` for the table to its end. Return its exit status and its output."""
        done = self.run("results/table.md", *arguments)
        return done.returncode, done.stdout

    def queue(self, *columns):
        """Return the jobs of this project in the queue, each as a list of squeue's columns (default: the id)."""
        shown = "|".join(["%Z", *(columns or ["%i"])])
        printed = subprocess.check_output(["squeue", "--noheader", "--format", shown], text=True)
        jobs = [line.split("|") for line in printed.splitlines()]
        return [its for folder, *its in jobs if folder == str(self.folder)]


def gpus_of(job):
    """Return what a job in the queue asks for, per node (--gres) or in all (--gpus), e.g. "gres:gpu:1"."""
    shown = subprocess.run(["scontrol", "show", "job", job], capture_output=True, text=True, check=True)
    return " ".join(re.findall(r"TresPer(?:Node|Job)=(\S+)", shown.stdout))


def until(condition, seconds=300.0):
    """Wait until ``condition()`` holds, and return its value; fail if this takes too long, even on a busy machine."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, "it did not come to this in time"
        time.sleep(0.2)
    return value


def slurm(*command):
    """Run a command of SLURM."""
    subprocess.run([str(word) for word in command], check=True)
