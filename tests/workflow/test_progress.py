"""Views before the end of a run: make preview, make status and make plan, also during a run."""

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys

import pytest
from project import TINY, Project, merged, outside

from unlearning.workflow.progress import OF_BAR

CELLS = "results/resnet20-digits-class0/seed1"
METRICS = ["retain_acc", "forget_acc", "forget_mia_auc", "unlearn_score"]
METHODS = ["head_mask", "retain_finetune", "negative_gradient", "bad_teacher", "scrub"]
WAITING = (
    "import time\n"
    "class UnlearningMethod:\n"
    "    def unlearn_step(self, model, retain_batch, forget_batch, optimizer, step, epoch):\n"
    "        if epoch == 1 and step == 0:\n"
    "            open('there', 'w').write('I am')\n"  # waits until someone reads it
    "            time.sleep(600)\n"
    "        return {'loss': 0.0}\n"
)
"""A method that stops forever in its second epoch, and signals it."""
TWO_SEEDS = {
    "suites": {"digits": {"seeds": [1, 2], "methods": ["head_mask", "waiting", "raising"]}},
    "methods": {"waiting": {"file": "waiting.py"}, "raising": {"file": "raising.py"}},
    "protocols": {"tiny": {"unlearn": {"epochs": 3}}},
}


@pytest.fixture(scope="module")
def halfway(tmp_path_factory):
    """Yield a project whose run has made everything possible, while one method of the first seed waits forever."""
    project = Project(tmp_path_factory.mktemp("halfway"), merged(TINY, TWO_SEEDS))
    (project.folder / "waiting.py").write_text(WAITING)
    (project.folder / "raising.py").write_text("class UnlearningMethod:\n    unlearn_step = None\n")
    os.mkfifo(project.folder / "there")
    done = [f"{CELLS.replace('seed1', f'seed{seed}')}/head_mask/metrics.json" for seed in (1, 2)]
    project.make(*done, f"{CELLS}/original/metrics.json", f"{CELLS}/raising/metrics.json")
    process = project.start("results/table.md", "--cores", "1", "--until", f"{CELLS}/waiting/unlearned.pt")
    with (project.folder / "there").open() as there:
        assert there.read() == "I am"
        yield project, process
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def everything_in(folder):
    """Return all files except for Snakemake's own logs: every dry run writes one."""
    files = [path for path in folder.rglob("*") if path.is_file() and ".snakemake/log" not in path.as_posix()]
    return {path: path.read_bytes() for path in files if "__pycache__" not in path.parts}


def test_status_is_a_grid_of_what_every_cell_is_doing(halfway):
    project, process = halfway
    before = everything_in(project.folder)
    done = project.command("status")
    assert done.returncode == 0, done.stderr
    grid = {line.split()[0]: re.split(r"\s{2,}", line.strip())[1:] for line in done.stdout.splitlines() if line.strip()}
    assert grid["original"] == ["done", "waiting"]
    assert grid["retrain"] == ["waiting", "waiting"]
    assert grid["head_mask"] == ["done", "done"]
    assert grid["raising"] == ["failed", "waiting"]
    assert re.fullmatch(r"epoch 1 of 3(, \d+ s left)?", grid["waiting"][0])
    assert grid["waiting"][1] == "waiting"
    counts, run = done.stdout.splitlines()[-1].split("; ")
    assert set(counts.split(": ")[1].split(", ")) == {"3 done", "1 failed", "1 running", "5 waiting"}
    assert run.startswith(f"a run is going on (process {process.pid} on ")
    assert everything_in(project.folder) == before  # nothing is changed


