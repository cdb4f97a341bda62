"""Fixtures for all tests: a small data set, projects with a finished table, a mark on tests that start Snakemake."""

import fcntl
import os
import shutil

import numpy as np
import pytest
from hypothesis import settings
from project import ROOT, TINY, Project

settings.register_profile("no deadline", deadline=None)  # a busy machine is no fault
settings.load_profile("no deadline")


@pytest.fixture
def arrays():
    """Return a valid data set of 3 classes: 30 training and 12 test images, 8 x 8 grey."""
    rng = np.random.default_rng(0)
    return {
        "train_images": rng.integers(0, 256, (30, 8, 8), dtype=np.uint8),
        "train_labels": np.arange(30, dtype=np.uint8) % 3,
        "test_images": rng.integers(0, 256, (12, 8, 8), dtype=np.uint8),
        "test_labels": np.arange(12, dtype=np.uint8) % 3,
    }


@pytest.fixture(scope="session")
def finished_project(tmp_path_factory):
    """Return a project with a finished table: ResNet-20 on the digits, one seed, every baseline, a tiny protocol.

    Many tests read it. A test that edits it must undo the edit; a test that makes anything takes a ``copied_project``.
    It is made once for all processes of the tests, and each has a copy.
    """
    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent
    with (shared / "finished.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (shared / "finished").exists():
            project = Project(shared / "making", TINY)
            project.make("results/table.md")
            project.folder.rename(shared / "finished")
    return Project.at(shutil.copytree(shared / "finished", tmp_path_factory.mktemp("finished") / "copy"))


@pytest.fixture
def copied_project(finished_project, tmp_path):
    """Return a copy of the finished project that one test may change freely."""
    return Project.at(shutil.copytree(finished_project.folder, tmp_path / "copy"))


def pytest_collection_modifyitems(items):
    """Mark the tests in the folders that start Snakemake, so that the other tests can be run while editing."""
    for item in items:
        if {ROOT / "tests/workflow", ROOT / "tests/slurm"} & set(item.path.parents):
            item.add_marker(pytest.mark.snakemake)


@pytest.fixture(autouse=True)
def no_snakemake_elsewhere(request, monkeypatch):
    """Refuse to start Snakemake in any other folder: `make test-quick` would wait for it."""
    if request.node.get_closest_marker("snakemake") is None:

        def refuse(*_arguments, **_variables):
            pytest.fail("this test starts Snakemake; it belongs into tests/workflow/")

        for name in ("start", "run"):
            monkeypatch.setattr(Project, name, refuse)
