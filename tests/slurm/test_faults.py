"""What goes wrong on a cluster, on a real SLURM: each ends in the right table, or in one line that says what to do."""

import contextlib
import os
import shutil
import signal
from pathlib import Path

import psutil
import pytest
import yaml
from cluster import slurm, until
from project import Project, merged

CELLS = "results/resnet20-digits-class0/seed1"
CELL = f"{CELLS}/waiting"


def begin(project, *arguments):
    """Start what is missing. Return the process, and a function that waits until `waiting` is in its second epoch."""
    pipe = project.folder / "there"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    process = project.submit(*arguments)

    def says():
        assert process.poll() is None, process.stdout.read()
        return os.read(reader, 5)

    def wait():
        assert until(says) == b"I am\n"
        os.close(reader)
        pipe.unlink()  # the next attempt goes through

    return process, wait


def in_its_second_epoch(project, *arguments):
    """Start what is missing. Return the process, once the cell of `waiting` has come to its second epoch."""
    process, wait = begin(project, *arguments)
    wait()
    return process


@pytest.fixture
def at_work(project):
    """Return the project, and the process and the id of its only job, which is in its second epoch and stays there."""
    process = in_its_second_epoch(project)
    ((job,),) = project.queue()
    return project, process, job


def ends_well(project, process, local):
    """Wait for the end of the run, and check that it has the table of a run without a fault, from the savepoint on."""
    printed, _ = process.communicate(timeout=300)
    assert process.returncode == 0, printed
    assert project.read("results/metrics.csv") == local.read("results/metrics.csv")
    assert "going on after 1 epoch(s)" in project.read(f"{CELL}/unlearn.log")


def requeue(project, job):
    """Put a job back into the queue, and let it start at once: SLURM itself waits for two minutes."""
    slurm("scontrol", "requeue", job)
    until(lambda: project.queue("%T") == [["PENDING"]])
    slurm("scontrol", "update", f"JobId={job}", "StartTime=now")


FAULTS = {
    "above its memory": None,  # the job's own doing
    "cancelled": lambda _, job: slurm("scancel", job),
    "told to end": lambda _, job: slurm("scancel", "--signal=TERM", job),
    "requeued": requeue,
    "at its time limit": lambda _, job: slurm("scontrol", "update", f"JobId={job}", "TimeLimit=1"),
}


@pytest.fixture(scope="module")
def faulty(unfinished, tmp_path_factory):
    """Return by name projects with a run whose job met a fault: all at a time, since SLURM takes minutes for some."""
    projects = {name: unfinished(tmp_path_factory.mktemp("faulty") / "project") for name in FAULTS}
    filling = "import time, torch\nkept = torch.ones(7 * 2**28)\ntime.sleep(600)\n"
    (projects["above its memory"].folder / "then.py").write_text(filling)
    begun = {name: begin(project) for name, project in projects.items()}
    for name, (_, wait) in begun.items():
        wait()
        if FAULTS[name]:
            ((job,),) = projects[name].queue()
            FAULTS[name](projects[name], job)
    yield {name: (project, begun[name][0]) for name, project in projects.items()}
    for project in projects.values():
        project.end()


@pytest.mark.parametrize("fault", FAULTS)
def test_a_job_that_met_a_fault_goes_on_in_a_new_attempt(faulty, fault, local):
    ends_well(*faulty[fault], local)


def test_a_preempted_job_goes_on_in_a_new_one(at_work, local):
    project, process, _ = at_work
    slurm("srun", "--quiet", "--partition=urgent", "--ntasks=6", "true")
    ends_well(project, process, local)


@pytest.mark.parametrize("number", [pytest.param(signal.SIGTERM, marks=pytest.mark.core), signal.SIGINT])
def test_sigterm_and_ctrl_c_end_the_run_and_its_jobs(at_work, local, number):
    project, process, _ = at_work
    process.send_signal(number)
    printed, _ = process.communicate(timeout=60)
    assert process.returncode != 0
    assert "the jobs of this run are cancelled; run again to go on" in printed
    assert project.queue() == []
    ends_well(project, project.submit(), local)


@pytest.mark.core
def test_a_second_start_is_refused_a_dry_run_is_not_and_neither_takes_the_logs_of_waiting_jobs(project, drained, local):
    process = project.submit()
    until(project.queue)
    status, printed = project.submitted()
    assert status == 1
    assert "results: another run (process " in printed
    project.make("results/table.md", "-n")  # a dry run is not a run
    assert project.queue("%T") == [["PENDING"]]
    drained()
    printed, _ = process.communicate(timeout=300)
    assert process.returncode == 0, printed
    assert project.read("results/metrics.csv") == local.read("results/metrics.csv")


