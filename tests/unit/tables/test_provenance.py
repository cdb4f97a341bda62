"""provenance.json: the commit, the configuration, the versions and the devices behind a table."""

import subprocess

import pytest

from unlearning.tables import provenance as module
from unlearning.tables.provenance import provenance

COSTS = [{"device": device, "torch": "2.13.0", "python": "3.12.1"} for device in ("cpu", "NVIDIA H200", "cpu")]


def test_the_digest_is_of_what_is_set_not_of_how_it_is_written():
    config = {"suite": "digits", "device": "cpu", "protocols": {"a": 1, "b": [1, 2]}}
    digest = provenance(config, COSTS)["config_sha256"]
    assert provenance({"protocols": {"b": [1, 2], "a": 1}, "suite": "digits"}, COSTS)["config_sha256"] == digest
    assert provenance(config | {"suite": "paper"}, COSTS)["config_sha256"] != digest
    assert provenance(config | {"protocols": {"a": 1, "b": [2, 1]}}, COSTS)["config_sha256"] != digest


def test_all_devices_of_the_jobs_are_named():
    assert provenance({}, COSTS)["jobs"]["device"] == ["NVIDIA H200", "cpu"]


def test_what_a_cost_does_not_say_is_left_out():
    """A checkpoint that was carried without its cost, or with the cost of an earlier version."""
    assert provenance({}, [*COSTS, {"device": None, "torch": None}])["jobs"]["torch"] == ["2.13.0"]
    assert provenance({}, [COSTS[0], COSTS[1] | {"processor": "one"}])["jobs"]["processor"] == ["one"]


def git(folder, *arguments):
    identity = ["-c", "user.name=tester", "-c", "user.email=tester@example.org"]
    done = subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path):
    """Return a git repository with one commit of one file."""
    (tmp_path / "scripts").mkdir()
    (tmp_path / "scripts/method.py").write_text("x = 1\n")
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "one")
    return tmp_path


@pytest.mark.parametrize("change", [None, "scripts/method.py", "new.py"])
def test_the_commit_and_whether_files_differ_from_it(repository, monkeypatch, change):
    if change:
        (repository / change).write_text("x = 2\n")
    monkeypatch.setattr(module, "SCRIPTS", repository / "scripts")
    made = provenance({}, COSTS)
    assert (made["commit"], made["dirty"]) == (git(repository, "rev-parse", "HEAD"), change is not None)


def test_the_repository_of_another_project_around_is_not_ours(repository, monkeypatch):
    (repository / "copied/scripts").mkdir(parents=True)
    monkeypatch.setattr(module, "SCRIPTS", repository / "copied/scripts")
    assert provenance({}, COSTS)["commit"] is None
