"""Runs of the real Snakemake that are killed, told to end, locked out, or out of disk space: nothing is lost."""

import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from project import ROOT, TINY, Project, merged, outside

CELLS = "results/resnet20-digits-class0/seed1"
FEW = {"suites": {"digits": {"benchmarks": ["resnet20-digits-class0"], "seeds": [1], "methods": ["scrub"]}}}
LONGER = {"protocols": {"tiny": {"pretrain": {"epochs": 4}, "unlearn": {"epochs": 3}}}}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """Return a finished project with one method and several epochs."""
    project = Project(tmp_path_factory.mktemp("undisturbed"), merged(merged(TINY, FEW), LONGER))
    project.make()
    return project


def test_a_run_killed_at_random_moments_ends_with_the_same_bytes(tmp_path, undisturbed):
    """At least 20 kills. On a busy machine, few runs reach a training: kills go on, ever later, until one hits one."""
    project = Project(tmp_path / "killed", merged(merged(TINY, FEW), LONGER))
    moments = random.Random(0)
    resumed = kills = 0
    while kills < 20 or (resumed == 0 and kills < 100):
        process = project.start()
        try:
            later = max(1, kills / 20)
            assert process.wait(timeout=moments.triangular(1, 10, 2) * later) == 0, process.stdout.read()
            is_done = True
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            kills += 1
            is_done = False
        resumed += sum("going on after" in log.read_text() for log in project.folder.glob("results/**/*.log"))
        if is_done:  # the run ended before the kill
            assert project.read("results/metrics.csv") == undisturbed.read("results/metrics.csv")
            shutil.rmtree(project.folder / "results")
    project.make()
    for file in ("metrics.csv", "summary.csv", "comparisons.csv"):
        assert project.read(f"results/{file}") == undisturbed.read(f"results/{file}")
    assert list(project.folder.rglob("*.partial")) == []
    assert resumed > 0  # some trainings continued from their last whole epoch


def test_a_killed_job_goes_on_from_its_last_whole_epoch(tmp_path):
    """The method kills its own job in the second epoch, the first time. The result is the same as without the kill."""
    method = (
        "import os, pathlib\n"
        "class UnlearningMethod:\n"
        "    def unlearn_step(self, model, retain_batch, forget_batch, optimizer, step, epoch):\n"
        "        if epoch == 1 and step == 2 and not pathlib.Path('killed').exists():\n"
        "            pathlib.Path('killed').touch()\n"
        "            os.kill(os.getpid(), 9)\n"
        "        self.steps = getattr(self, 'steps', 0) + 1\n"
        "        loss = F.cross_entropy(model(retain_batch[0]), retain_batch[1])\n"
        "        optimizer.zero_grad()\n"
        "        loss.backward()\n"
        "        optimizer.step()\n"
        "        return {'loss': loss, 'steps': self.steps}\n"
    )
    project = Project(tmp_path / "one", merged(merged(TINY, LONGER), {"methods": {"mortal": {"file": "mortal.py"}}}))
    (project.folder / "mortal.py").write_text(method)
    files = [f"{CELLS}/mortal/{name}" for name in ("metrics.json", "history.csv")]
    assert project.run(*files).returncode == 1
    project.make(*files)
    assert "going on after 1 epoch(s)" in project.read(f"{CELLS}/mortal/unlearn.log")
    resumed = [project.read(file) for file in files]
    (savepoint,) = (project.folder / CELLS / "mortal").glob(".unlearn.*.savepoint")
    savepoint.unlink()
    project.make(*files, "--forcerun", "unlearn")
    assert "going on" not in project.read(f"{CELLS}/mortal/unlearn.log")
    assert [project.read(file) for file in files] == resumed


