"""Several classes of one model and data set at once: which jobs they share."""

from collections import Counter

import pytest
from project import TINY, Project

TWO = ("--config", "benchmarks=resnet20-digits-class0-1", "methods=scrub")


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    return Project(tmp_path_factory.mktemp("classes"), TINY)


def test_two_classes_share_the_pretrained_model_and_nothing_else(project):
    jobs = Counter(project.planned("results/table.md", *TWO))
    assert jobs == {
        **{"dataset": 1, "pretrain": 1, "split": 2, "retrain": 2, "unlearn scrub": 2},
        **{f"{rule} {row}": 2 for rule in ("evaluate", "compare") for row in ("original", "retrain", "scrub")},
        **{"aggregate": 1, "table": 1},
    }


def test_all_classes_are_those_of_the_data_set(project):
    jobs = Counter(
        project.planned("results/table.md", "--config", "benchmarks=resnet20-digits-class*", "methods=scrub")
    )
    assert (jobs["pretrain"], jobs["retrain"], jobs["unlearn scrub"]) == (1, 10, 10)


def test_a_sweep_and_a_calibration_share_it_too(project):
    swept = Counter(project.planned("results/sweep.md", *TWO, "sweep=true"))
    assert (swept["carve"], swept["pretrain"], swept["retrain"]) == (1, 1, 2)
    calibrated = Counter(project.planned("results/calibration.md", *TWO, "calibrate=true"))
    assert (calibrated["pretrain"], calibrated["retrain"]) == (3, 6)  # two further normalisations
    assert calibrated["unlearn scrub__augment_false"] == 2
