"""The sweep: one small run, and mistakes of users."""

import csv
import json

import numpy as np
import pytest
from project import TINY, Project, merged

GRIDS = {
    "retain_finetune": {"grid": {}},
    "negative_gradient": {"grid": {"forget_weight": [0.1, 0.5]}},
}


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    changes = {"suites": {"digits": {"methods": list(GRIDS), "seeds": [1, 2]}}, "methods": GRIDS}
    project = Project(tmp_path_factory.mktemp("swept"), merged(TINY, changes))
    project.make("results/sweep.md", "--config", "sweep=true")
    return project


def test_the_report_has_each_methods_settings_and_the_chosen_ones(swept):
    report = swept.read("results/sweep.md")
    found = list(csv.DictReader(swept.read("results/sweep.csv").splitlines()))
    assert [(row["method"], row["setting"]) for row in found] == [
        ("original", ""),
        ("retrain", ""),
        ("retain_finetune", "none"),
        ("negative_gradient", "forget_weight 0.1"),
        ("negative_gradient", "forget_weight 0.5"),
    ]
    assert {row["benchmark"] for row in found} == {"resnet20-digits_validation-class0"}
    assert [row["kind"] for row in found] == ["reference"] * 2 + ["baseline"] * 3
    best = max(found[3:], key=lambda row: float(row["unlearn_score"]))
    (line,) = [line for line in report.splitlines() if line.startswith("| negative_gradient")]
    cells = [cell.strip() for cell in line.split("|")[1:-1]]
    assert cells[:3] == ["negative_gradient", "2", best["setting"]]
    of_best = ("retain_acc", "forget_acc", "forget_mia_auc_two_sided", "unlearn_score")
    assert cells[3:7] == [f"{float(best[name]):.3f}" for name in of_best]
    assert "one seed (1), judged by 20% of the training data" in report
    assert (swept.folder / "results/sweep.png").read_bytes().startswith(b"\x89PNG")


def test_a_sweep_never_looks_at_the_test_data(swept):
    """With other test images, no result of the sweep would be different."""
    whole = np.load(swept.folder / "data/digits.npz")
    carved = np.load(swept.folder / "results/datasets/digits_validation.npz")
    assert len(carved["train_labels"]) + len(carved["test_labels"]) == len(whole["train_labels"])
    seen = {image.tobytes() for image in whole["train_images"]}
    assert all(image.tobytes() in seen for part in ("train", "test") for image in carved[f"{part}_images"])


def test_the_table_and_its_cells_do_not_change_with_a_sweep(swept):
    planned = swept.planned("results/table.md")
    assert not [job for job in planned if "__" in job]
    assert planned.count("pretrain") == 2  # the sweep's pretrained models use another data set
    both = swept.planned("--config", "sweep=true")
    assert "table" in both
    assert "sweep" not in both  # it already exists
    edited = json.dumps({"methods": {"negative_gradient": {"grid": {"forget_weight": [0.1, 0.9]}}}})
    (swept.folder / "more.yaml").write_text(edited)
    again = swept.planned("results/sweep.md", "--config", "sweep=true", "--configfile", "more.yaml")
    assert again == ["evaluate negative_gradient__1", "sweep", "unlearn negative_gradient__1"]


def test_one_cell_can_be_asked_for_by_its_file(swept):
    cell = "results/resnet20-digits_validation-class0/seed1/negative_gradient__1/metrics.json"
    assert swept.planned(cell, "--config", "sweep=true") == []  # it is there
    assert "evaluate negative_gradient__1" in swept.planned(cell, "--config", "sweep=true", "--forcerun", "evaluate")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["results/sweep.md"], "results/sweep.md is made with: --config sweep=true"),
        (["--configfile", "typo.yaml"], "negative_gradient.py takes no 'weight'; it takes: forget_weight"),
        (["--configfile", "long.yaml", "--config", "sweep=true"], "negative_gradient.grid: 9 settings; every method"),
    ],
)
def test_a_mistake_is_explained_in_one_line(swept, arguments, message):
    for name, grid in {"typo": {"weight": [1]}, "long": {"forget_weight": list(range(9))}}.items():
        (swept.folder / f"{name}.yaml").write_text(json.dumps({"methods": {"negative_gradient": {"grid": grid}}}))
    done = swept.run("-n", *arguments)
    assert done.returncode == 1
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("error: ")]
    assert message in line
