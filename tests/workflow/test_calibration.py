"""Calibration: one small run."""

import csv
import re

import pytest
import torch
import yaml
from project import ROOT, TINY, Project, merged

CONFIG = yaml.safe_load((ROOT / "config.yaml").read_text())
METHODS = ["retain_finetune"]
CHOICES = [
    "epoch_of: forget",
    "batch_norm: eval",
    "augment: false",
    "normalisation: half",
    "normalisation: none",
]


@pytest.fixture(scope="module")
def calibrated(tmp_path_factory):
    changes = {"suites": {"digits": {"methods": ["head_mask", *METHODS]}}}
    project = Project(tmp_path_factory.mktemp("calibrated"), merged(TINY, changes))
    project.make("results/calibration.md", "--config", "calibrate=true")
    return project


def test_one_command_calibrates_a_suite(calibrated):
    rows = list(csv.DictReader(calibrated.read("results/calibration.csv").splitlines()))
    assert {row["benchmark"] for row in rows} == {"resnet20-digits-class0"}
    found = {line: [row["method"] for row in rows if row["choice"] == line] for line in {row["choice"] for row in rows}}
    with_references = ["original", "retrain", *METHODS]
    of_attack = ["members augmented", "ties by position", "members augmented, ties by position"]
    of_choice = {choice: METHODS if choice in CHOICES[:3] else with_references for choice in CHOICES}
    expected = of_choice | {f"{choice}, {other}": its for choice, its in of_choice.items() for other in of_attack}
    assert found == expected | dict.fromkeys(["as chosen", *of_attack], with_references)
    report = calibrated.read("results/calibration.md")
    assert report.count("| batch_norm: eval  ") == 4  # once per metric
    assert "*published*" not in report  # nothing here runs as published


def test_each_variant_unlearns_by_its_own_line_and_from_the_same_model(calibrated):
    cells = calibrated.folder / "results/resnet20-digits-class0/seed1"
    suffixes = ("", "__epoch_of_forget", "__batch_norm_eval", "__augment_false")
    files = [torch.load(cells / f"retain_finetune{suffix}/unlearned.pt", weights_only=True) for suffix in suffixes]
    chosen, *others = (file["made_by"]["unlearning_protocol"]["unlearn"] for file in files)
    assert [dict(its.items() - chosen.items()) for its in others] == [
        {"epoch_of": "forget"},
        {"batch_norm": "eval"},
        {"augment": False},
    ]
    assert not list(calibrated.folder.glob("results/resnet20-digits__*/seed1/retain_finetune__*"))
    normalised = calibrated.folder.glob("results/resnet20-digits*/seed1/pretrained.pt")
    assert len({path.read_bytes() for path in normalised}) == 3
    assert len(list(calibrated.folder.glob("data/*.npz"))) == 1


def test_a_preview_has_the_rows_of_the_finished_cells(calibrated):
    """Of half a day of calibrations, one wants to see and to keep what there is."""
    folder = calibrated.folder / "results/resnet20-digits-class0/seed1/retain_finetune__augment_false"
    folder.rename(folder.with_name("elsewhere"))
    done = calibrated.command("preview", "calibrate=true")
    folder.with_name("elsewhere").rename(folder)
    assert done.stdout == "results/preview.md: 11 of 12 cells\n", done.stderr
    whole = calibrated.read("results/calibration.csv").splitlines()
    assert calibrated.read("results/preview.csv").splitlines() == [row for row in whole if "augment: false" not in row]
    assert "augment: false" not in calibrated.read("results/preview.md")
    assert "| batch_norm: eval " in calibrated.read("results/preview.md")
    grid = calibrated.command("status", "calibrate=true", "choices=augment batch_norm").stdout
    assert re.search(r"^retain_finetune__augment_false +done$", grid, re.MULTILINE)
    assert grid.splitlines()[-1] == "5 cells: 5 done; no run is going on"
    plan = calibrated.command("plan", "calibrate=true", "choices=augment epoch_of", "seeds=1 2").stdout
    assert re.search(r"^unlearn +3 ", plan, re.MULTILINE)  # of seed 2: as chosen, and with each choice
    nothing = calibrated.command("preview", "calibrate=true", "seeds=7")
    assert (nothing.returncode, nothing.stderr) == (1, "error: no cell of the calibration is finished yet\n")


def test_the_report_is_asked_for_with_its_switch(calibrated):
    done = calibrated.run("results/calibration.md", "-n")
    assert done.returncode != 0
    assert "results/calibration.md is made with: --config calibrate=true" in done.stdout


def test_one_cell_can_be_asked_for_by_its_file(calibrated):
    """So that the cheapest come first. A result that is removed shows that the file is really planned."""
    cells = [
        "results/resnet20-digits-class0/seed1/retain_finetune__epoch_of_forget/metrics.json",
        "results/resnet20-digits__normalisation_half-class0/seed1/retain_finetune/metrics.json",
    ]
    for cell in cells:
        kept = calibrated.read(cell)
        (calibrated.folder / cell).unlink()
        assert len(calibrated.planned(cell, "--config", "calibrate=true")) == 1
        (calibrated.folder / cell).write_text(kept)


def test_a_variant_draws_what_the_method_itself_draws(calibrated):
    """bad_teacher draws a teacher. The choice in the configuration gives the model that a calibration gives."""
    settings = calibrated.folder / "by_forget.yaml"
    settings.write_text(yaml.safe_dump({"protocols": {"tiny": {"unlearn": {"epoch_of": "forget"}}}}))
    names = ("bad_teacher__epoch_of_forget", "bad_teacher")
    variant, itself = (f"results/resnet20-digits-class0/seed1/{name}/unlearned.pt" for name in names)
    calibrated.make(variant, "--config", "calibrate=true", "methods=bad_teacher")
    calibrated.make(itself, "--configfile", str(settings), "--config", "methods=bad_teacher")
    ours, theirs = (torch.load(calibrated.folder / file, weights_only=True)["state_dict"] for file in (variant, itself))
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