@pytest.fixture
def blocked(tmp_path):
    """Yield a project whose only job has a method that waits forever, once it waits, and the process that runs it."""
    changes = {"methods": {"waiting": {"file": "waiting.py"}}}
    project = Project(tmp_path / "blocked", merged(TINY, changes))
    os.mkfifo(project.folder / "there")
    (project.folder / "waiting.py").write_text(
        "import time\n"
        "class UnlearningMethod:\n"
        "    def unlearn_step(self, *arguments):\n"
        "        there = open('there', 'w')\n"
        "        print('I am', file=there, flush=True)\n"
        "        time.sleep(600)\n"
    )
    process = project.start(f"{CELLS}/waiting/metrics.json", f"{CELLS}/retain_finetune/metrics.json")
    with (project.folder / "there").open() as there:  # waits until the method also opens it
        assert there.readline() == "I am\n"
        yield project, process, there
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def test_sigterm_ends_the_run_and_its_jobs_within_ten_seconds(blocked):
    project, process, there = blocked
    process.terminate()  # Snakemake alone, as a container's or a batch system's "stop" does
    output, _ = process.communicate(timeout=10)
    assert there.read() == ""  # the method's process has ended, too
    assert process.returncode != 0
    assert "stopped in unlearn (waiting on resnet20, digits, forget class 0, seed 1) by SIGTERM; run again" in output
    assert (project.folder / "results/resnet20-digits/seed1/pretrained.pt").exists()
    # Nothing needs to be unlocked.
    project.make(f"{CELLS}/retain_finetune/metrics.json")


def test_ctrl_c_ends_the_run_and_its_jobs_within_ten_seconds(blocked):
    """Also if the signal reaches only Snakemake, and not the whole group, as it does from a terminal."""
    project, process, there = blocked
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=10)
    assert there.read() == ""
    assert process.returncode != 0
    assert "run again to go on" in output
    project.make(f"{CELLS}/retain_finetune/metrics.json")


STUBBORN = """
import signal, time
class UnlearningMethod:
    def unlearn_step(self, *arguments):
        {ignore}
        there = open('there', 'w')
        print('I am', file=there, flush=True)
        time.sleep(600)
"""
IGNORING = {
    "the first time": "signal.signal(signal.SIGTERM, lambda *_: signal.signal(signal.SIGTERM, signal.SIG_DFL))",
    "every time": "signal.signal(signal.SIGTERM, signal.SIG_IGN)",
}


@pytest.mark.parametrize("when", IGNORING)
def test_a_job_that_misses_the_signal_is_told_again_and_killed_in_the_end(tmp_path, when):
    """A job that is just starting misses the signal. A run that is told to end must end, independent of its jobs."""
    project = Project(tmp_path / "stubborn", merged(TINY, {"methods": {"stubborn": {"file": "stubborn.py"}}}))
    workspace = project.folder / "scripts/unlearning/workflow/workspace.py"
    patient = "PATIENCE, BETWEEN_TELLINGS = 20.0, 0.5"
    assert patient in workspace.read_text()
    if when == "every time":
        workspace.write_text(workspace.read_text().replace(patient, "PATIENCE, BETWEEN_TELLINGS = 1.0, 0.2"))
    (project.folder / "stubborn.py").write_text(STUBBORN.format(ignore=IGNORING[when]))
    os.mkfifo(project.folder / "there")
    process = project.start(f"{CELLS}/stubborn/metrics.json")
    with (project.folder / "there").open() as there:
        assert there.readline() == "I am\n"
        process.terminate()
        process.communicate(timeout=15)
        assert there.read() == ""  # the job has ended, too
    assert process.returncode != 0


def test_a_table_in_slices_of_limited_time_is_that_of_one_run(tmp_path, undisturbed):
    """timeout stops make, and make stops Snakemake. The same command continues, until there is a table."""
    project = Project(tmp_path / "slices", merged(merged(TINY, FEW), LONGER))
    make = ["make", "-f", ROOT / "Makefile", "-o", ".venv/installed", f"BIN={Path(sys.executable).parent}", "CORES=2"]
    statuses = []
    while 0 not in statuses:
        seconds = "8" if len(statuses) < 2 else "120"  # on a busy machine the first may do nothing
        done = subprocess.run(
            ["timeout", seconds, *make, "table"], cwd=project.folder, env=outside(), text=True, capture_output=True
        )
        statuses.append(done.returncode)
        assert done.returncode in (0, 124), done.stdout + done.stderr  # 124: the time was over
        assert "another run" not in done.stdout + done.stderr  # no run was left behind
        assert len(statuses) < 9
    assert 124 in statuses
    assert project.read("results/metrics.csv") == undisturbed.read("results/metrics.csv")


