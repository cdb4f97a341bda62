"""The workflow, run by the real Snakemake on a tiny protocol: its files, its rebuilds, its messages."""

import csv
import json
import os
import time

import numpy as np
import pytest
import torch
from conftest import ROOT, TINY, Project

CELLS = "results/resnet20-digits-class0/seed1"
METHODS = ["retain_finetune", "negative_gradient", "bad_teacher", "scrub"]
ROWS = ["original", "retrain", *METHODS]
UNLEARN = [f"unlearn {method}" for method in METHODS]
EVALUATE = [f"evaluate {row}" for row in ROWS]
END = ["aggregate", "table"]


def rows_of(project, path):
    return list(csv.DictReader(project.read(path).splitlines()))


# --- what a run leaves behind


def test_the_table_has_every_method_and_both_references(finished_project):
    table = finished_project.read("results/table.md")
    assert "## resnet20-digits-class0" in table
    for row in ("*original*", "*retrain*", *METHODS):
        assert f"\n| {row} " in table


def test_metrics_csv_has_one_row_a_cell(finished_project):
    rows = rows_of(finished_project, "results/metrics.csv")
    assert [row["method"] for row in rows] == ROWS
    assert list(rows[0])[:4] == ["benchmark", "method", "seed", "status"]
    for row in rows:
        assert (row["benchmark"], row["seed"], row["status"]) == ("resnet20-digits-class0", "1", "ok")
        retain, forget, auc = (float(row[name]) for name in ("retain_acc", "forget_acc", "forget_mia_auc"))
        assert float(row["unlearn_score"]) == pytest.approx((retain + 1 - forget + 1 - auc) / 3)
        assert json.loads(finished_project.read(f"{CELLS}/{row['method']}/metrics.json"))["retain_acc"] == retain
    oracle = rows[ROWS.index("retrain")]
    assert float(oracle["forget_acc"]) == 0


def test_costs_csv_has_one_row_a_job(finished_project):
    rows = rows_of(finished_project, "results/costs.csv")
    jobs = [row["rule"] for row in rows]
    assert {rule: jobs.count(rule) for rule in jobs} == {"pretrain": 1, "retrain": 1, "unlearn": 4, "evaluate": 6}
    for row in rows:
        assert float(row["seconds"]) > 0
        assert 50 < float(row["peak_memory_mb"]) < 1500
        assert row["device"]


def test_histories_have_their_columns(finished_project):
    pretraining = rows_of(finished_project, "results/resnet20-digits/seed1/history.csv")
    assert list(pretraining[0]) == ["epoch", "lr", "train_loss", "test_accuracy", "seconds"]
    assert len(pretraining) == 2
    scrub = rows_of(finished_project, f"{CELLS}/scrub/history.csv")
    assert list(scrub[0]) == ["epoch", "max_loss", "loss"]


def test_a_checkpoint_says_what_made_it_and_needs_no_trust(finished_project):
    path = finished_project.folder / CELLS / "scrub" / "unlearned.pt"
    made_by = torch.load(path, weights_only=True)["made_by"]
    expected = {
        "model": "resnet20",
        "width": 0.25,
        "dataset": "digits",
        "seed": "1",
        "forget_class": "0",
        "method": "scrub",
    }
    assert made_by.items() >= expected.items()
    assert made_by["hyperparameters"]["temperature"] == 4.0
    assert made_by["protocol"]["pretrain"]["epochs"] == 2
    assert made_by["unlearning_protocol"]["unlearn"]["epochs"] == 1
    assert {"torch", "python"} == set(made_by["versions"])


def test_the_split_is_by_class(finished_project):
    labels = np.load(finished_project.folder / "data/digits.npz")
    split = np.load(finished_project.folder / "results/resnet20-digits-class0/split.npz")
    for part in ("train", "test"):
        assert (labels[f"{part}_labels"][split[f"forget_{part}"]] == 0).all()
        assert (labels[f"{part}_labels"][split[f"retain_{part}"]] != 0).all()


