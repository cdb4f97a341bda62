"""What goes wrong on a cluster, on a real SLURM: each ends in the right table, or in one line that says what to do."""

import os
import subprocess

import pytest
from cluster import queue, slurm, until

CELL = "results/resnet20-digits-class0/seed1/waiting"


@pytest.fixture
def at_work(project):
    """Start the cell of `waiting`. Yield the project, the process, and the id of the job, whose second epoch waits."""
    pipe = project.folder / "there"
    os.mkfifo(pipe)
    process = project.submit()
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)

    def is_there():
        assert process.poll() is None, process.stdout.read()
        return os.read(reader, 5)

    assert until(is_there) == b"I am\n"
    os.close(reader)
    pipe.unlink()  # the next attempt goes through
    ((job,),) = queue()
    return project, process, job


def ends_well(project, process, local):
    """Wait for the end of the run, and check that it has the table of a run without a fault, from the savepoint on."""
    printed, _ = process.communicate(timeout=300)
    assert process.returncode == 0, printed
    assert project.read("results/metrics.csv") == local.read("results/metrics.csv")
    assert "going on after 1 epoch(s)" in project.read(f"{CELL}/unlearn.log")


def test_a_cancelled_job_goes_on_in_a_new_one(at_work, local):
    project, process, job = at_work
    slurm("scancel", job)
    ends_well(project, process, local)


def test_a_job_that_is_told_to_end_goes_on_in_a_new_one(at_work, local):
    project, process, job = at_work
    slurm("scancel", "--signal=TERM", job)
    ends_well(project, process, local)


def test_a_preempted_job_goes_on_in_a_new_one(at_work, local):
    project, process, _ = at_work
    slurm("srun", "--quiet", "--partition=urgent", "--ntasks=6", "true")
    ends_well(project, process, local)


def test_a_requeued_job_goes_on(at_work, local):
    project, process, job = at_work
    slurm("scontrol", "requeue", job)
    until(lambda: queue("%T") == [["PENDING"]])
    slurm("scontrol", "update", f"JobId={job}", "StartTime=now")  # SLURM itself waits for two minutes
    ends_well(project, process, local)


def test_a_job_at_its_time_limit_goes_on_in_a_new_one(at_work, local):
    project, process, job = at_work
    slurm("scontrol", "update", f"JobId={job}", "TimeLimit=1")
    ends_well(project, process, local)


@pytest.mark.core
def test_sigterm_ends_the_run_and_its_jobs(at_work, local):
    project, process, _ = at_work
    process.terminate()
    printed, _ = process.communicate(timeout=60)
    assert process.returncode != 0
    assert "the jobs of this run are cancelled; run again to go on" in printed
    assert queue() == []
    ends_well(project, project.submit(), local)


@pytest.mark.core
def test_a_second_start_is_refused_and_takes_no_log_from_waiting_jobs(project, drained, local):
    process = project.submit()
    until(queue)
    status, printed = project.submitted()
    assert status == 1
    assert "results: another run (process " in printed
    assert queue("%T") == [["PENDING"]]
    drained()
    printed, _ = process.communicate(timeout=300)
    assert process.returncode == 0, printed
    assert project.read("results/metrics.csv") == local.read("results/metrics.csv")


@pytest.mark.core
def test_jobs_that_outlived_a_killed_run_are_named_and_cancelled_on_request(project, drained, local):
    process = project.submit()
    ((job,),) = until(queue)
    process.kill()
    process.wait()
    status, printed = project.submitted()
    assert status == 1
    assert f"1 SLURM job(s) of an earlier run in this folder ({job}) did not end with it; add orphans=wait" in printed
    assert queue() == [[job]]
    drained()
    status, printed = project.submitted("--config", "orphans=cancel")
    assert status == 0, printed
    assert f"cancelling 1 SLURM job(s) of an earlier run in this folder ({job})" in printed
    assert project.read("results/metrics.csv") == local.read("results/metrics.csv")


def test_what_jobs_of_a_killed_run_make_is_used_on_request(project, drained, local):
    process = project.submit()
    ((job,),) = until(queue)
    process.kill()
    process.wait()
    again = project.submit("--config", "orphans=wait")
    drained()
    printed, _ = again.communicate(timeout=300)
    assert again.returncode == 0, printed
    assert f"waiting for 1 SLURM job(s) of an earlier run in this folder ({job})" in printed
    assert "rule unlearn:" not in printed
    assert project.read("results/metrics.csv") == local.read("results/metrics.csv")


@pytest.fixture
def drained(cluster):
    """Let no job start, until the function that this returns is called."""
    node = subprocess.check_output(["sinfo", "-ho", "%n", "-p", "gpu"], text=True).strip()
    slurm("scontrol", "update", f"NodeName={node}", "State=DRAIN", "Reason=test")

    def resume():
        slurm("scontrol", "update", f"NodeName={node}", "State=RESUME")

    yield resume
    if "drain" in subprocess.check_output(["sinfo", "-ho", "%T", "-p", "gpu"], text=True):
        resume()
