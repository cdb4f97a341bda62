"""Checkpoints of another copy of the project: taken if they fit, named if they do not fit, refused if damaged."""

import csv
import json
import re
import shutil

import numpy as np
import pytest
import torch
from project import TINY, Project, merged

from unlearning.models import build_model
from unlearning.training.checkpoints import digest_of_weights
from unlearning.workflow.process import processor_name

CELLS = "results/resnet20-digits-class0/seed1"
METHODS = ["head_mask", "retain_finetune", "negative_gradient", "bad_teacher", "scrub"]
TRAININGS = ["results/resnet20-digits/seed1/pretrain.log", f"{CELLS}/retrain/retrain.log"]
LOGS = [*TRAININGS, *(f"{CELLS}/{method}/unlearn.log" for method in METHODS)]


def rows_of(project, path):
    return list(csv.DictReader(project.read(path).splitlines()))


@pytest.fixture(scope="module")
def second(finished_project, tmp_path_factory):
    """Return a second copy of the project, whose checkpoints come from the first copy."""
    project = Project(tmp_path_factory.mktemp("second"), TINY)
    project.make("results/table.md", "--config", f"checkpoints={finished_project.folder}")
    return project


def test_a_second_copy_trains_nothing_and_has_the_same_metrics(finished_project, second):
    assert second.read("results/metrics.csv") == finished_project.read("results/metrics.csv")
    for log in LOGS:
        assert "carried: the training was done elsewhere" in second.read(log), log
        assert "epoch" not in second.read(log), log
        history = log.rsplit("/", 1)[0] + "/history.csv"
        assert second.read(history) == finished_project.read(history)  # with the seconds of the first training
    weights = f"{CELLS}/scrub/unlearned.pt"
    first, carried = (torch.load(its.folder / weights, weights_only=True) for its in (finished_project, second))
    assert digest_of_weights(first["state_dict"]) == digest_of_weights(carried["state_dict"])
    answers = [its["made_by"].pop("answers_to_probe", None) for its in (first, carried)]
    assert (answers[0] is None and answers[1] is None) or torch.equal(*answers)
    assert carried["made_by"] == first["made_by"] | {"carried": {"lacks": []}}


def test_what_was_carried_shows(finished_project, second):
    first, costs = (
        {row["rule"]: row for row in rows_of(its, "results/costs.csv")} for its in (finished_project, second)
    )
    for rule in ("pretrain", "retrain", "unlearn"):
        assert costs[rule]["carried"] == "unknown"  # the first copy is no repository: it has no commit
        for name in ("seconds", "training_seconds", "device", "processor", "torch", "steps", "peak_memory_mb"):
            assert costs[rule][name] == first[rule][name], (rule, name)
    assert costs["evaluate"]["carried"] == ""
    provenance = json.loads(second.read("results/provenance.json"))
    assert len(provenance["carried"]) == 7
    assert provenance["carried"][0] == {
        "rule": "pretrain",
        "model": "resnet20",
        "dataset": "digits",
        "seed": "1",
        "device": "cpu",
        "processor": processor_name(),
        "torch": first["pretrain"]["torch"],
        "python": first["pretrain"]["python"],
        "commit": "unknown",
    }
    line = "Carried from elsewhere, not trained in this run: 7 of 7 checkpoints (the project's commit there: unknown;"
    assert line in second.read("results/table.md")
    assert "Carried" not in finished_project.read("results/table.md")
    assert "carried" not in finished_project.read("results/costs.csv")
    assert json.loads(finished_project.read("results/provenance.json"))["carried"] == []


def test_what_was_carried_stays_without_the_setting(second):
    assert second.planned() == []


def test_a_setting_that_differs_trains_what_it_concerns_alone(finished_project, tmp_path):
    project = Project(tmp_path / "third", merged(TINY, {"methods": {"scrub": {"hyperparameters": {"temperature": 5}}}}))
    project.make("results/table.md", "--config", f"checkpoints={finished_project.folder}/results")
    trained = [log for log in LOGS if "carried: the training" not in project.read(log)]
    assert trained == [f"{CELLS}/scrub/unlearn.log"]
    (line,) = [line for line in project.read(trained[0]).splitlines() if line.startswith("not carried: ")]
    assert re.search(
        r'unlearned\.pt: hyperparameters is \{.*"temperature": 4\} there, \{.*"temperature": 5\} here$', line
    )
    assert "6 of 7 checkpoints" in project.read("results/table.md")


def test_a_newer_version_whose_files_have_moved_trains_nothing(finished_project, tmp_path):
    """As after an upgrade: moved modules, a moved method, a new comment, and a changed constant of the library."""
    project = Project(
        tmp_path / "newer", merged(TINY, {"methods": {"scrub": {"file": "scripts/methods/moved/scrub.py"}}})
    )
    scripts = project.folder / "scripts"
    (scripts / "unlearning/clocks.py").rename(scripts / "unlearning/stopwatch.py")
    (scripts / "methods/moved").mkdir()
    (scripts / "methods/scrub.py").rename(scripts / "methods/moved/scrub.py")
    for file in scripts.rglob("*.py"):
        file.write_text(file.read_text().replace("unlearning.clocks", "unlearning.stopwatch"))
    project.make("results/table.md", "--config", f"checkpoints={finished_project.folder}")
    assert all("carried: the training was done elsewhere" in project.read(log) for log in LOGS)
    assert project.read("results/metrics.csv") == finished_project.read("results/metrics.csv")


