"""Shared by the tests: the project's root, configurations, and a copy of the workflow to run and edit."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import warm
import yaml

os.environ["OMP_NUM_THREADS"] = "1"  # before torch reads it: two tests run at once, and threads would compete
for variable in [name for name in os.environ if name.startswith("MAKE")]:
    del os.environ[variable]  # of the make that runs the tests; the make of a test is another one
ROOT = Path(__file__).resolve().parents[1]
RULE_FILES = [ROOT / "workflow/Snakefile", *sorted((ROOT / "workflow/rules").glob("*.smk"))]
RULES = re.findall(r"^rule (\w+):", "".join(file.read_text() for file in RULE_FILES), re.MULTILINE)
TARGETS = {"all", "figures"}
"""The rules that only ask for files, and have no script."""


def outside() -> dict[str, str]:
    """Return the variables of a process that no Snakemake has started, whatever runs the tests.

    Jobs call "python", and it has to be the Python that runs the tests.
    """
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SNAKEMAKE")}
    return environment | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"}


class Project:
    """A copy of the workflow in a folder of its own, run with the real Snakemake."""

    WHERE = ("--cores", "2")

    def __init__(self, folder: Path, changes: dict):
        self.folder = folder
        for name in ("workflow", "scripts", "envs"):
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", "*.sif"))
        config = yaml.safe_load((ROOT / "config.yaml").read_text())
        (folder / "config.yaml").write_text(yaml.safe_dump(merged(config, changes), sort_keys=False))

    @classmethod
    def at(cls, folder: Path) -> "Project":
        """Return the project that is already in ``folder``."""
        project = object.__new__(cls)
        project.folder = folder
        return project

    def start(self, *arguments: str, **variables: str) -> subprocess.Popen:
        """Start ``snakemake`` in the project's folder, in a process group of its own, with other variables."""
        return subprocess.Popen(
            [sys.executable, "-m", "snakemake", *self.WHERE, *arguments],
            cwd=self.folder,
            env=outside() | variables,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def run(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess:
        """Run ``snakemake`` to its end, with all its output as ``stdout`` of the result.

        It has been imported already, where there are no ``variables``, which may change how Python itself begins.
        """
        if not variables:
            return warm.run(["snakemake", *self.WHERE, *arguments], self.folder, outside())
        process = self.start(*arguments, **variables)
        printed, _ = process.communicate()
        return subprocess.CompletedProcess(process.args, process.returncode, printed)

    def make(self, *arguments: str) -> str:
        """Run ``snakemake`` and return its output. If it does not succeed, fail the test and show the output."""
        done = self.run(*arguments)
        assert done.returncode == 0, done.stdout
        return done.stdout

    def command(self, name: str, *arguments: str) -> subprocess.CompletedProcess:
        """Run a command as make runs it, in the project's folder with the project's code."""
        return subprocess.run(
            [sys.executable, "-m", f"commands.{name}", *arguments],
            cwd=self.folder,
            env=os.environ | {"PYTHONPATH": str(self.folder / "scripts")},
            text=True,
            capture_output=True,
        )

    def planned(self, *arguments: str) -> list[str]:
        """Return the jobs of a dry run, each as its rule and, if it has one, its method: "unlearn scrub"."""
        return jobs_in(self.make(*arguments, "-n", "--quiet", "host"))

    def read(self, path: str) -> str:
        return (self.folder / path).read_text()


def jobs_in(printed: str) -> list[str]:
    """Return the jobs in the output of a dry run, as `Project.planned` does."""
    jobs = []
    for rule, block in re.findall(r"^(?:local)?rule (\w+):\n((?: +.*\n)*)", printed, re.MULTILINE):
        method = re.search(r"method=(\w+)", block)
        jobs.append(f"{rule} {method[1]}" if method else rule)
    return sorted(jobs)


def merged(config: dict, changes: dict) -> dict:
    """Return ``config`` with ``changes`` laid over it, level by level."""
    both = {
        key: merged(config[key], value) if isinstance(value, dict) and key in config else value
        for key, value in changes.items()
    }
    return config | both


def configured(**settings):
    """Return the configuration of config.yaml with some top-level keys replaced and defaults filled in."""
    from unlearning.config.reading import CONFIG, SCHEMA, checked, read_yaml

    return checked(read_yaml(CONFIG) | settings, read_yaml(SCHEMA))


AS_CHOSEN = {"epoch_of": "retain", "batch_norm": "train", "augment": True}
"""The values that the schema fills in, for tests that unlearn without a configuration."""
TINY_PROTOCOL = {
    "batch_size": 64,
    "crop_padding": 1,
    "flip": False,
    "pretrain": {"epochs": 2, "learning_rate": 0.05, "momentum": 0.9, "weight_decay": 5.0e-4, "evaluate_every": 1},
    "unlearn": {"epochs": 1, "learning_rate": 0.003},
    "relearn": {"images": 20, "batch_size": 10, "epochs": 20, "learning_rate": 0.003},
}
TINY_SUITE = {
    "benchmarks": ["resnet20-digits-class0"],
    "methods": ["head_mask", "retain_finetune", "negative_gradient", "bad_teacher", "scrub"],
    "seeds": [1],
}
TINY = {
    "suites": {"digits": TINY_SUITE},
    "benchmarks": {"resnet20-digits": {"protocol": "tiny", "width": 0.25, "image_size": 8}},
    "protocols": {"tiny": TINY_PROTOCOL},
}
