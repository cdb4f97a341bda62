"""A real SLURM on this machine for the tests of this folder, and a small project with its results as made locally."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from cluster import ClusterProject, slurm
from project import TINY, Project, merged

HERE = Path(__file__).parent
WAITING = """
import os, runpy
import torch.nn.functional as F

class UnlearningMethod:
    '''Fine-tunes. If there is a pipe, it says in its second epoch that it is there, and does what then.py says.'''

    def unlearn_step(self, model, retain_batch, forget_batch, optimizer, step, epoch):
        if epoch == 1 and os.path.exists("there"):
            with open("there", "w") as there:
                print("I am", file=there, flush=True)
            runpy.run_path("then.py")
        images, labels = retain_batch
        optimizer.zero_grad()
        loss = F.cross_entropy(model(images), labels)
        loss.backward()
        optimizer.step()
        return {"loss": loss.item()}
"""
CHANGES = merged(
    TINY,
    {
        "suites": {"digits": {"methods": ["retain_finetune", "waiting"]}},
        "methods": {"waiting": {"file": "waiting.py"}},
        "protocols": {"tiny": {"unlearn": {"epochs": 3, "learning_rate": 0.003}}},
    },
)


@pytest.fixture(scope="session")
def accounting(request):
    """Whether the cluster keeps accounts, as most do; not in the core of these tests, to be quicker."""
    return request.config.option.markexpr != "core"


@pytest.fixture(scope="session")
def cluster(accounting):
    """Bring up SLURM, on six CPUs that share those of this machine."""
    started = subprocess.run(
        ["bash", HERE / "up.sh", *(["--accounting"] if accounting else [])],
        env=os.environ | {"SLURM_TEST_CPUS": "6"},
        capture_output=True,
        text=True,
    )
    if started.returncode != 0:
        pytest.skip(f"no SLURM here: {started.stderr.strip().splitlines()[-1]}")
    yield
    subprocess.run(["bash", HERE / "down.sh"], check=True)


@pytest.fixture(scope="session")
def local(tmp_path_factory):
    """Return a project that has made its table on this machine."""
    project = Project(tmp_path_factory.mktemp("local") / "project", CHANGES)
    (project.folder / "waiting.py").write_text(WAITING)
    (project.folder / "then.py").write_text("import time\ntime.sleep(600)\n")
    project.make("results/table.md")
    return project


@pytest.fixture(scope="session")
def unfinished(cluster, local):
    """Return a function that copies the project ``local`` to a new folder, where the method `waiting` is yet to run."""

    def copy(folder):
        shutil.copytree(local.folder, folder)
        shutil.rmtree(folder / "results/resnet20-digits-class0/seed1/waiting")
        return ClusterProject.at(folder)

    return copy


@pytest.fixture
def project(unfinished, tmp_path):
    """Return such a copy. Its jobs end with the test."""
    project = unfinished(tmp_path / "project")
    yield project
    project.end()


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
