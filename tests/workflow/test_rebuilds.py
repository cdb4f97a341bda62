"""Rebuilds after an edit, by dry runs of the real Snakemake: exactly the files that depend on it are made again."""

import ast
import json
import os
import re
import shutil
import subprocess
import time

import numpy as np
import pytest
import yaml
from project import TINY, Project, jobs_in, merged

CELLS = "results/resnet20-digits-class0/seed1"
METHODS = ["head_mask", "retain_finetune", "negative_gradient", "bad_teacher", "scrub"]
UNLEARN = [f"unlearn {method}" for method in METHODS]
COMPARE_METHODS = [f"compare {method}" for method in METHODS]
COMPARE_REFERENCES = ["compare original", "compare retrain"]
COMPARE = [*COMPARE_REFERENCES, *COMPARE_METHODS]  # all cells depend on the references
# What is evaluated is compared with the oracle.
EVALUATE_METHODS = [*(f"evaluate {method}" for method in METHODS), *COMPARE_METHODS]
EVALUATE_ORIGINAL = ["evaluate original", *COMPARE_REFERENCES]
EVALUATE = ["evaluate retrain", *EVALUATE_ORIGINAL, *EVALUATE_METHODS]
END = ["aggregate", "table"]
TRAIN = ["pretrain", "retrain"]
EVERYTHING = ["split", *TRAIN, *UNLEARN, *EVALUATE, *END]

EDITED_FILES = {
    "scripts/methods/scrub.py": ["unlearn scrub", "evaluate scrub", "compare scrub", *END],
    "scripts/unlearning/models.py": [*TRAIN, *UNLEARN, *EVALUATE, *END],
    "scripts/unlearning/training/loop.py": [*TRAIN, *UNLEARN, *EVALUATE, *END],
    "scripts/unlearning/data/datasets.py": EVERYTHING,
    "scripts/unlearning/clocks.py": EVERYTHING,
    "scripts/unlearning/workflow/process.py": EVERYTHING,
    "scripts/unlearning/runner/loop.py": [*UNLEARN, *EVALUATE_METHODS, *END],
    "scripts/unlearning/runner/method_state.py": [*UNLEARN, *EVALUATE_METHODS, *END],
    "scripts/unlearning/evaluation/metrics.py": [*EVALUATE, *END],
    "scripts/unlearning/evaluation/probe.py": [*EVALUATE, *END],
    "scripts/unlearning/evaluation/sample.py": [*EVALUATE, *END],
    "scripts/unlearning/evaluation/erasure.py": [*COMPARE, *END],
    "scripts/unlearning/evaluation/few_shot.py": [*COMPARE, *END],
    "scripts/unlearning/tables/intervals.py": END,
    "scripts/unlearning/tables/columns.py": END,
    "scripts/unlearning/tables/numbers.py": END,
    "scripts/unlearning/tables/comparison.py": ["table"],
    "workflow/resources/published.csv": ["table"],
    "workflow/report/page.js": ["table"],  # without the pages of the report, which nobody has asked for
    "scripts/aggregate.py": END,
}
WITHOUT_EFFECT = [
    "scripts/unlearning/evaluation/ulira.py",  # not asked for
    "scripts/unlearning/evaluation/relearning.py",
    "scripts/unlearning/workflow/workspace.py",  # used by the run, not by a job
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
        ["unlearn scrub", "evaluate scrub", "compare scrub", *END],
    ),
    "the normalisation": (["datasets", "digits", "normalisation"], "half", [*TRAIN, *UNLEARN, *EVALUATE, *END]),
    "what a method is": (["methods", "scrub", "kind"], "method", END),
    "the unlearning": ([*PROTOCOL, "unlearn", "learning_rate"], 0.002, [*UNLEARN, *EVALUATE_METHODS, *END]),
    "the training": ([*PROTOCOL, "pretrain", "momentum"], 0.8, [*TRAIN, *UNLEARN, *EVALUATE, *END]),
    "the augmentation": ([*PROTOCOL, "crop_padding"], 2, [*TRAIN, *UNLEARN, *EVALUATE, *END]),
    "the precision": ([*PROTOCOL, "precision"], "bfloat16", [*TRAIN, *UNLEARN, *EVALUATE, *END]),
    "a precision that is the same on a CPU": ([*PROTOCOL, "precision"], "float32", []),
    "a number without fraction": (["methods", "scrub", "hyperparameters", "temperature"], 4, []),
    "a width without fraction": (["benchmarks", "resnet20-digits", "width"], 1, [*TRAIN, *UNLEARN, *EVALUATE, *END]),
    "what is noted during the training": ([*PROTOCOL, "pretrain", "evaluate_every"], 2, []),
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
    """Yield the finished project, and restore every file afterwards: contents and configuration, not time stamps."""
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
    before = path.read_text()
    path.write_text(f"{before}\nedited = 1\n")
    try:
        printed = undone.make("-n", "--quiet", "host")
        assert jobs_in(printed) == sorted([*EDITED_FILES[file], "all"])
        # The message names the changed file.
        changed = re.findall(r"before: \[?'(.*) \w+'\]? now: \[?'(.*) \w+'", printed)
        named = file.removeprefix("scripts/").removeprefix("methods/")
        assert (changed and all(names == (named, named) for names in changed)) or named.endswith((".csv", ".js"))
    finally:
        path.write_text(before)