def test_logs_say_what_is_done_on_which_device_and_show_every_epoch(finished_project):
    log = finished_project.read("results/resnet20-digits/seed1/pretrain.log")
    assert "pretrain: train resnet20 on digits, seed 1" in log
    assert "1 thread(s)" in log
    assert len([line for line in log.splitlines() if "epoch" in line and "train_loss=" in line]) == 2
    assert "done in" in log


def test_no_partial_files_are_left(finished_project):
    assert list(finished_project.folder.rglob("*.partial")) == []


# --- what is made again, and what is not


def test_a_second_run_does_nothing(finished_project):
    assert finished_project.planned() == []


def edit(text):
    return text + "\n# edited\n"


EDITS = {
    "scripts/methods/scrub.py": ["unlearn scrub", "evaluate scrub", *END],
    "scripts/unlearning/models.py": ["pretrain", "retrain", *UNLEARN, *EVALUATE, *END],
    "scripts/unlearning/training.py": ["pretrain", "retrain", *UNLEARN, *EVALUATE, *END],
    "scripts/unlearning/unlearn.py": [*UNLEARN, *[f"evaluate {method}" for method in METHODS], *END],
    "scripts/unlearning/metrics.py": [*EVALUATE, *END],
    "scripts/unlearning/tables.py": ["table"],
    "scripts/aggregate.py": END,
    "README.md": [],
}


@pytest.mark.parametrize("file", EDITS)
def test_an_edit_remakes_exactly_what_depends_on_it(finished_project, file):
    path = finished_project.folder / file
    original = path.read_text() if path.exists() else ""
    path.write_text(edit(original))
    try:
        assert finished_project.planned() == sorted([*EDITS[file], *(["all"] if EDITS[file] else [])])
    finally:
        path.write_text(original)
    assert finished_project.planned() == []  # put back, with a newer time stamp


def test_touching_code_remakes_nothing(finished_project):
    later = time.time() + 60
    for path in (finished_project.folder / "scripts").rglob("*.py"):
        os.utime(path, (later, later))
    assert finished_project.planned() == []


def test_a_hyperparameter_remakes_its_method_alone(finished_project):
    path = finished_project.folder / "config.yaml"
    original = path.read_text()
    assert "temperature: 4.0" in original
    path.write_text(original.replace("temperature: 4.0", "temperature: 5.0"))
    try:
        assert finished_project.planned() == sorted(["unlearn scrub", "evaluate scrub", *END, "all"])
    finally:
        path.write_text(original)


def test_another_forget_class_needs_no_edit_and_no_pretraining(finished_project):
    planned = finished_project.planned("results/resnet20-digits-class3/seed1/scrub/metrics.json")
    assert planned == ["evaluate scrub", "split", "unlearn scrub"]


def test_the_paper_suite_is_planned_by_a_switch_alone(finished_project):
    planned = finished_project.planned("results/table.md", "--config", "suite=paper")
    counts = {job: planned.count(job) for job in planned}
    assert counts["dataset"] == 3
    assert counts["pretrain"] == counts["retrain"] == 9
    assert counts["unlearn scrub"] == 9


def test_the_same_seed_gives_the_same_bytes_in_another_folder(finished_project, tmp_path):
    second = Project(tmp_path / "second", TINY)
    targets = [f"{CELLS}/bad_teacher/metrics.json", f"{CELLS}/bad_teacher/history.csv"]
    second.make(*targets, "--cores", "1")
    for target in targets:
        assert second.read(target) == finished_project.read(target)


# --- data sets of one's own


def test_a_file_that_is_there_is_used_and_never_overwritten(tmp_path, arrays):
    project = Project(tmp_path / "own", TINY)
    file = project.folder / "data/digits.npz"
    file.parent.mkdir()
    np.savez(file, **arrays)  # not the digits at all
    before = file.read_bytes()
    target = "results/resnet20-digits-class2/split.npz"
    project.make(target)
    assert len(np.load(project.folder / target)["forget_train"]) == 10
    project.make(target, "--forcerun", "dataset")
    assert file.read_bytes() == before


