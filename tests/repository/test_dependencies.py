"""The pinned versions: one lock for pip, and the conda environment and the container with the same versions.

And what is imported where: by the jobs, and by Snakemake's own process.
"""

import ast
import re
import subprocess
import sys
from importlib.metadata import packages_distributions, requires
from pathlib import Path

from packaging.requirements import Requirement
from project import ROOT

from unlearning.watched_code import SCRIPTS, code_of

ENVIRONMENT, DEFINITION = ROOT / "envs/unlearning.yaml", ROOT / "envs/unlearning.def"


def pins(text):
    """Return the names and versions in lines such as "- numpy==2.4.6  # reason"."""
    return dict(re.findall(r"^\s*(?:- )?([\w.-]+)==([^\s#]+)", text, re.MULTILINE))


def test_the_lock_pins_every_direct_dependency_and_torch_in_any_build():
    lock = (ROOT / "requirements.lock").read_text()
    direct = re.findall(r"^([\w-]+)", (ROOT / "requirements.txt").read_text(), re.MULTILINE)
    assert set(direct) <= set(pins(lock))
    assert pins(lock)["torch"] == "2.13.0"  # without +cpu, because a CUDA build would not match it
    lines = [line for line in lock.splitlines() if line and not line.lstrip().startswith("#")]
    assert len(lines) == len(pins(lock))


def test_the_conda_environment_has_the_versions_of_the_lock():
    conda, lock = (pins((ROOT / name).read_text()) for name in ("envs/unlearning.yaml", "requirements.lock"))
    assert {"torch", "torchvision", "scikit-learn", "pandas"} <= set(conda)
    assert conda.items() <= lock.items()


def test_the_container_has_the_packages_of_the_conda_environment_at_the_versions_of_the_lock():
    """The definition reads both files, and says no version of its own but Python's."""
    text = DEFINITION.read_text()
    assert pins(text) == {}
    copied = dict(re.findall(r"^    (\S+) (/opt/\S+)$", text, re.MULTILINE))
    assert copied == {"envs/unlearning.yaml": "/opt/unlearning.yaml", "requirements.lock": "/opt/requirements.lock"}
    taking, installing = re.search(r"^%post\n    (.*)\n    (.*)\n", text, re.MULTILINE).groups()
    # The line that takes the packages out of the conda environment, as it stands, on the file of this project.
    taking, _, taken = taking.replace("/opt/unlearning.yaml", str(ENVIRONMENT)).partition(" > ")
    found = subprocess.run(["bash", "-c", taking], text=True, capture_output=True, check=True).stdout
    assert found.split() == [f"{name}=={version}" for name, version in pins(ENVIRONMENT.read_text()).items()]
    assert f"--requirement {taken} --constraint /opt/requirements.lock" in installing
    (python,) = re.findall(r"^From: python:([\d.]+)-slim$", text, re.MULTILINE)
    assert f"- python ={python}\n" in ENVIRONMENT.read_text()


def packages_of(files):
    """Return the distributions that Python files import, at their top or in a function."""
    names = set()
    for file in files:
        for node in ast.walk(ast.parse(file.read_bytes())):
            if isinstance(node, ast.Import):
                names |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                names.add(node.module)
    tops = {name.split(".")[0] for name in names} - sys.stdlib_module_names - {"unlearning", "methods"}
    return {distribution for top in tops for distribution in packages_distributions()[top]}


def test_the_environment_of_the_jobs_is_what_jobs_and_methods_import():
    files = {file for script in SCRIPTS.glob("*.py") for file in code_of(script)}
    files |= set((SCRIPTS / "methods").rglob("*.py"))
    assert packages_of(files) == set(pins(ENVIRONMENT.read_text()))


def test_what_the_workflow_itself_imports_comes_with_snakemake():
    """So Snakemake alone plans and starts the workflow. docs/environments.md names the packages."""
    common = (ROOT / "workflow/rules/common.smk").read_text()
    modules = re.findall(r"^from (unlearning[\w.]*) import", common, re.MULTILINE)
    assert len(modules) > 5
    files = {file for name in modules for file in code_of(SCRIPTS / f"{name.replace('.', '/')}.py")}
    used = packages_of(files) - {"snakemake"}
    assert {name.lower() for name in used} <= {Requirement(each).name.lower() for each in requires("snakemake")}
    page = " ".join(Path(ROOT / "docs/environments.md").read_text().split())
    assert f"imports only {', '.join(sorted(used)[:-1])} and {sorted(used)[-1]}" in page