def test_a_method_that_does_something_else_is_not_carried(finished_project, tmp_path):
    project = Project(tmp_path / "edited", TINY)
    file = project.folder / "scripts/methods/scrub.py"
    file.write_text(file.read_text().replace("epoch < self.max_epochs", "epoch <= self.max_epochs"))
    target = f"{CELLS}/scrub/metrics.json"
    project.make(target, "--config", f"checkpoints={finished_project.folder}")
    assert "unlearned.pt: method_code is [" in project.read(f"{CELLS}/scrub/unlearn.log")
    assert "carried: the training was done elsewhere" in project.read(TRAININGS[0])


@pytest.mark.parametrize("is_whole", [True, False], ids=["of another seed", "damaged"])
def test_bad_files_are_refused_in_one_line_each(finished_project, tmp_path, is_whole):
    """A truncated file, a file with a payload, and a file of another program are named, and their code is not run."""
    folder = shutil.copytree(finished_project.folder / "results", tmp_path / "there")
    planted = tmp_path / "planted"

    class Payload:
        def __reduce__(self):
            return (open, (str(planted), "w"))

    pretrained = folder / "resnet20-digits/seed1/pretrained.pt"
    if is_whole:
        torch.save({"state_dict": {}, "made_by": Payload()}, pretrained)
    else:
        pretrained.write_bytes(pretrained.read_bytes()[:-2000])
    weights = build_model("resnet20", 10, 1, 0.25).state_dict()
    torch.save(weights, folder / "resnet20-digits-class0/seed1/retrain/retrained.pt")
    project = Project(tmp_path / "here", TINY)
    targets = ["results/resnet20-digits/seed1/pretrained.pt", f"{CELLS}/retrain/retrained.pt"]
    done = project.run(*targets, "--config", f"checkpoints={folder}")
    assert done.returncode == 1
    assert "Traceback" not in done.stdout
    lines = [line for line in done.stdout.splitlines() if line.startswith("error in ")]
    assert len(lines) == 2
    for line in lines:
        assert re.search(r"trained\.pt: no checkpoint of this project \(.*\); remove it, and it is trained here$", line)
    assert not planted.exists()


def test_the_same_images_in_another_order_are_the_same_data(finished_project, tmp_path):
    """A data set from another source may have its images in an order of its own. One pixel is another data set."""
    project = Project(tmp_path / "reordered", TINY)
    shutil.copytree(finished_project.folder / "data", project.folder / "data")
    file = project.folder / "data/digits.npz"
    arrays = dict(np.load(file))
    for part in ("train", "test"):
        order = np.random.default_rng(0).permutation(len(arrays[f"{part}_labels"]))
        arrays |= {name: its[order] for name, its in arrays.items() if name.startswith(part)}
    arrays |= {f"{part}_labels": arrays[f"{part}_labels"].astype(np.int32) for part in ("train", "test")}
    np.savez(file, **arrays)
    target, said = "results/resnet20-digits/seed1/pretrained.pt", "carried: the training was done elsewhere"
    cell = f"{CELLS}/retain_finetune/metrics.json"
    project.make(cell, "--config", f"checkpoints={finished_project.folder}")
    assert said in project.read(TRAININGS[0])
    assert said in project.read(f"{CELLS}/retain_finetune/unlearn.log")
    there, here = (json.loads(its.read(cell)) for its in (finished_project, project))
    assert (here["status"], here["retain_acc"], here["forget_acc"]) == ("ok", there["retain_acc"], there["forget_acc"])
    arrays["train_images"][0, 0, 0] ^= 255
    np.savez(file, **arrays)
    project.make(target, "--config", f"checkpoints={finished_project.folder}")
    log = project.read(TRAININGS[0])
    assert said not in log
    assert re.search(r"not carried: .*pretrained\.pt: data is .* there, .* here", log)


OWN = "these are this run's own results, which are removed before they are made again; move them"


@pytest.mark.parametrize(
    ("folder", "message"),
    [("nowhere", "there is no such folder; name a copy of results/"), ("results", OWN), (".", OWN)],
)
def test_a_folder_that_cannot_be_is_refused_before_any_job(finished_project, folder, message):
    done = finished_project.run("--config", f"checkpoints={folder}")
    assert done.returncode == 1
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("error: ")]
    assert f"checkpoints={folder}: {message}" in line


@pytest.mark.parametrize("where", ["top level", "suite"])
def test_the_configuration_may_name_them_as_well(finished_project, tmp_path, where):
    named = {"checkpoints": str(finished_project.folder)}
    settings = TINY | named if where == "top level" else merged(TINY, {"suites": {"digits": named}})
    project = Project(tmp_path / "configured", settings)
    project.make("results/resnet20-digits/seed1/pretrained.pt")
    assert "carried: the training was done elsewhere" in project.read(TRAININGS[0])
    assert str(finished_project.folder) in project.read("config.yaml")