def test_a_data_set_of_ones_own_is_one_entry_and_one_file(tmp_path, arrays):
    changes = TINY | {
        "datasets": {"mine": {"classes": 3, "fit": "resize"}},
        "benchmarks": {"resnet20-mine": {"protocol": "tiny", "width": 0.25, "image_size": 12}},
        "data_dir": str(tmp_path / "elsewhere"),
    }
    project = Project(tmp_path / "own", changes)
    target = "results/resnet20-mine-class1/seed5/retain_finetune/metrics.json"
    missing = project.run(target)
    assert missing.returncode != 0
    assert "mine.npz is not there and datasets.mine has no source; put the file in place by hand" in missing.stdout
    (tmp_path / "elsewhere").mkdir()
    colour = {name: np.stack([a] * 3, -1) if "images" in name else a[:, None] for name, a in arrays.items()}
    np.savez(tmp_path / "elsewhere/mine.npz", **colour)
    project.make(target)
    assert json.loads(project.read(target))["status"] == "ok"


def test_a_bad_file_ends_its_job_with_one_line(tmp_path, arrays):
    project = Project(tmp_path / "bad", TINY)
    (project.folder / "data").mkdir()
    np.savez(project.folder / "data/digits.npz", **arrays | {"train_labels": np.arange(30) % 20})
    done = project.run("results/resnet20-digits-class0/split.npz")
    assert done.returncode != 0
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("error in split")]
    assert "data/digits.npz: train_labels has the label 10; with 10 classes the labels are 0 to 9" in line
    assert "Traceback" not in done.stdout


# --- mistakes


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--config", "suite=papper"], "unknown name 'papper'; did you mean paper? known: digits, paper"),
        (["--config", "sute=paper"], "top level: unknown key 'sute'; did you mean suite?"),
        (["results/resnet20-digits-class10/seed1/scrub/metrics.json"], "digits has the classes 0 to 9"),
    ],
)
def test_a_mistake_ends_the_run_before_any_job_with_one_line(finished_project, arguments, message):
    done = finished_project.run(*arguments)
    assert done.returncode == 1
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("error: ")]
    assert message in line
    assert "Traceback" not in done.stdout


def test_a_failed_method_does_not_stop_the_others(tmp_path, finished_project):
    project = Project(tmp_path / "failing", TINY | {"methods": {"broken": {"file": "broken.py"}}})
    (project.folder / "broken.py").write_text(
        "class UnlearningMethod:\n    def unlearn_step(self, *arguments):\n        return 1 / 0\n"
    )
    cells = [f"{CELLS}/{method}/metrics.json" for method in ("broken", "retain_finetune")]
    done = project.run(*cells)
    assert done.returncode == 1
    assert "error in unlearn (broken on resnet20" in done.stdout
    assert "ZeroDivisionError: division by zero" in done.stdout
    assert project.read(cells[1]) == finished_project.read(cells[1])


# --- real images


def test_real_images_pass_through_the_same_rules(tmp_path):
    if not (ROOT / "data/fmnist.npz").exists():
        pytest.skip("data/fmnist.npz is not there: make it with snakemake --cores 1 data/fmnist.npz, or unpack it")
    benchmark = {"mobilenetv2-fmnist": {"protocol": "short", "width": 0.25}}
    project = Project(tmp_path / "fmnist", {"benchmarks": benchmark, "protocols": {"short": TINY["protocols"]["tiny"]}})
    (project.folder / "data").mkdir()
    with np.load(ROOT / "data/fmnist.npz") as whole:
        np.savez(project.folder / "data/fmnist.npz", **{name: whole[name][:1000] for name in whole.files})
    target = "results/mobilenetv2-fmnist-class0/seed42/retain_finetune/metrics.json"
    project.make(target)
    metrics = json.loads(project.read(target))
    assert metrics["status"] == "ok"
    assert metrics["retain_acc"] > 0.2  # nine classes: chance is .11