ONE_OPERATOR = {
    "scripts/methods/scrub.py": ("epoch < self.max_epochs", "epoch <= self.max_epochs"),
    "scripts/unlearning/training/loop.py": ("train_loss = train_epoch(", "train_loss = 1 * train_epoch("),
    "scripts/unlearning/data/datasets.py": ("/ 1e9", "* 1e9"),
}


@pytest.mark.parametrize("file", ONE_OPERATOR)
def test_one_operator_makes_again_what_depends_on_its_file(undone, file):
    old, new = ONE_OPERATOR[file]
    path = undone.folder / file
    assert path.read_text().count(old) == 1
    path.write_text(path.read_text().replace(old, new))
    assert plan(undone) == sorted(EDITED_FILES[file])


def a_comment(text):
    return text.replace("\n\n\n", "\n\n\n# a comment\n", 1) + "# and one at the end"


def a_docstring(text):
    return text.replace('"""', '"""Otherwise said. ', 1)


def formatting(text):
    """Return ``text`` as from another formatter: everything on separate lines, other quotes."""
    return ast.unparse(ast.parse(text))


def without_documentation(text):
    tree = ast.parse(text)
    for node in ast.walk(tree):
        if isinstance(getattr(node, "body", None), list):
            texts = [each for each in node.body if isinstance(each, ast.Expr) and isinstance(each.value, ast.Constant)]
            node.body = [each for each in node.body if each not in texts] or [ast.Pass()]
    return ast.unparse(tree)


@pytest.mark.parametrize("edit", [a_comment, a_docstring, formatting, without_documentation])
def test_what_is_no_part_of_the_program_makes_nothing_again(undone, edit):
    """All files of the project are edited at once; only the position of a line in its file may change."""
    for name in EDITED_FILES:
        path = undone.folder / name
        if path.suffix == ".py":
            before = path.read_text()
            path.write_text(edit(before))
            assert path.read_text() != before
    assert plan(undone) == []


def test_a_file_that_is_no_program_counts_by_its_bytes(undone):
    """While a method is being edited, its row is to be made again, and the other rows stay."""
    path = undone.folder / "scripts/methods/scrub.py"
    path.write_text(path.read_text() + "\nif:\n")
    assert "Nothing to be done" in undone.make(f"{CELLS}/head_mask/metrics.json", "-n")
    assert "not valid Python" in undone.run("-n").stdout


