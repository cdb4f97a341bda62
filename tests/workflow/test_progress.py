"""What is there before the end: make preview, make status and make plan, also while a run is going on."""

import contextlib
import os
import re
import shutil
import signal
import subprocess

import pytest
from conftest import ROOT, TINY, Project, merged

from benches import estimate
from benches.estimate import unlearning_seconds
from unlearning.workflow.progress import OF_BAR, Running, duration, owner, running

CELLS = "results/resnet20-digits-class0/seed1"
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
"""A method that stops for good in its second epoch, and says so."""

TWO_SEEDS = {
    "suites": {"digits": {"seeds": [1, 2], "methods": ["head_mask", "waiting", "raising"]}},
    "methods": {"waiting": {"file": "waiting.py"}, "raising": {"file": "raising.py"}},
    "protocols": {"tiny": {"unlearn": {"epochs": 3}}},
}


@pytest.fixture(scope="module")
def halfway(tmp_path_factory):
    """Yield a project whose run has made all that can be made, while a method of its first seed waits for good."""
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
    """Return all files but Snakemake's own logs: every look at a run has one."""
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
    first = preview.split("Beside the score:")[0]
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in first.splitlines() if "|" in line]
    rows = {row[0]: row[1:] for row in cells}
    assert rows["*retrain* (the oracle)"] == ["pending", "–", "–", "–"]
    assert rows["waiting"] == ["pending", "–", "–", "–"]
    assert rows["raising, 1 of 2 seeds"][0] == "failed (1 of 1 seeds)"
    assert re.fullmatch(r"0\.\d{3}", rows["*original* (before unlearning), 1 of 2 seeds"][0])  # one seed: no interval
    assert re.fullmatch(r"0\.\d{3} ± \d\.\d{3}", rows["*head_mask* (control)"][0])
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
    # An edit that makes cells again makes them pending; those of another suite are not asked for.
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


def test_nothing_to_preview_is_said(tmp_path):
    project = Project(tmp_path / "fresh", TINY)
    done = project.command("preview")
    assert done.returncode == 1
    assert done.stderr == "error: nothing is finished yet; make status says how far the run is\n"
    assert "7 cells: 7 waiting; no run is going on" in project.command("status").stdout
    assert not (project.folder / "results/preview.md").exists()


# --- what a log says of its job


@pytest.fixture
def log(tmp_path, monkeypatch):
    """Return a function that writes the log of a job, and the time as seconds after the last line."""
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


BAR = " 88%|########7 | 70/80 [21:16<20:24, 122.47s/epoch, train_loss=0.0740, test_accuracy=None]"


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


def test_the_bar_is_that_of_a_real_training(finished_project):
    log = finished_project.read("results/resnet20-digits/seed1/pretrain.log")
    bars = [OF_BAR.search(line) for line in log.splitlines() if "epoch" in line]
    assert [(bar["done"], bar["all"]) for bar in bars] == [("1", "2"), ("2", "2")]


def test_a_run_that_was_killed_is_not_going_on(log, tmp_path):
    assert owner() == f"{os.getpid()} on {os.uname().nodename}"
    ended = subprocess.Popen(["true"])
    ended.wait()
    (tmp_path / "results/.lock").write_text(f"{ended.pid} on {os.uname().nodename}\n")
    assert owner() is None
    (tmp_path / "results/.lock").write_text("1 on another_machine\n")
    assert owner() == "1 on another_machine"  # nothing here could tell
    (tmp_path / "results/.lock").unlink()
    assert owner() is None


@pytest.mark.parametrize(("seconds", "text"), [(45, "45 s"), (720, "12 min"), (12_240, "3.4 h")])
def test_durations_are_for_people(seconds, text):
    assert duration(seconds) == text


# --- what it will cost


def test_a_plan_counts_jobs_and_says_what_is_there(copied_project):
    (copied_project.folder / CELLS / "scrub/metrics.json").unlink()
    done = copied_project.command("plan", "methods=head_mask scrub retain_finetune", "seeds=1 2", "--cores", "1")
    assert done.returncode == 0, done.stderr
    rows = {line.split()[0]: line.split()[1:] for line in done.stdout.splitlines() if line.strip()}
    counts = {rule: int(row[0]) for rule, row in rows.items() if rule in ("pretrain", "retrain", "unlearn", "evaluate")}
    assert counts == {"pretrain": 1, "retrain": 1, "unlearn": 3, "evaluate": 6}
    assert re.search(r"core minutes in all; \d+ s with 1 job at a time", done.stdout)
    assert "there already: 10 of 23 jobs" in done.stdout
    assert re.search(r"disk: \d+ MB of results$", done.stdout, re.MULTILINE)
    assert "measuring scrub on resnet20" in done.stderr
    assert "measuring bad_teacher" not in done.stderr
    fresh = copied_project.command(
        "plan", "suite=paper", "benchmarks=resnet20-cifar10-class0", "methods=head_mask", "seeds=1"
    )
    assert "to be fetched first: cifar10" in fresh.stdout
    assert re.search(r"core hours in all; \d+\.\d h with", fresh.stdout)


def test_epochs_that_were_not_measured_take_what_the_last_before_them_took(monkeypatch, tmp_path):
    """A method with two dear epochs, a first step by itself, and cheap ones to the end; in made-up seconds."""
    (tmp_path / "method.py").write_text(
        "class UnlearningMethod:\n"
        "    def unlearn_step(self, model, retain_batch, forget_batch, optimizer, step, epoch):\n"
        "        import builtins\n"
        "        builtins.seconds += 100 if (epoch, step) == (0, 0) else 7 if epoch < 2 else 1\n"
        "        return {'loss': 0.0}\n"
    )
    import builtins

    import torch

    monkeypatch.setattr(builtins, "seconds", 0.0, raising=False)
    monkeypatch.setattr(estimate.time, "perf_counter", lambda: builtins.seconds)
    setup = estimate.Setup("resnet20", 0.25, 3, 1, 8, 4, "float32")
    speed = estimate.Speed(step=1.0, image=0.0, probe=0.0, weights=0, small=setup, scale=2.0)
    seconds = unlearning_seconds(speed, torch.device("cpu"), tmp_path / "method.py", {}, epochs=6, steps=10)
    assert seconds == 2 * ((100 - 7) + 10 * (7 + 7 + 1 + 1 + 1 + 1))


def test_the_sizes_of_what_is_not_there_yet_are_those_that_will_be():
    from unlearning.data.sources import CHANNELS, SIZES, digits

    arrays = digits()
    assert (len(arrays["train_labels"]), len(arrays["test_labels"])) == SIZES["digits"]
    assert set(SIZES) == set(CHANNELS)
    schema = (ROOT / "workflow/schemas/config.schema.yaml").read_text()
    assert f"enum: [{', '.join(SIZES)}]" in schema


def test_make_hands_on_what_is_asked_for():
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    for target in ("preview", "status", "plan"):
        command = ["make", "-n", target, "SUITE=paper", "METHODS=scrub delete", "CORES=2"]
        done = subprocess.run(command, cwd=ROOT, env=environment, text=True, capture_output=True, check=True)
        cores = " --cores 2" if target == "plan" else ""
        expected = f"-m commands.{target}{cores} suite='paper' methods='scrub delete'"
        assert done.stdout.splitlines()[-1].strip().endswith(expected)
