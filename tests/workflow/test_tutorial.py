"""docs/tutorial.md: every command of it, in its order, in a copy of the project."""

import csv
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from project import ROOT, outside

COMMANDS = re.findall(r"^```bash\n(.*?)\n```$", (ROOT / "docs/tutorial.md").read_text(), re.MULTILINE | re.DOTALL)
INSTALLED = Path(sys.prefix) / "installed"
"""The stamp of the Makefile. Without it, make would install into the environment that the tests run in."""

ROWS = [
    *("original", "retrain", "head_mask", "retain_finetune", "negative_gradient", "bad_teacher", "scrub"),
    *("mask_and_average", "mask_and_average_score"),
]


@pytest.fixture
def folder(tmp_path):
    """Return a copy of what a clone has, with the environment of the tests as its .venv."""
    for name in ("workflow", "scripts", "envs"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__", "*.sif"))
    for name in ("Makefile", "config.yaml", "requirements.lock"):
        shutil.copy2(ROOT / name, tmp_path / name)
    os.utime(tmp_path / "requirements.lock", (0, 0))
    (tmp_path / ".venv").symlink_to(sys.prefix)
    return tmp_path


@pytest.mark.skipif(not INSTALLED.exists(), reason="needs the .venv that make has installed")
def test_the_tutorial_from_its_first_command_to_its_last(folder):
    variables = outside()

    def run(command):
        done = subprocess.run(command, shell=True, cwd=folder, env=variables, text=True, capture_output=True)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    def cells():
        return list(csv.DictReader((folder / "results/metrics.csv").read_text().splitlines()))

    def made():
        return {path: path.stat().st_mtime_ns for path in (folder / "results").glob("*/seed42/**/*.pt")}

    first, write, with_it, edit, again, check, draw = COMMANDS
    said = run(first)
    assert [cell["method"] for cell in cells()] == ROWS
    assert "| *retrain* (the oracle) |" in said
    assert "results/table.md: the whole table" in said
    assert re.search(r"^scrub · resnet20-digits-class0 · seed 42: retain_acc \d\.\d{3}", said, re.MULTILINE)
    assert "scripts/methods/my_method.py is written" in run(write)
    before = made()
    assert re.search(r"^my_method · .*: retain_acc", run(with_it), re.MULTILINE)
    assert [cell["method"] for cell in cells()] == [*ROWS, "my_method"]
    assert {path: its for path, its in made().items() if path.parent.name != "my_method"} == before
    mild, before = cells()[-1], made()
    run(edit)
    run(again)
    strong = cells()[-1]
    assert {path.parent.name for path, its in made().items() if before.get(path) != its} == {"my_method"}
    assert strong["retain_acc"] != mild["retain_acc"]
    assert "10 of 10 cells are ok" in run(check)
    run(draw)
    for name in ("tradeoff", "routing"):
        assert (folder / f"results/figures/{name}-resnet20-digits-class0.svg").exists()
    assert (folder / "results/table.html").exists()
    of_cell = {path.name for path in (folder / "results/resnet20-digits-class0/seed42/my_method").iterdir()}
    assert {"metrics.json", "history.csv", "scores.npz", "unlearned.pt"} <= of_cell
