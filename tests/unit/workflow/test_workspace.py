"""The lock of the results, also on file systems whose locks do not reach other machines."""

import errno
import fcntl
import os
import subprocess
import sys

import psutil
import pytest
from psutil._ntuples import sdiskpart

from unlearning.errors import UserError
from unlearning.workflow import workspace
from unlearning.workflow.workspace import claim, locks_are_local


def mounted(monkeypatch, *mounts):
    found = [sdiskpart("server:/", place, kind, options) for place, kind, options in mounts]
    monkeypatch.setattr(psutil, "disk_partitions", lambda all: found)


@pytest.mark.parametrize(
    ("kind", "options", "local"),
    [
        ("nfs4", "rw,local_lock=none,vers=4.2", False),
        ("nfs", "rw,vers=3,local_lock=all", True),
        ("nfs", "rw,vers=3,nolock", True),
        ("nfs", "rw,vers=3,local_lock=flock", True),
        ("nfs", "rw,vers=3,local_lock=posix", False),
        ("lustre", "rw,flock", False),
        ("lustre", "rw,localflock", True),
        ("ext4", "rw", False),
    ],
)
def test_a_mount_says_whether_its_locks_are_local(monkeypatch, tmp_path, kind, options, local):
    mounted(monkeypatch, ("/", "ext4", "rw"), (str(tmp_path), kind, options))
    assert locks_are_local(tmp_path / "results") is local


def test_the_innermost_mount_counts(monkeypatch, tmp_path):
    mounted(monkeypatch, (str(tmp_path), "lustre", "localflock"), (str(tmp_path / "in"), "ext4", "rw"))
    assert locks_are_local(tmp_path) is True
    assert locks_are_local(tmp_path / "in") is False
    assert locks_are_local(tmp_path / "inside") is True  # another name that begins alike


@pytest.fixture(params=["no locks", "local locks"])
def no_locks(request, monkeypatch, tmp_path):
    """Give ``tmp_path`` a file system without locks, or with locks that other machines do not see."""
    if request.param == "no locks":

        def refuse(*_):
            raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))

        monkeypatch.setattr(fcntl, "flock", refuse)
    else:
        monkeypatch.setattr(workspace, "locks_are_local", lambda _: True)
    return tmp_path / "results"


def left_by(results, owner):
    results.mkdir()
    (results / ".lock").write_text(f"{owner}\n")


def test_without_locks_a_run_on_another_machine_may_be_alive(no_locks):
    left_by(no_locks, "123 on another-machine")
    with pytest.raises(UserError, match=r"\(process 123 on another-machine\) did not say .*remove .*lock"):
        claim(no_locks)
    assert (no_locks / ".lock").read_text() == "123 on another-machine\n"


def test_without_locks_a_living_process_of_this_machine_counts(no_locks):
    left_by(no_locks, f"{os.getppid()} on {os.uname().nodename}")
    with pytest.raises(UserError, match="another run"):
        claim(no_locks)


def test_without_locks_a_dead_process_of_this_machine_does_not(no_locks):
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    left_by(no_locks, f"{dead.pid} on {os.uname().nodename}")
    with claim(no_locks):
        assert (no_locks / ".lock").read_text() == f"{os.getpid()} on {os.uname().nodename}\n"


def test_without_locks_a_process_that_took_the_number_later_does_not(no_locks):
    left_by(no_locks, f"{os.getppid()} on {os.uname().nodename}")
    os.utime(no_locks / ".lock", (0, 0))  # the lock is older than the process
    claim(no_locks).close()


def test_without_locks_a_run_that_ended_leaves_the_folder_free(tmp_path):
    code = (
        "import sys, pathlib; sys.path.insert(0, 'scripts'); from unlearning.workflow import workspace\n"
        "workspace.locks_are_local = lambda _: True\n"
        f"lock = workspace.claim(pathlib.Path({str(tmp_path)!r}))\n"
        "print(open(lock.name).read())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split()[1] == "on"
    assert (tmp_path / ".lock").read_text() == ""


@pytest.mark.parametrize(
    ("last", "text"), [("", ""), ("workspace.has_failed.set()", "failed\n"), ("workspace.ending.set()", "stopped\n")]
)
def test_the_lock_says_how_a_run_ended_and_keeps_the_time_of_its_start(tmp_path, last, text):
    code = (
        "import os, sys, pathlib; sys.path.insert(0, 'scripts'); from unlearning.workflow import workspace\n"
        f"lock = workspace.claim(pathlib.Path({str(tmp_path)!r}))\n"
        f"os.utime(lock.name, (1000, 1000)); {last}"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    assert (tmp_path / ".lock").read_text() == text
    assert (tmp_path / ".lock").stat().st_mtime == 1000
    with claim(tmp_path):  # it is free
        pass


def test_with_locks_what_a_killed_run_wrote_does_not_count(tmp_path):
    results = tmp_path / "results"
    left_by(results, "123 on another-machine")
    claim(results).close()
