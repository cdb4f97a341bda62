"""What is made again after an edit, by dry runs of the real Snakemake: exactly what depends on it."""

import os
import shutil
import subprocess
import time

import numpy as np
import pytest
import yaml
from conftest import TINY, Project, merged

CELLS = "results/resnet20-digits-class0/seed1"
METHODS = ["head_mask", "retain_finetune", "negative_gradient", "bad_teacher", "scrub"]
UNLEARN = [f"unlearn {method}" for method in METHODS]
EVALUATE_METHODS = [f"evaluate {method}" for method in METHODS]
EVALUATE = ["evaluate original", "evaluate retrain", *EVALUATE_METHODS]
END = ["aggregate", "table"]
TRAIN = ["pretrain", "retrain"]
EVERYTHING = ["split", *TRAIN, *UNLEARN, *EVALUATE, *END]

EDITED_FILES = {
    "scripts/methods/scrub.py": ["unlearn scrub", "evaluate scrub", *END],
    "scripts/unlearning/models.py": [*TRAIN, *UNLEARN, *EVALUATE, *END],
    "scripts/unlearning/training/loop.py": [*TRAIN, *UNLEARN, *EVALUATE, *END],
    "scripts/unlearning/data/datasets.py": EVERYTHING,
    "scripts/unlearning/clocks.py": EVERYTHING,
    "scripts/unlearning/workflow/process.py": EVERYTHING,
    "scripts/unlearning/runner/loop.py": [*UNLEARN, *EVALUATE_METHODS, *END],
    "scripts/unlearning/runner/method_state.py": [*UNLEARN, *EVALUATE_METHODS, *END],
    "scripts/unlearning/evaluation/metrics.py": [*EVALUATE, *END],
    "scripts/unlearning/evaluation/probe.py": [*EVALUATE, *END],
    "scripts/unlearning/tables/intervals.py": END,
    "scripts/unlearning/tables/columns.py": END,
    "scripts/unlearning/tables/comparison.py": ["table"],
    "workflow/resources/published.csv": ["table"],
    "scripts/aggregate.py": END,
}
WITHOUT_EFFECT = [
    "scripts/unlearning/evaluation/ulira.py",  # not asked for
    "scripts/unlearning/evaluation/relearning.py",
    "scripts/unlearning/workflow/workspace.py",  # of the run, not of a job
    "scripts/commands/check.py",
    "scripts/commands/bench.py",
    "scripts/benches/setting.py",
    "README.md",
    "results/README.md",
    "results/metrics.md",  # an output
]

SUITE = ["suites", "digits"]
PROTOCOL = ["protocols", "tiny"]
EDITED_SETTINGS = {
    "a hyperparameter": (
        ["methods", "scrub", "hyperparameters", "temperature"],
        5.0,
        ["unlearn scrub", "evaluate scrub", *END],
    ),
    "the normalisation": (["datasets", "digits", "normalisation"], "half", [*TRAIN, *UNLEARN, *EVALUATE, *END]),
    "what a method is": (["methods", "scrub", "kind"], "rule", END),
    "the unlearning": ([*PROTOCOL, "unlearn", "learning_rate"], 0.002, [*UNLEARN, *EVALUATE_METHODS, *END]),
    "the training": ([*PROTOCOL, "pretrain", "momentum"], 0.8, [*TRAIN, *UNLEARN, *EVALUATE, *END]),
    "the augmentation": ([*PROTOCOL, "crop_padding"], 2, [*TRAIN, *UNLEARN, *EVALUATE, *END]),
    "the precision": ([*PROTOCOL, "precision"], "bfloat16", [*TRAIN, *UNLEARN, *EVALUATE, *END]),
    "the width": (["benchmarks", "resnet20-digits", "width"], 0.5, [*TRAIN, *UNLEARN, *EVALUATE, *END]),
    "a seed more": ([*SUITE, "seeds"], [1, 2], [*TRAIN, *UNLEARN, *EVALUATE, *END]),
    "a method less": ([*SUITE, "methods"], METHODS[:-1], END),
    "methods in another order": ([*SUITE, "methods"], METHODS[::-1], END),
    "a benchmark more": (
        [*SUITE, "benchmarks"],
        ["resnet20-digits-class0", "resnet20-digits-class3"],
        ["split", "retrain", *UNLEARN, *EVALUATE, *END],  # with the same pretrained model
    ),
}  # fmt: skip


def plan(project, *arguments):
    return [job for job in project.planned(*arguments) if job != "all"]