def test_a_second_run_in_the_same_results_is_refused(blocked):
    project, process, _ = blocked
    second = project.run(f"{CELLS}/scrub/metrics.json")
    assert second.returncode == 1
    (line,) = [line for line in second.stdout.splitlines() if line.startswith("error: ")]
    assert line.startswith(f"error: results: another run (process {process.pid} on ")
    assert line.endswith("is writing there; wait for its end, or end it")
    assert "Traceback" not in second.stdout
    assert project.planned(f"{CELLS}/scrub/metrics.json") == ["evaluate scrub", "unlearn scrub"]  # a dry run is allowed


@pytest.fixture
def mounted():
    """Return a function that mounts something over a folder until the test is over."""
    folders = []

    def mount(folder, *options):
        done = subprocess.run(["mount", *options, str(folder)], capture_output=True, text=True)
        if done.returncode:
            pytest.skip(f"mounting needs rights that are missing here: {done.stderr.strip()}")
        if "remount" not in ",".join(options):
            folders.append(folder)

    yield mount
    for folder in reversed(folders):
        subprocess.run(["umount", "-l", str(folder)], check=True)


def errors_of(done):
    assert done.returncode == 1, done.stdout
    assert "Traceback" not in done.stdout
    return [line for line in done.stdout.splitlines() if line.startswith("error")]


def test_results_that_cannot_be_written_end_the_run_with_one_line(undisturbed, mounted):
    results = undisturbed.folder / "results"
    before = {path: path.read_bytes() for path in results.rglob("*") if path.is_file()}
    mounted(results, "--bind", str(results))
    mounted(results, "-o", "remount,ro,bind")
    (line,) = errors_of(undisturbed.run("--forcerun", "table"))
    assert line == "error: results: nothing can be written there; make it writable (nothing was changed)"
    assert {path: path.read_bytes() for path in results.rglob("*") if path.is_file()} == before


def test_a_full_disk_ends_the_run_with_one_line_and_keeps_what_is_there(undisturbed, mounted):
    results = undisturbed.folder / "results"
    kept = shutil.copytree(results, undisturbed.folder / "kept")
    mounted(results, "-t", "tmpfs", "-o", "size=80m", "none")
    shutil.copytree(kept, results, dirs_exist_ok=True)
    tables = {name: undisturbed.read(f"results/{name}") for name in ("table.md", "metrics.csv")}
    (results / "ballast").write_bytes(bytes(40_000_000))
    (line,) = errors_of(undisturbed.run("--forcerun", "aggregate"))
    assert "the disk is full (" in line
    (results / "ballast").unlink()
    # The disk gets full half-way: the method itself fills it.
    (undisturbed.folder / "filling.py").write_text(
        "class UnlearningMethod:\n"
        "    def unlearn_step(self, *arguments):\n"
        "        for number in range(9):\n"
        "            with open(f'results/ballast{number}', 'wb', buffering=0) as file:\n"
        "                while len(bytes(10_000)) == file.write(bytes(10_000)) and file.tell() < 50_000_000: pass\n"
    )
    config = (undisturbed.folder / "config.yaml").read_text()
    (undisturbed.folder / "config.yaml").write_text(
        config.replace("\nmethods:\n", "\nmethods:\n  filling: {file: filling.py}\n")
    )
    (line,) = errors_of(undisturbed.run(f"{CELLS}/filling/metrics.json"))
    assert line.startswith("error in unlearn (filling on ")
    assert "No space left on device" in line
    assert {name: undisturbed.read(f"results/{name}") for name in tables} == tables