def test_a_preview_has_what_is_finished_and_marks_what_is_not(halfway):
    project, _ = halfway
    before = everything_in(project.folder)
    done = project.command("preview")
    assert (done.returncode, done.stdout) == (0, "results/preview.md: 4 of 10 cells\n"), done.stderr
    preview = project.read("results/preview.md")
    assert "**A preview: 4 of 10 cells are finished.**" in preview
    first = preview.split("Left in the features")[0]
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in first.splitlines() if "|" in line]
    rows = {row[0]: row[1:] for row in cells}
    assert rows["*retrain* (the oracle)"] == ["pending", "–", "–", "–"]
    assert rows["waiting"] == ["pending", "–", "–", "–"]
    assert rows["raising, 1 of 2 seeds"][0] == "failed (1 of 1 seeds)"
    assert re.fullmatch(r"0\.\d{3}", rows["*original*, 1 of 2 seeds"][0])  # one seed: no interval
    assert re.fullmatch(r"0\.\d{3} \(\.\d{3}–\.\d{3}\)", rows["*head_mask* (control)"][0])
    assert "- raising, seed 1: failed" in preview
    after = everything_in(project.folder)
    assert after.pop(project.folder / "results/preview.md")
    assert after == {path: its for path, its in before.items() if path.name != "preview.md"}


def test_an_interrupted_run_is_previewed_as_well(halfway):
    project, process = halfway
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert project.command("preview").stdout == "results/preview.md: 4 of 10 cells\n"
    status = project.command("status").stdout
    assert status.splitlines()[-1].endswith("; no run is going on")
    assert "running" not in status


def test_a_preview_of_a_whole_table_is_the_table(finished_project, tmp_path):
    project = Project.at(shutil.copytree(finished_project.folder, tmp_path / "copy"))
    assert project.command("preview").stdout == "results/preview.md: 7 of 7 cells\n"
    assert project.read("results/preview.md") == project.read("results/table.md")
    # Cells that an edit makes again become pending. Cells of another suite are not requested.
    file = project.folder / "scripts/methods/scrub.py"
    file.write_text(f"{file.read_text()}\nedited = 1\n")
    assert project.command("preview").stdout == "results/preview.md: 6 of 7 cells\n"
    assert project.command("preview", "methods=bad_teacher").stdout == "results/preview.md: 3 of 3 cells\n"
    assert "| scrub" not in project.read("results/preview.md")


@pytest.mark.parametrize("command", ["preview", "status", "plan"])
@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("methods=scrubb", "error: configuration: suites.digits.methods: unknown name 'scrubb'; did you mean scrub?"),
        ("nonsense", "error: nonsense: write KEY=VALUE, e.g. suite=paper"),
        ("sute=paper", "error: configuration: top level: unknown key 'sute'; did you mean suite?"),
    ],
)
def test_a_mistake_is_explained_in_one_line(finished_project, command, word, message):
    done = finished_project.command(command, word)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith(message)


def test_a_job_that_was_killed_is_named_by_check_status_and_preview(copied_project):
    """After a run that failed, the table is still that of the run before."""
    (copied_project.folder / "crash.py").write_text(
        "import ctypes\nclass UnlearningMethod:\n    def unlearn_step(self, *arguments):\n        ctypes.string_at(0)\n"
    )
    assert copied_project.run("results/table.md", "--config", "method=crash.py").returncode == 1
    log = f"{CELLS}/crash/unlearn.log"
    done = copied_project.command("check")
    assert done.returncode == 1
    assert f"not made in the last run: ended without a word: see {log}\n" in done.stderr
    assert done.stdout == "7 of 7 cells of the last whole table are ok\n"
    assert re.search(r"^crash +error$", copied_project.command("status", "method=crash.py").stdout, re.MULTILINE)
    assert f"Not made: ended without a word: see {log}" in " ".join(copied_project.read("results/preview.md").split())


def test_nothing_to_preview_is_said(tmp_path):
    project = Project(tmp_path / "fresh", TINY)
    done = project.command("preview")
    assert done.returncode == 1
    assert done.stderr == "error: nothing is finished yet; make status says how far the run is\n"
    assert "7 cells: 7 waiting; no run is going on" in project.command("status").stdout
    assert not (project.folder / "results/preview.md").exists()