@pytest.fixture
def undone(finished_project):
    """Yield the finished project and put every file back afterwards: contents and configuration, not time stamps."""
    folder = finished_project.folder
    kept = {
        file: file.read_bytes() for file in [*folder.rglob("*.py"), folder / "config.yaml", folder / "data/digits.npz"]
    }
    yield finished_project
    for file, content in kept.items():
        if not file.exists() or file.read_bytes() != content:
            file.write_bytes(content)


@pytest.mark.parametrize("file", EDITED_FILES)
def test_an_edited_file(undone, file):
    path = undone.folder / file
    before = path.read_text() if path.exists() else None
    path.write_text((before or "") + "\n# edited\n")
    try:
        assert plan(undone) == sorted(EDITED_FILES[file])
    finally:
        path.unlink() if before is None else path.write_text(before)


@pytest.mark.parametrize("edit", EDITED_SETTINGS)
def test_an_edited_setting(undone, edit):
    keys, value, expected = EDITED_SETTINGS[edit]
    for key in reversed(keys):
        value = {key: value}
    path = undone.folder / "config.yaml"
    path.write_text(yaml.safe_dump(merged(yaml.safe_load(path.read_text()), value), sort_keys=False))
    assert plan(undone) == sorted(expected)


def test_what_has_no_effect_remakes_nothing(undone):
    """Code that no job of the suite runs, documents, and settings of what the suite does not use."""
    for name in WITHOUT_EFFECT:
        path = undone.folder / name
        path.write_text((path.read_text() if path.exists() else "") + "\n# edited\n")
    changes = {
        "device": "cpu",
        "protocols": {"tiny": {"relearn": {"images": 30}}, "paper": {"batch_size": 64}},
        "benchmarks": {"vgg16bn-digits": {"width": 0.5}},
        "suites": {"paper": {"seeds": [1]}},
        "datasets": {"fmnist": {"fit": "resize"}},
        "methods": {"unused": {"file": "nowhere.py"}},
    }
    path = undone.folder / "config.yaml"
    path.write_text(yaml.safe_dump(merged(yaml.safe_load(path.read_text()), changes)))
    assert plan(undone) == []


def test_nothing_is_made_when_nothing_changed(undone):
    """Time stamps, order of keys and cores do not count. All edits above were undone, too."""
    folder = undone.folder
    later = time.time() + 60
    for path in folder.rglob("*"):
        if path.is_file() and ".snakemake" not in path.parts:
            os.utime(path, (later, later))
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()), sort_keys=True))
    assert plan(undone, "--cores", "1") == []
    assert plan(undone, "--resources", "gpu_slots=1") == []


def test_a_git_checkout_and_back_remakes_nothing(undone):
    def git(*arguments):
        identity = ["-c", "user.name=tester", "-c", "user.email=tester@example.org"]
        subprocess.run(["git", *identity, *arguments], cwd=undone.folder, check=True, capture_output=True)

    git("init", "-q", "-b", "main")
    try:
        git("add", "scripts", "workflow", "config.yaml")
        git("commit", "-qm", "one")
        (undone.folder / "scripts/unlearning/models.py").write_text("# another\n")
        git("commit", "-qam", "two")
        git("checkout", "-q", "HEAD~1")
        assert plan(undone) == []
        git("checkout", "-q", "main")
        assert "pretrain" in plan(undone)
        git("checkout", "-q", "HEAD~1")
    finally:
        shutil.rmtree(undone.folder / ".git")


@pytest.mark.parametrize("age", ["newer", "older"])
def test_other_bytes_in_the_data_set_remake_all_that_uses_them(undone, age):
    file = undone.folder / "data/digits.npz"
    arrays = dict(np.load(file))
    arrays["train_images"][0] ^= 1
    np.savez(file, **arrays)
    if age == "older":  # as with cp -p: no time stamp tells
        os.utime(file, (0, 0))
    assert plan(undone) == sorted(EVERYTHING)


def test_code_that_is_older_than_the_results_is_noticed_as_well(undone):
    file = undone.folder / "scripts/methods/scrub.py"
    file.write_text(file.read_text() + "\n# edited\n")
    os.utime(file, (0, 0))
    assert plan(undone) == sorted(EDITED_FILES["scripts/methods/scrub.py"])


def test_another_forget_class_needs_no_edit_and_no_pretraining(finished_project):
    planned = finished_project.planned("results/resnet20-digits-class3/seed1/scrub/metrics.json")
    assert planned == ["evaluate scrub", "split", "unlearn scrub"]


