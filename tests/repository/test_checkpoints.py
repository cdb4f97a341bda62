"""results/checkpoints/: the trained models that come with the project are those that a suite takes."""

from types import SimpleNamespace

import pytest
import torch
from project import ROOT

from unlearning.config.model import Benchmark
from unlearning.config.reading import CONFIG, read_config, shipped_config
from unlearning.tables.reference import numbers_of
from unlearning.training.checkpoints import read_checkpoint
from unlearning.workflow.carrying import fitting
from unlearning.workflow.plan import Plan

SUITES = [name for name, suite in shipped_config().suites.items() if suite.checkpoints]
KEPT = ROOT / "results/checkpoints"
CONTENT = {"cifar10": "5fbd265ab2cd14b1"}
"""The digest of the images and labels, in no order; their checksums are in `unlearning.data.downloads`."""


def kept_by(suite):
    """Return the configuration of a suite, and the fields of each checkpoint that it has to find in its folder."""
    config = read_config([CONFIG], {"suite": suite})
    for name in config.chosen.benchmarks:
        benchmark = Benchmark.parse(name)
        for seed in config.chosen.seeds:
            place = {"model": benchmark.model, "dataset": benchmark.dataset, "seed": str(seed)}
            yield config, f"{benchmark.pretraining}/seed{seed}/pretrained.pt", place | {"method": "original"}
            of_cell = place | {"forget_class": str(benchmark.forget_class), "method": "retrain"}
            yield config, f"{name}/seed{seed}/retrain/retrained.pt", of_cell


@pytest.mark.parametrize("suite", SUITES)
def test_the_references_of_the_suite_are_there_and_fit(suite):
    for config, path, names in kept_by(suite):
        assert config.checkpoints == "results/checkpoints"
        plan, place = Plan(config), SimpleNamespace(**names | {"forget_class": "0"})
        training = plan.training(place)
        protocol = training["protocol"] | {"precision": "tf32"}
        wanted = names | {"width": training["width"], "images": plan.images(place), "protocol": protocol}
        _, state, record = read_checkpoint(KEPT / path)
        means = {"normalisation": record["normalisation"]}  # no order changes them
        wanted |= {"content": CONTENT[names["dataset"]], "data": "of another order"} | means
        assert fitting(KEPT / path, record, wanted, torch.device("cpu"), may_lack=False) == []
        assert all(torch.isfinite(tensor).all() for tensor in state.values())
        for name in ("history.csv", "cost.json"):
            assert (KEPT / path).with_name(name).stat().st_size > 0, path


def test_nothing_else_is_kept():
    assert SUITES
    known = {path for suite in SUITES for _, path, _ in kept_by(suite)}
    assert {file.relative_to(KEPT).as_posix() for file in KEPT.rglob("*.pt")} == known


def test_what_is_said_of_the_two_runs_of_the_seed_stands_in_their_tables():
    page = " ".join((ROOT / "docs/paper-suite.md").read_text().split())
    here, there = (numbers_of(suite).metrics.set_index("method")["unlearn_score"] for suite in ("cifar10", "paper"))
    names = ("retrain", "retain_finetune", "bad_teacher", "scrub", "negative_gradient", "mask_and_average")
    scores = [[f"{scores[name]:.3f}" for scores in (here, there)] for name in names]
    oracle, finetune, teacher, scrub, gradient, ours = scores
    said = (
        f"The oracle has a score of {oracle[0]} here and {oracle[1]} there, "
        f"retain_finetune {finetune[0]} and {finetune[1]}, bad_teacher {teacher[0]} and {teacher[1]}, "
        f"scrub {scrub[0]} and {scrub[1]}, negative_gradient, which collapses, {gradient[0]} and {gradient[1]}, "
        f"mask_and_average {ours[0]} and {ours[1]}."
    )
    assert said in page
    costs = numbers_of("cifar10").costs.set_index("method")["seconds"]
    assert f"{costs['retain_finetune'].max() / 60:.0f} minutes for retain_finetune" in page