@pytest.mark.parametrize("edit", EDITED_SETTINGS)
def test_an_edited_setting(undone, edit):
    keys, value, expected = EDITED_SETTINGS[edit]
    for key in reversed(keys):
        value = {key: value}
    path = undone.folder / "config.yaml"
    path.write_text(yaml.safe_dump(merged(yaml.safe_load(path.read_text()), value), sort_keys=False))
    assert plan(undone) == sorted(expected)


def test_what_has_no_effect_remakes_nothing(undone):
    """Code that no job of the suite runs, documents, and settings that the suite does not use."""
    for name in WITHOUT_EFFECT:
        path = undone.folder / name
        path.write_text((path.read_text() if path.exists() else "") + "\nedited = 1\n")
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
    """Time stamps, the order of keys and the number of cores have no effect. All edits above were undone, too."""
    folder = undone.folder
    later = time.time() + 60
    for path in folder.rglob("*"):
        if path.is_file() and ".snakemake" not in path.parts:
            os.utime(path, (later, later))
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()), sort_keys=True))
    assert plan(undone, "--cores", "1") == []
    assert plan(undone, "--resources", "gpu_slots=1") == []


def test_the_container_makes_nothing_again_where_it_is_not_used(undone):
    path = undone.folder / "workflow/Snakefile"
    before = path.read_text()
    (line,) = re.findall(r"^container: .*\n", before, re.MULTILINE)
    path.write_text(before.replace(line, ""))
    try:
        assert plan(undone) == []
    finally:
        path.write_text(before)


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
    if age == "older":  # as with cp -p: no time stamp shows the change
        os.utime(file, (0, 0))
    assert plan(undone) == sorted(EVERYTHING)


def test_code_that_is_older_than_the_results_is_noticed_as_well(undone):
    file = undone.folder / "scripts/methods/scrub.py"
    file.write_text(file.read_text() + "\nedited = 1\n")
    os.utime(file, (0, 0))
    assert plan(undone) == sorted(EDITED_FILES["scripts/methods/scrub.py"])


def test_another_forget_class_needs_no_edit_and_no_pretraining(finished_project):
    planned = finished_project.planned("results/resnet20-digits-class3/seed1/scrub/metrics.json")
    assert planned == ["evaluate scrub", "split", "unlearn scrub"]


def test_relearning_a_cell_waits_for_no_evaluation(finished_project):
    planned = finished_project.planned("results/resnet20-digits-class3/seed1/scrub/relearning.json")
    assert planned == ["relearn scrub", "split", "unlearn scrub"]


def test_the_paper_suite_is_planned_by_a_switch_alone(finished_project):
    planned = finished_project.planned("results/table.md", "--config", "suite=paper")
    counts = {job: planned.count(job) for job in planned}
    assert counts["dataset"] == 3
    assert counts["pretrain"] == counts["retrain"] == 9
    assert counts["unlearn scrub"] == 9


DELETED = {
    "results/summary.csv": END,
    "results/provenance.json": END,
    f"{CELLS}/scrub/cost.json": ["unlearn scrub", "evaluate scrub", "compare scrub", *END],
    f"{CELLS}/scrub/unlearned.pt": ["unlearn scrub", "evaluate scrub", "compare scrub", *END],
    "results/resnet20-digits/seed1/pretrained.pt": ["pretrain", *UNLEARN, *EVALUATE_ORIGINAL, *EVALUATE_METHODS, *END],
    "results/resnet20-digits/seed1/cost.json": ["pretrain", *UNLEARN, *EVALUATE_ORIGINAL, *EVALUATE_METHODS, *END],
}


@pytest.mark.parametrize("name", DELETED)
def test_a_result_that_is_missing_is_made_again(finished_project, name):
    path = finished_project.folder / name
    path.rename(path.with_name("kept"))
    try:
        assert plan(finished_project) == sorted(DELETED[name])
    finally:
        path.with_name("kept").rename(path)