def test_the_paper_suite_is_planned_by_a_switch_alone(finished_project):
    planned = finished_project.planned("results/table.md", "--config", "suite=paper")
    counts = {job: planned.count(job) for job in planned}
    assert counts["dataset"] == 3
    assert counts["pretrain"] == counts["retrain"] == 9
    assert counts["unlearn scrub"] == 9


DELETED = {
    "results/summary.csv": END,
    "results/provenance.json": END,
    f"{CELLS}/scrub/cost.json": ["unlearn scrub", "evaluate scrub", *END],
    f"{CELLS}/scrub/unlearned.pt": ["unlearn scrub", "evaluate scrub", *END],
    "results/resnet20-digits/seed1/pretrained.pt": ["pretrain", *UNLEARN, "evaluate original", *EVALUATE_METHODS, *END],
    "results/resnet20-digits/seed1/cost.json": ["pretrain", *UNLEARN, "evaluate original", *EVALUATE_METHODS, *END],
}


@pytest.mark.parametrize("name", DELETED)
def test_a_result_that_is_missing_is_made_again(finished_project, name):
    path = finished_project.folder / name
    path.rename(path.with_name("kept"))
    try:
        assert plan(finished_project) == sorted(DELETED[name])
    finally:
        path.with_name("kept").rename(path)


# --- runs, not only plans


@pytest.fixture(scope="module")
def two_seeds(tmp_path_factory):
    """Return a finished project with one method and two seeds, and a second suite with the first of them."""
    suites = {
        "digits": {"benchmarks": ["resnet20-digits-class0"], "seeds": [1, 2], "methods": ["head_mask"]},
        "first": {"benchmarks": ["resnet20-digits-class0"], "seeds": [1], "methods": ["head_mask"]},
    }
    project = Project(tmp_path_factory.mktemp("two"), TINY | {"suites": suites})
    project.make()
    return project


def test_a_suite_switched_and_back_trains_nothing_twice(two_seeds):
    whole = two_seeds.read("results/metrics.csv")
    assert plan(two_seeds, "--config", "suite=first") == sorted(END)
    two_seeds.make("--config", "suite=first")
    assert two_seeds.read("results/metrics.csv") == "".join(
        line for line in whole.splitlines(keepends=True) if ",2,ok" not in line
    )
    assert plan(two_seeds) == sorted(END)
    two_seeds.make()  # the old results of the second seed are still there
    assert two_seeds.read("results/metrics.csv") == whole


def test_an_edit_while_its_job_runs_is_noticed_afterwards(two_seeds):
    rule = two_seeds.folder / "restless.py"
    rule.write_text(
        "from pathlib import Path\n"
        "class UnlearningMethod:\n"
        "    def unlearn_step(self, model, retain_batch, forget_batch, optimizer, step, epoch):\n"
        "        Path(__file__).write_text(Path(__file__).read_text() + '# edited')\n"
        "        return {'loss': 0.0}\n"
    )
    before = two_seeds.read("config.yaml")
    config = merged(yaml.safe_load(before), {"methods": {"restless": {"file": "restless.py"}}})
    (two_seeds.folder / "config.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    target = f"{CELLS}/restless/metrics.json"
    try:
        two_seeds.make(target)
        assert plan(two_seeds, target) == ["evaluate restless", "unlearn restless"]
    finally:
        (two_seeds.folder / "config.yaml").write_text(before)


def test_a_mistake_that_is_undone_costs_no_training(two_seeds):
    """A damaged data set ends every job that reads it, after Snakemake has removed the job's old output."""
    data = two_seeds.folder / "data/digits.npz"
    whole, metrics = data.read_bytes(), two_seeds.read("results/metrics.csv")
    histories = {path: path.read_bytes() for path in two_seeds.folder.rglob("history.csv")}
    data.write_bytes(whole[:5000])
    done = two_seeds.run()
    assert done.returncode == 1
    assert "data/digits.npz: not a whole .npz file" in done.stdout
    assert not (two_seeds.folder / "results/resnet20-digits/seed1/pretrained.pt").exists()
    data.write_bytes(whole)
    two_seeds.make()
    assert two_seeds.read("results/metrics.csv") == metrics
    # With the seconds of the first training: it was not done again.
    assert {path: path.read_bytes() for path in two_seeds.folder.rglob("history.csv")} == histories
