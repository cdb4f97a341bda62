"""The published results: the file, the results compared with them, and the ranks."""

import math

import pandas
import pytest
import yaml
from project import ROOT

from unlearning.evaluation.metrics import METRICS, unlearn_score
from unlearning.tables.published import FORGET_TEST_IMAGES, TEST_IMAGES, ranks, side_by_side

PUBLISHED = pandas.read_csv(ROOT / "workflow/resources/published.csv")


def summary(**scores):
    rows = [("resnet20-cifar10-class0", method, "unlearn_score", 3, score, 0.01) for method, score in scores.items()]
    columns = ["benchmark", "method", "metric", "seeds", "mean", "deviation"]
    return pandas.DataFrame(rows, columns=columns).assign(standard_error=None)


def test_the_file_has_all_entries_and_scores_that_agree_with_their_terms():
    assert len(PUBLISHED) == 41
    assert PUBLISHED.groupby("benchmark").size().to_dict() == {
        "resnet20-cifar10-class0": 14,
        "vgg16bn-cifar100-class0": 14,
        "mobilenetv2-fmnist-class0": 13,
    }
    terms = PUBLISHED[["retain_acc", "forget_acc", "forget_mia_auc"]].itertuples(index=False)
    scores = [unlearn_score(*row) for row in terms]
    assert PUBLISHED["unlearn_score"].tolist() == pytest.approx(scores, abs=1.1e-3)


def test_a_baseline_is_set_beside_the_published_one_of_its_name():
    found = side_by_side(summary(scrub=0.83, my_rule=0.9), PUBLISHED)
    (row,) = found.to_dict("records")
    assert (row["method"], row["mean"], row["published"]) == ("scrub", 0.83, 0.811)
    assert row["difference"] == pytest.approx(0.019)


def of_scrub(seeds, **means):
    rows = [("resnet20-cifar10-class0", "scrub", metric, seeds, mean) for metric, mean in means.items()]
    return pandas.DataFrame(rows, columns=["benchmark", "method", "metric", "seeds", "mean"])


@pytest.mark.parametrize(
    ("seeds", "deviation", "over_images", "error"),
    [
        (3, 0.03, None, 0.03 * (4 / 3) ** 0.5),  # the published value is a draw too, and ours the mean of three
        (3, 0.03, 0.02, (0.0009 * 4 / 3 + 0.0004) ** 0.5),
        (1, None, 0.02, 0.02),
        (1, None, None, None),
        (3, 0.0, 0.0, None),  # collapsed models
    ],
)
def test_a_difference_is_said_in_units_of_its_error(seeds, deviation, over_images, error):
    ours = of_scrub(seeds, forget_mia_auc=0.416).assign(deviation=deviation, standard_error=over_images)
    (row,) = side_by_side(ours, PUBLISHED).to_dict("records")
    if error is None:
        assert math.isnan(row["in_errors"])
    else:
        assert row["in_errors"] == pytest.approx(0.019 / error)


def test_an_accuracy_has_its_binomial_error_and_the_score_that_of_its_terms():
    ours = of_scrub(1, retain_acc=0.8, forget_acc=0.2, forget_mia_auc=0.4, unlearn_score=2.2 / 3)
    ours = ours.assign(deviation=math.nan, standard_error=[math.nan, math.nan, 0.02, math.nan])
    retain, forget = (0.8 * 0.2 / 9000) ** 0.5, (0.2 * 0.8 / 1000) ** 0.5
    score = (retain**2 + forget**2 + 0.02**2) ** 0.5 / 3
    expected = [(0.8 - 0.831) / retain, 0.2 / forget, (0.4 - 0.397) / 0.02, (2.2 / 3 - 0.811) / score]
    assert side_by_side(ours, PUBLISHED)["in_errors"].tolist() == pytest.approx(expected)


@pytest.mark.parametrize("of_the_area", [math.nan, 0.0])  # not measured; a model with one answer for all images
def test_a_score_one_of_whose_terms_has_no_error_has_none(of_the_area):
    ours = of_scrub(1, retain_acc=0.8, forget_acc=0.2, forget_mia_auc=0.4, unlearn_score=2.2 / 3)
    ours = ours.assign(deviation=math.nan, standard_error=[math.nan, math.nan, of_the_area, math.nan])
    found = side_by_side(ours, PUBLISHED)
    assert found["in_errors"].isna().tolist() == [False, False, True, True]


def test_every_published_benchmark_has_its_number_of_test_images():
    datasets = yaml.safe_load((ROOT / "config.yaml").read_text())["datasets"]
    classes = {name: datasets[name.split("-")[1]]["classes"] for name in PUBLISHED["benchmark"].unique()}
    assert {name: TEST_IMAGES // number for name, number in classes.items()} == FORGET_TEST_IMAGES


def test_the_rank_is_among_all_published_entries_of_the_benchmark():
    # Published: .829, .824 three times, .822, .812, .811, .810, .808, ...
    found = ranks(summary(best=0.83, tie=0.829, second=0.8284, middle=0.8096, last=0.1), PUBLISHED)
    assert dict(zip(found["method"], found["rank"], strict=True)) == {
        "best": 1, "tie": 1, "second": 2, "middle": 8, "last": 15,
    }  # fmt: skip
    assert set(found["entries"]) == {15}


def test_a_benchmark_without_published_entries_has_no_rank():
    ours = summary(best=0.9).assign(benchmark="resnet20-digits-class0")
    assert ranks(ours, PUBLISHED).empty
    assert side_by_side(ours, PUBLISHED).empty


def test_the_published_metrics_are_ours():
    assert list(PUBLISHED.columns) == ["benchmark", "entry", "type", *METRICS]