# --- real runs, not only plans


def two_seeds_suite():
    return {"benchmarks": ["resnet20-digits-class0"], "seeds": [1, 2], "methods": ["head_mask"]}


@pytest.fixture(scope="module")
def two_seeds(tmp_path_factory):
    """Return a finished project with one method and two seeds, and a second suite with only the first seed."""
    suites = {
        "digits": two_seeds_suite(),
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


def test_a_suite_by_another_name_is_the_one_that_the_origin_names(two_seeds):
    file = two_seeds.folder / "mine.yaml"
    file.write_text(yaml.safe_dump({"suite": "mine", "suites": {"mine": two_seeds_suite()}}))
    assert plan(two_seeds, "--configfile", "mine.yaml") == sorted(END)
    two_seeds.make("--configfile", "mine.yaml")
    assert json.loads(two_seeds.read("results/provenance.json"))["config"]["suite"] == "mine"
    two_seeds.make()


def test_an_edit_while_its_job_runs_is_noticed_afterwards(two_seeds):
    method = two_seeds.folder / "restless.py"
    method.write_text(
        "from pathlib import Path\n"
        "class UnlearningMethod:\n"
        "    def unlearn_step(self, model, retain_batch, forget_batch, optimizer, step, epoch):\n"
        "        Path(__file__).write_text(Path(__file__).read_text() + 'edited = 1\\n')\n"
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
    """A damaged data set ends every job that reads it, and Snakemake has already removed the job's old output."""
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
    # The seconds are from the first training: it was not done again.
    assert {path: path.read_bytes() for path in two_seeds.folder.rglob("history.csv")} == histories


# --- data sets


def test_a_data_set_that_has_moved_makes_nothing_again(copied_project, tmp_path):
    (copied_project.folder / "data").rename(tmp_path / "elsewhere")
    assert plan(copied_project, "--config", f"data_dir={tmp_path / 'elsewhere'}") == []


def test_a_data_set_that_is_gone_is_fetched_again_for_new_cells_alone(copied_project):
    """All other files are still known to be up to date, including results from another machine."""
    metrics = copied_project.read("results/metrics.csv")
    shutil.rmtree(copied_project.folder / "data")
    assert plan(copied_project) == []
    target = "results/resnet20-digits-class3/seed1/retain_finetune/metrics.json"
    assert plan(copied_project, target) == ["evaluate retain_finetune", "split", "unlearn retain_finetune"]
    copied_project.make(target)
    assert (copied_project.folder / "data/digits.npz").exists()
    assert plan(copied_project) == []
    assert copied_project.read("results/metrics.csv") == metrics


# --- files that were put back with an old time stamp


REPLACED = {
    "results/resnet20-digits/seed1/pretrained.pt": [*UNLEARN, *EVALUATE_ORIGINAL, *EVALUATE_METHODS, *END],
    f"{CELLS}/scrub/unlearned.pt": ["evaluate scrub", "compare scrub", *END],
    f"{CELLS}/scrub/metrics.json": END,
    f"{CELLS}/scrub/scores.npz": END,
    f"{CELLS}/scrub/features.npz": ["compare scrub", *END],
    f"{CELLS}/retrain/features.npz": [*COMPARE, *END],
    f"{CELLS}/scrub/compare.json": END,
    "results/resnet20-digits-class0/split.npz": ["retrain", *UNLEARN, *EVALUATE, *END],
    "results/metrics.csv": ["table"],
}


@pytest.mark.parametrize("name", REPLACED)
def test_other_content_with_an_old_time_stamp_is_noticed(copied_project, name):
    """cp -a, rsync and tar do this. A file that is only touched, or has the same content again, makes nothing."""
    path = copied_project.folder / name
    before, status = path.read_bytes(), path.stat()
    path.write_bytes(before)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert plan(copied_project) == []
    path.write_bytes(before + b" ")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert plan(copied_project) == sorted(REPLACED[name])


# --- missing files next to a checkpoint


@pytest.mark.parametrize("name", ["scrub/unlearn.log", "scrub/history.csv", "retrain/retrain.log"])
def test_a_history_or_a_log_that_was_deleted_comes_back_without_training(copied_project, name):
    path = copied_project.folder / CELLS / name
    checkpoint = next(path.parent.glob("*.pt"))
    cost, weights, before = path.with_name("cost.json").read_text(), checkpoint.read_bytes(), path.read_text()
    path.unlink()
    copied_project.make()
    assert checkpoint.read_bytes() == weights
    assert "going on after" in next(path.parent.glob("*n.log")).read_text()
    if name.endswith(".csv"):
        assert path.read_text() == before
    else:
        assert "epoch 0, " in path.read_text()  # the numbers of the epochs are there again
    again = path.with_name("cost.json").read_text()
    kept = ("training_seconds", "peak_memory_mb", "device")
    assert [json.loads(again)[key] for key in kept] == [json.loads(cost)[key] for key in kept]
    assert plan(copied_project) == []


def test_a_log_without_a_savepoint_is_not_worth_a_training(copied_project):
    for file in (copied_project.folder / CELLS / "scrub").glob(".unlearn.*.savepoint"):
        file.unlink()
    (copied_project.folder / CELLS / "scrub/unlearn.log").unlink()
    assert plan(copied_project) == []


def test_what_was_missing_once_is_not_missing_for_ever(copied_project):
    """Snakemake would record that the file was missing in planning, and would make the table again the next time."""
    (copied_project.folder / CELLS / "scrub/cost.json").unlink()
    copied_project.make()
    assert plan(copied_project) == []


def test_a_gpu_that_computed_in_another_precision_computes_again(undone):
    """On a CPU, tf32 and float32 are the same, so nothing else shows the difference."""
    path = undone.folder / CELLS / "scrub/cost.json"
    before = path.read_text()
    on_gpu = json.loads(before) | {"device": "NVIDIA H100", "precision": "tf32"}
    config = undone.folder / "config.yaml"
    settings = yaml.safe_load(config.read_text())
    assert settings["protocols"]["tiny"].get("precision", "tf32") == "tf32"
    try:
        path.write_text(json.dumps(on_gpu))
        assert "unlearn scrub" not in plan(undone)
        config.write_text(yaml.safe_dump(merged(settings, {"protocols": {"tiny": {"precision": "float32"}}})))
        assert [job for job in plan(undone) if job.startswith("unlearn")] == ["unlearn scrub"]
    finally:
        path.write_text(before)


def test_the_parts_of_a_cell_on_a_cluster_take_turns_and_are_recorded_where_they_run(copied_project):
    """In the innermost process of the cluster's job, whose settings come from the process that submitted it."""
    cell = f"{CELLS}/scrub"
    (copied_project.folder / cell / "metrics.json").unlink()
    targets, triggers = [f"{cell}/metrics.json", f"{cell}/relearning.json"], ["mtime", "params", "software-env"]
    copied_project.make(*targets, "--mode", "remote", "--rerun-triggers", *triggers)
    ends, starts = [], []
    for part in ("evaluate", "relearn"):
        log = copied_project.folder / cell / f"{part}.log"
        ends.append(log.stat().st_mtime)
        starts.append(ends[-1] - float(re.search(r": done in ([\d.]+) s", log.read_text())[1]))
    assert max(starts) > min(ends) - 0.1  # of its rounding
    assert copied_project.planned(*targets) == []
    file = copied_project.folder / "config.yaml"
    fewer = merged(yaml.safe_load(file.read_text()), {"protocols": {"tiny": {"relearn": {"epochs": 19}}}})
    file.write_text(yaml.safe_dump(fewer, sort_keys=False))
    assert copied_project.planned(*targets) == ["relearn scrub"]  # without a record, nobody would notice