@pytest.mark.core
def test_jobs_that_outlived_a_killed_run_are_named_and_cancelled_on_request(project, drained, local):
    process = project.submit()
    ((job,),) = until(project.queue)
    process.kill()
    process.wait()
    status, printed = project.submitted()
    assert status == 1
    assert f"1 SLURM job(s) of an earlier run in this folder ({job}) did not end with it; add orphans=wait" in printed
    assert project.queue() == [[job]]
    drained()
    status, printed = project.submitted("--config", "orphans=cancel")
    assert status == 0, printed
    assert f"cancelling 1 SLURM job(s) of an earlier run in this folder ({job})" in printed
    assert project.read("results/metrics.csv") == local.read("results/metrics.csv")


def test_what_jobs_of_a_killed_run_make_is_used_on_request(project, drained, local):
    process = project.submit()
    ((job,),) = until(project.queue)
    process.kill()
    process.wait()
    again = project.submit("--config", "orphans=wait")
    drained()
    printed, _ = again.communicate(timeout=300)
    assert again.returncode == 0, printed
    assert f"waiting for 1 SLURM job(s) of an earlier run in this folder ({job})" in printed
    assert "rule unlearn:" not in printed
    assert project.read("results/metrics.csv") == local.read("results/metrics.csv")
    edit(project)
    assert "unlearn waiting" in planned_here(project)  # it is known what they were made with


def planned_here(project):
    """Return the jobs that a run on this machine would make: those of a group are not listed one by one."""
    return Project.at(project.folder).planned("results/table.md")


def edit(project):
    """Let the method `waiting` do something else."""
    file = project.folder / "waiting.py"
    file.write_text(file.read_text().replace("loss.backward()", "(2 * loss).backward()"))


@pytest.mark.core
def test_what_a_job_was_made_with_is_what_was_there_when_it_started(project, drained):
    """Whatever is edited while it waits in the queue, or while it runs."""
    before = project.read("config.yaml")
    process = project.submit()
    until(project.queue)
    fewer = merged(yaml.safe_load(before), {"protocols": {"tiny": {"unlearn": {"epochs": 2}}}})
    (project.folder / "config.yaml").write_text(yaml.safe_dump(fewer, sort_keys=False))
    drained()
    printed, _ = process.communicate(timeout=300)
    assert process.returncode == 0, printed
    assert project.read(f"{CELL}/history.csv").count("\n") == 1 + 2  # the job read what was there when it started
    (project.folder / "config.yaml").write_text(before)
    assert "unlearn waiting" in planned_here(project)


@pytest.mark.core
def test_a_method_that_is_edited_while_its_job_runs_is_run_again(project):
    (project.folder / "then.py").write_text("import os, time\nwhile not os.path.exists('go'):\n    time.sleep(0.1)\n")
    process = in_its_second_epoch(project)
    edit(project)
    (project.folder / "go").touch()
    printed, _ = process.communicate(timeout=300)
    assert process.returncode == 0, printed
    assert "unlearn waiting" in planned_here(project)


def test_a_job_is_submitted_once_the_controller_is_there_again(project, local):
    with controller_away():
        process = project.submit()
        for line in process.stdout:
            if "SLURM's controller does not answer; waiting for it" in line:
                break
    printed, _ = process.communicate(timeout=300)
    assert process.returncode == 0, printed
    assert "Trying to restart job" not in printed  # no attempt was spent
    assert project.read("results/metrics.csv") == local.read("results/metrics.csv")


@contextlib.contextmanager
def controller_away():
    """Stop SLURM's controller for the time of the block."""
    pid = int(Path(os.environ.get("SLURM_TEST_DIR", "/tmp/slurm-test"), "slurmctld.pid").read_text())
    os.kill(pid, signal.SIGTERM)
    until(lambda: not psutil.pid_exists(pid))
    try:
        yield
    finally:
        slurm("slurmctld")


def test_a_method_that_kills_its_process_ends_its_cell_alone(project):
    (project.folder / "then.py").write_text("import ctypes\nctypes.string_at(0)\n")
    shutil.rmtree(project.folder / f"{CELLS}/retain_finetune")
    process = in_its_second_epoch(project, "--retries", "0")
    printed, _ = process.communicate(timeout=300)
    assert process.returncode == 1
    assert "died with <Signals.SIGSEGV" in printed
    assert "what is finished, and why the rest is not: results/preview.md: 3 of 4 cells" in printed
    assert (project.folder / f"{CELLS}/retain_finetune/metrics.json").exists()
    assert not (project.folder / f"{CELL}/metrics.json").exists()


FILL = """
import contextlib
with contextlib.suppress(OSError), open("results/filling", "wb", buffering=0) as file:
    while True:
        file.write(bytes(2**16))
"""


def test_a_full_disk_is_said_in_one_line(project):
    results = project.folder / "results"
    results.rename(project.folder / "aside")
    results.mkdir()
    slurm("mount", "-t", "tmpfs", "-o", "size=80m", "tmpfs", results)
    try:
        shutil.copytree(project.folder / "aside", results, dirs_exist_ok=True)
        (project.folder / "then.py").write_text(FILL)
        process = in_its_second_epoch(project, "--retries", "0")
        printed, _ = process.communicate(timeout=300)
    finally:
        slurm("umount", "--lazy", results)
    assert process.returncode == 1
    assert "No space left on device" in printed
