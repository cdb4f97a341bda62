"""The parts of a job's processor time, imports that a job avoids, and the start of a Snakemake.

What a job imports is seen in a job that Snakemake has started itself: see `warm`.
"""

import re
from pathlib import Path

import pytest

from unlearning.clocks import PARTS

CELLS = "results/resnet20-digits-class0/seed1"


def parts_of(project, log):
    last = project.read(log).splitlines()[-1]
    return {
        part: float(seconds) for part, seconds in (p.rsplit(" ", 1) for p in last.split("seconds: ")[1].split(", "))
    }


def test_a_job_says_what_its_processor_time_was_spent_on(finished_project):
    unlearning = parts_of(finished_project, f"{CELLS}/scrub/unlearn.log")
    evaluation = parts_of(finished_project, f"{CELLS}/scrub/evaluate.log")
    pretraining = parts_of(finished_project, "results/resnet20-digits/seed1/pretrain.log")
    assert set(unlearning) == set(evaluation) == set(pretraining) == set(PARTS)
    assert unlearning["training"] > 0 == unlearning["evaluation"]
    assert evaluation["evaluation"] > 0 == evaluation["training"]
    assert pretraining["training"] > pretraining["evaluation"] > 0  # of the test accuracy
    for parts in (unlearning, evaluation, pretraining):
        assert min(parts["start-up"], parts["imports"], parts["files"]) > 0


@pytest.mark.parametrize("made", ["results/resnet20-digits-class0/split.npz", f"{CELLS}/scrub/compare.json"])
def test_a_job_that_needs_no_torch_does_without_it(copied_project, made, tmp_path):
    (tmp_path / "torch.py").write_text("raise ImportError('torch was imported')\n")
    log = Path(made).with_suffix(".log")
    (copied_project.folder / log).unlink()
    printed, _ = (process := copied_project.start("--force", made, PYTHONPATH=str(tmp_path))).communicate()
    assert process.returncode == 0, printed
    assert parts_of(copied_project, log)["imports"] < 0.5


def test_a_snakemake_that_the_tests_have_imported_before_does_what_any_other_does(finished_project):
    """What they print differs in the time of day, the numbers of jobs, and the order of what has none."""
    arguments = ("-n", "--quiet", "host", "--forcerun", "aggregate")
    printed, _ = (process := finished_project.start(*arguments)).communicate()
    done = finished_project.run(*arguments)
    assert done.returncode == process.returncode == 0
    first, second = (re.sub(r"\d\d:\d\d:\d\d|jobid: \d+|[,;]", "", text).split() for text in (printed, done.stdout))
    assert sorted(first) == sorted(second)
    assert "rule aggregate:" in printed


def test_a_job_that_the_tests_have_imported_before_fails_as_any_other_does(copied_project):
    features = copied_project.folder / CELLS / "retrain/features.npz"
    features.write_bytes(features.read_bytes()[:1000])
    arguments = ("--force", f"{CELLS}/scrub/compare.json")
    printed, _ = (process := copied_project.start(*arguments)).communicate()
    done = copied_project.run(*arguments)
    assert done.returncode == process.returncode == 1
    first, second = ([line for line in text.splitlines() if "rror" in line] for text in (printed, done.stdout))
    assert first == second
    assert first[0].startswith("error in compare (scrub on resnet20-digits-class0, seed 1)")


def test_the_scheduler_rests_while_jobs_run(copied_project):
    """It checks for work when a job has ended, not every second: Snakemake's limit of jobs per second is off."""
    printed = copied_project.make("--verbose", "--forceall", "results/table.md")
    jobs = printed.count("Finished jobid: ")
    assert jobs > 15
    assert printed.count("Ready jobs: ") <= jobs + 1


def test_a_job_does_without_the_compiler(copied_project):
    method = copied_project.folder / "looking.py"
    method.write_text(
        "import sys\n"
        "class UnlearningMethod:\n"
        "    def unlearn_step(self, model, retain_batch, forget_batch, optimizer, step, epoch):\n"
        "        optimizer.step()\n"
        "        return {'loss': 0.0, 'compiler': float('sympy' in sys.modules)}\n"
    )
    target = f"{CELLS}/looking/history.csv"
    copied_project.start(target, "--config", "method=looking.py").communicate()
    assert copied_project.read(target).splitlines() == ["epoch,loss,compiler", "0,0.0,0.0"]
