"""A row for a model that another program unlearned, measured like all other rows of the suite."""

import csv
import json
import os
import shutil

import pytest
import torch
import yaml
from project import Project, merged

from unlearning.models import build_model

CELLS = "results/resnet20-digits-class0/seed1"


def test_a_file_that_is_not_there_ends_the_run_before_any_job(finished_project):
    done = finished_project.run("--config", "checkpoint=nowhere.pt")
    assert done.returncode == 1
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("error: ")]
    suffixes = ".pt, .pth, .bin, .ckpt, .safetensors"
    assert line == f"error: checkpoint=nowhere.pt: there is no such file, or no {suffixes} in the folder"


@pytest.fixture(scope="module")
def two_models(finished_project, tmp_path_factory):
    """Return a project with two benchmarks of two models, and files that a program made from scrub's model."""
    project = Project.at(shutil.copytree(finished_project.folder, tmp_path_factory.mktemp("external") / "copy"))
    state = torch.load(project.folder / CELLS / "scrub/unlearned.pt", weights_only=True)["state_dict"]
    theirs = project.folder / "theirs"
    theirs.mkdir()
    torch.save({f"module.{name}": tensor for name, tensor in state.items()}, theirs / "ours.pt")
    changes = {
        "suites": {
            "digits": {"benchmarks": ["resnet20-digits-class0", "mobilenetv2-digits-class0"], "methods": ["scrub"]}
        },
        "benchmarks": {"mobilenetv2-digits": {"protocol": "tiny", "width": 0.25, "image_size": 8}},
    }
    config = merged(yaml.safe_load(project.read("config.yaml")), changes)
    (project.folder / "config.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    project.make("results/table.md", "--config", "checkpoint=theirs", "relearning=true")
    return project


def test_a_model_from_elsewhere_is_measured_like_any_other(two_models):
    rows = list(csv.DictReader(two_models.read("results/metrics.csv").splitlines()))
    of_first = {row["method"]: row for row in rows if row["benchmark"] == "resnet20-digits-class0"}
    ours, scrub = of_first["ours"], of_first["scrub"]
    assert ours["kind"] == "external"
    assert (ours["changed_weights"], scrub["changed_weights"]) == ("", "1.0")  # its original weights are not known
    aside = ("method", "kind", "settings", "changed_weights")
    assert {name: its for name, its in ours.items() if name not in aside} == {
        name: its for name, its in scrub.items() if name not in aside
    }
    assert ours["relearn_epochs"]


def test_it_stands_where_it_fits_and_does_not_compete(two_models):
    table = two_models.read("results/table.md")
    first, second = table.split("## mobilenetv2-digits-class0")
    rows = [line for line in first.splitlines() if line.startswith("| *ours* (external) ")]
    assert len(rows) == 6  # scores, distances, features, what was asked for, costs, differences
    assert not any("**" in row for row in rows)
    assert "*External* models were unlearned by another program" in table
    assert "ours" not in second  # it has another architecture
    metrics = json.loads(two_models.read("results/mobilenetv2-digits-class0/seed1/ours/metrics.json"))
    assert metrics["status"] == "misfit"
    assert "- ours" not in json.dumps(table)  # never a baseline: no column of differences to it
    assert "− ours" not in table
    assert two_models.command("check").stdout == "7 of 7 cells are ok\n"


def test_without_the_setting_the_table_is_as_before(two_models):
    two_models.make("results/table.md", "--config", "relearning=true")
    assert "ours" not in two_models.read("results/table.md")


def test_a_model_that_fits_no_benchmark_is_an_error_with_what_is_expected(copied_project):
    torch.save(build_model("resnet20", 100, 1, 0.25).state_dict(), copied_project.folder / "wrong.pt")
    done = copied_project.run("results/table.md", "--config", "checkpoint=wrong.pt")
    assert done.returncode == 1
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("error")]
    assert "the model wrong fits no benchmark of the suite: resnet20-digits-class0: wrong.pt: " in line
    assert "resnet20 expects head.weight (10, 16); it is (100, 16)" in line


def test_a_pickled_model_is_refused_in_one_line(copied_project):
    torch.save(build_model("resnet20", 10, 1, 0.25), copied_project.folder / "pickled.pt")
    done = copied_project.run("results/table.md", "--config", "checkpoint=pickled.pt")
    assert done.returncode == 1
    assert "Traceback" not in done.stdout
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("error in adopt")]
    assert "pickled.pt: it holds something else than tensors, such as a whole pickled model" in line
    assert line.endswith("save model.state_dict()")


def test_a_file_of_the_same_name_in_another_folder_is_measured_although_it_is_older(two_models):
    older = two_models.folder / "older"
    older.mkdir()
    state = torch.load(two_models.folder / "theirs/ours.pt", weights_only=True)
    torch.save({name: tensor * 2 for name, tensor in state.items()}, older / "ours.pt")
    results = two_models.folder / CELLS / "ours"
    for file in results.iterdir():
        os.utime(file)  # newer than that file, also by the time of its last change
    planned = two_models.planned("results/table.md", "--config", "checkpoint=older", "relearning=true")
    assert "adopt ours" in planned
    assert not any(job.startswith(("pretrain", "retrain", "unlearn")) for job in planned)


def test_other_weights_under_the_same_name_are_measured_again(two_models):
    path = two_models.folder / "theirs/ours.pt"
    before = path.read_bytes()
    state = torch.load(path, weights_only=True)
    torch.save({name: tensor * 2 for name, tensor in state.items()}, path)
    try:
        planned = two_models.planned("results/table.md", "--config", "checkpoint=theirs", "relearning=true")
        assert "adopt ours" in planned
        assert not any(job.startswith(("pretrain", "retrain", "unlearn")) for job in planned)
    finally:
        path.write_bytes(before)
