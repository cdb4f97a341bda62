"""Reading the workflow needs only Snakemake, so that plans are quick, and jobs may have another environment."""

import os
import re
import subprocess
import sys
import venv
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from project import ROOT, TINY, Project, outside

HEAVY = ("torch", "numpy", "scipy")
REFUSING = f"""
import sys
import snakemake.cli  # with its plugins, of which one for clusters imports pandas, and with it NumPy

class Refusing:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {HEAVY}:
            raise ModuleNotFoundError(f"{{name}} was imported while the workflow was read")

for name in [name for name in sys.modules if name.split(".")[0] in {HEAVY}]:
    del sys.modules[name]
sys.meta_path.insert(0, Refusing())
snakemake.cli.main(["-n", "--cores", "1", "--quiet", "host"])
"""


def planned(command, folder):
    """Return the jobs of a dry run. If it does not succeed, fail and show its output."""
    environment = outside()
    done = subprocess.run(command, cwd=folder, env=environment, text=True, capture_output=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return sorted(re.findall(r"^(?:local)?rule (\w+):", done.stdout + done.stderr, re.MULTILINE))


def dry_run(interpreter):
    return [interpreter, "-m", "snakemake", "-n", "--cores", "1", "--quiet", "host"]


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    return Project(tmp_path_factory.mktemp("start"), TINY)


def test_the_workflow_is_read_without_torch_numpy_and_scipy(project):
    jobs = planned([sys.executable, "-c", REFUSING], project.folder)
    assert jobs == planned(dry_run(sys.executable), project.folder)
    assert {"pretrain", "retrain", "unlearn", "evaluate", "table"} <= set(jobs)


@pytest.mark.parametrize("name", HEAVY)
def test_to_import_one_of_them_would_be_noticed(project, name, tmp_path):
    copy = Project(tmp_path / "copy", TINY)
    common = copy.folder / "workflow/rules/common.smk"
    common.write_text(f"{common.read_text()}\nimport {name}\n")
    done = subprocess.run([sys.executable, "-c", REFUSING], cwd=copy.folder, text=True, capture_output=True)
    assert f"{name} was imported while the workflow was read" in done.stdout + done.stderr


def test_snakemake_alone_reads_the_workflow(project, tmp_path):
    """Some users install Snakemake alone, and let --sdm conda make the environments of the jobs."""
    python = environment_with("snakemake", tmp_path / "alone")
    for name in (*HEAVY, "pandas", "sklearn", "matplotlib"):
        assert subprocess.run([python, "-c", f"import {name}"], capture_output=True).returncode == 1, name
    assert planned(dry_run(python), project.folder) == planned(dry_run(sys.executable), project.folder)


def test_snakemake_alone_starts_the_jobs(tmp_path):
    """The first job ends there, for it has no environment with NumPy: no earlier step needs one."""
    project, python = Project(tmp_path / "project", TINY), environment_with("snakemake", tmp_path / "alone")
    environment = outside()
    command = [python, "-m", "snakemake", "--cores", "1", "data/digits.npz"]
    done = subprocess.run(command, cwd=project.folder, env=environment, text=True, capture_output=True)
    assert done.returncode == 1
    assert (project.folder / "results/.lock").exists()  # the last thing before the first job
    (missing,) = set(re.findall(r"^ModuleNotFoundError: (.*)$", done.stderr, re.MULTILINE))
    assert missing == "No module named 'numpy'"
    assert 'workflow/rules/data.smk"' in done.stderr  # the rule whose job ended
    assert "Traceback" not in done.stderr.partition("Exiting because a job execution failed")[2]


APPTAINER = """#!/bin/bash
# Stands for apptainer: notes the image, and runs the command without it.
[ "$1" = --version ] && echo "apptainer version 1.3.0" && exit
while [[ "$1" != *.sif ]]; do shift; done
echo "$1" >> "$NOTES"
shift
exec "$@"
"""


@pytest.fixture
def with_apptainer(tmp_path):
    """Return the variables of a run that finds a command apptainer, and the file in which that notes its images."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/apptainer").write_text(APPTAINER)
    (tmp_path / "bin/apptainer").chmod(0o755)
    folders = [str(tmp_path / "bin"), str(Path(sys.executable).parent), os.environ["PATH"]]
    return {"PATH": os.pathsep.join(folders), "NOTES": str(tmp_path / "images")}


SPLIT = "results/resnet20-digits-class0/split.npz"


def test_without_an_image_no_job_starts(tmp_path, with_apptainer):
    project = Project(tmp_path / "project", TINY)
    done = project.run(SPLIT, "--sdm", "apptainer", **with_apptainer)
    assert done.returncode == 1
    (line,) = [line for line in done.stdout.splitlines() if not line.startswith("Using workflow specific profile")]
    assert line.startswith("error: --sdm apptainer: ")
    assert line.endswith("apptainer build envs/unlearning.sif envs/unlearning.def")
    assert not (project.folder / "results").exists()


def test_the_jobs_run_in_the_container_from_any_folder(tmp_path, with_apptainer):
    project, notes = Project(tmp_path / "project", TINY), Path(with_apptainer["NOTES"])
    (project.folder / "envs/unlearning.sif").touch()
    elsewhere = Project.at(tmp_path / "elsewhere")
    elsewhere.folder.mkdir()
    command = ("--snakefile", f"{project.folder}/workflow/Snakefile", "--forceall", SPLIT)
    # The first run also makes the data set, in the folder of the project.
    for place, images in (
        (project, ["envs/unlearning.sif"] * 2),
        (elsewhere, ["../project/envs/unlearning.sif"]),
    ):
        done = place.run(*command, "--sdm", "apptainer", **with_apptainer)
        assert done.returncode == 0, done.stdout
        assert notes.read_text().split() == images
        notes.unlink()
    done = project.run(*command, **with_apptainer)
    assert done.returncode == 0, done.stdout
    assert not notes.exists()


def environment_with(package, folder):
    """Make a virtual environment with a package of this one and its requirements, by links. Return its Python."""
    venv.create(folder, symlinks=True)
    python = folder / "bin/python"
    site = next((folder / "lib").glob("python3*/site-packages"))
    waiting, found = [package], set()
    while waiting:
        name = waiting.pop()
        try:
            its = distribution(name)
        except PackageNotFoundError:  # only needed on other systems
            continue
        if its.metadata["Name"] in found:
            continue
        found.add(its.metadata["Name"])
        for top in {Path(file).parts[0] for file in its.files or () if not str(file).startswith(("..", "__pycache__"))}:
            if not (site / top).exists():
                (site / top).symlink_to(its.locate_file(top))
        needed = map(Requirement, its.requires or ())
        waiting += [each.name for each in needed if each.marker is None or each.marker.evaluate({"extra": ""})]
    return python


def test_the_commands_that_only_look_load_no_torch():
    """make status is called again and again."""
    code = "import sys, commands.status, commands.request; print({'torch', 'scipy', 'pandas'} & set(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", code], env={"PYTHONPATH": str(ROOT / "scripts")}, text=True, capture_output=True
    )
    assert done.stdout == "set()\n", done.stderr
