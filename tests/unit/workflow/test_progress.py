"""The log of a job: how many epochs are done, whether the job runs, how long it will take."""

import fcntl
import os
import subprocess

import pytest

from unlearning.workflow import progress, workspace
from unlearning.workflow.progress import Running, duration, failures, owner, running

BAR = " 88%|########7 | 70/80 [21:16<20:24, 122.47s/epoch, train_loss=0.0740, test_accuracy=None]"


@pytest.fixture
def log(tmp_path, monkeypatch):
    """Return a function that writes the log of a job, and sets the time to some seconds after the last line."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "results").mkdir()
    lock = tmp_path / "results/.lock"
    lock.write_text(f"{os.getpid()} on {os.uname().nodename}\n")
    os.utime(lock, (1000, 1000))

    def write(*lines, at=2000):
        path = tmp_path / "results/unlearn.log"
        path.write_text("".join(f"{line}\n" for line in lines))
        os.utime(path, (at, at))
        return path

    return write


def test_a_running_job_says_how_far_it_is(log):
    begun = "unlearn: scrub on resnet20"
    assert running(log(begun), now=2000) == Running()
    assert running(log(begun, BAR), now=2000) == Running(70, 80, 20 * 60 + 24)
    assert running(log(begun, BAR, "a line of the method's own"), now=2060) == Running(70, 80, 19 * 60 + 24)
    assert running(log(begun, BAR.replace("20:24", "1:20:24")), now=2000).seconds_left == 80 * 60 + 24
    assert running(log(begun, BAR), now=99_999).seconds_left == 0
    assert str(running(log(begun, BAR), now=2000)) == "epoch 70 of 80, 20 min left"
    assert str(Running()) == "running"


@pytest.mark.parametrize(
    "end",
    ["unlearn: done in 3.1 s; processor seconds: ...", "error in unlearn: no", "stopped in unlearn (x) by SIGTERM"],
)
def test_a_job_that_has_ended_does_not_run(log, end):
    assert running(log("unlearn: scrub", BAR, end), now=2000) is None


def test_the_log_of_an_earlier_run_is_not_this_runs(log):
    assert running(log("unlearn: scrub", BAR, at=999), now=2000) is None


def test_a_run_that_was_killed_is_not_going_on(log, tmp_path):
    lock = tmp_path / "results/.lock"
    os.utime(lock)
    assert owner() is None  # nobody holds the lock, as after a kill, on whatever machine
    lock.write_text("1 on another_machine\n")
    assert owner() is None
    with lock.open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert owner() == "1 on another_machine"
    lock.unlink()
    assert owner() is None


def test_where_locks_cannot_tell_the_process_does(log, tmp_path, monkeypatch):
    monkeypatch.setattr(workspace, "locks_are_local", lambda folder: True)
    lock = tmp_path / "results/.lock"
    assert owner() is None  # the lock is older than the process that now has the number, as after a reboot
    os.utime(lock)
    assert owner() == f"{os.getpid()} on {os.uname().nodename}"
    ended = subprocess.Popen(["true"])
    ended.wait()
    lock.write_text(f"{ended.pid} on {os.uname().nodename}\n")
    assert owner() is None
    lock.write_text("1 on another_machine\n")
    assert owner() == "1 on another_machine"  # this machine cannot tell


def test_a_job_that_did_not_end_well_is_named_once_the_run_is_over(log, tmp_path, monkeypatch):
    lock = tmp_path / "results/.lock"
    (tmp_path / "results/of_before.log").write_text("error in split: an earlier run\n")
    os.utime(tmp_path / "results/of_before.log", (999, 999))
    assert failures() == []
    for end in ("unlearn: done in 3.1 s; processor seconds: ...", "stopped in unlearn (x) by SIGTERM"):
        log("unlearn: scrub", end)
        assert failures() == []
    log("unlearn: scrub", "error in unlearn: no memory")
    assert failures() == ["unlearn: no memory"]
    log("unlearn: scrub", "error in unlearn: a worker was stopped in epoch 3, not: done in 2 s")
    assert failures() == ["unlearn: a worker was stopped in epoch 3, not: done in 2 s"]
    log("unlearn: scrub", BAR)
    assert failures() == ["ended without a word: see results/unlearn.log"]
    monkeypatch.setattr(progress, "jobs_of", lambda folder: ["7"])  # it outlived its run, on a cluster
    assert failures() == []
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    for how, is_named in (("failed\n", True), ("", False)):  # whatever time stamps a copy of the folder has
        lock.write_text(how)
        os.utime(lock, (1000, 1000))
        assert bool(failures()) == is_named
    with (tmp_path / "results/.lock").open() as held:  # it still runs
        os.utime(tmp_path / "results/.lock", (1500, 1500))
        fcntl.flock(held, fcntl.LOCK_EX)
        (tmp_path / "results/.lock").write_text("1 on another_machine\n")
        os.utime(tmp_path / "results/.lock", (1500, 1500))
        assert failures() == []


@pytest.mark.parametrize(("seconds", "text"), [(45, "45 s"), (720, "12 min"), (12_240, "3.4 h")])
def test_durations_are_for_people(seconds, text):
    assert duration(seconds) == text