def test_the_bar_is_that_of_a_real_training(finished_project):
    log = finished_project.read("results/resnet20-digits/seed1/pretrain.log")
    bars = [OF_BAR.search(line) for line in log.splitlines() if "epoch" in line]
    assert [(bar["done"], bar["all"]) for bar in bars] == [("1", "2"), ("2", "2")]


COUNTED = ("pretrain", "retrain", "unlearn", "evaluate", "compare")


def test_a_plan_counts_jobs_and_says_what_is_there(copied_project):
    (copied_project.folder / CELLS / "scrub/metrics.json").unlink()
    done = copied_project.command("plan", "methods=head_mask scrub retain_finetune", "seeds=1 2", "--cores", "1")
    assert done.returncode == 0, done.stderr
    rows = {line.split()[0]: line.split()[1:] for line in done.stdout.splitlines() if line.strip()}
    counts = {rule: int(row[0]) for rule, row in rows.items() if rule in COUNTED}
    assert counts == {"pretrain": 1, "retrain": 1, "unlearn": 3, "evaluate": 6, "compare": 6}
    assert re.search(r"core minutes in all; \d+ s with 1 job at a time", done.stdout)
    assert "there already: 14 of 33 jobs" in done.stdout
    assert re.search(r"disk: \d+ MB of results$", done.stdout, re.MULTILINE)
    assert "measuring scrub on resnet20" in done.stderr
    assert "measuring bad_teacher" not in done.stderr
    fresh = copied_project.command(
        "plan", "suite=paper", "benchmarks=resnet20-cifar10-class0", "methods=head_mask", "seeds=1"
    )
    assert "to be fetched first: cifar10" in fresh.stdout
    assert re.search(r"core hours in all; \d+\.\d h with", fresh.stdout)


def on_a_terminal(project, *arguments):
    """Run Snakemake with a terminal as its output, and return all that it wrote there."""
    ours, its = os.openpty()
    command = [sys.executable, "-m", "snakemake", *project.WHERE, *arguments]
    process = subprocess.Popen(command, cwd=project.folder, env=outside(), stdout=its, stderr=its)
    os.close(its)
    written = b""
    with contextlib.suppress(OSError):  # what reading raises at the end
        while part := os.read(ours, 4096):
            written += part
    os.close(ours)
    assert process.wait() == 0, written.decode()
    return written.decode().replace("\r\n", "\n")


def test_a_run_tells_the_result_of_each_cell_and_ends_with_the_table(copied_project):
    cell = copied_project.folder / CELLS / "scrub/metrics.json"
    cell.unlink()
    printed = copied_project.make("results/table.md")
    told = [line for line in printed.splitlines() if line.startswith("scrub · ")]
    scores = json.loads(cell.read_text())
    assert told == [
        "scrub · resnet20-digits-class0 · seed 1: " + ", ".join(f"{name} {scores[name]:.3f}" for name in METRICS)
    ]
    assert not re.search("Finished jobid|Select jobs|steps .* done|SNAKEMAKE|\r", printed)
    block = next(part for part in copied_project.read("results/table.md").split("\n\n") if part.startswith("| method"))
    assert printed.index(told[0]) < printed.index(block) < printed.index("7 of 7 cells are ok")


def test_a_terminal_shows_how_far_the_run_is_until_the_end(copied_project):
    (copied_project.folder / CELLS / "scrub/metrics.json").unlink()
    printed = on_a_terminal(copied_project, "results/table.md")
    assert ": evaluate scrub · resnet20-digits-class0 · seed 1\r\033[Kscrub · " in printed  # the line makes room
    last = printed.rindex(" of 1 cells")
    assert printed.index("\r\033[K", last) < printed.index("| method")  # the last words begin on a line of their own


@pytest.mark.parametrize("choice", [("--quiet", "progress"), ("--verbose",)])
def test_who_asks_snakemake_for_more_or_less_gets_it(copied_project, choice):
    (copied_project.folder / "results/table.md").unlink()
    printed = copied_project.make("results/table.md", *choice)
    assert ("Finished jobid" in printed) == (choice == ("--verbose",))
    assert " · seed 1" not in printed
