"""Comparison with the published results, one seed each: workflow/resources/published.csv."""

from __future__ import annotations

import pandas

from unlearning.evaluation.metrics import METRICS
from unlearning.tables.image_errors import AREA

DECIMALS = 3
"""The published values have three decimals; ours are rounded to the same number before they are ranked."""
TERMS = METRICS[:-1]
"""What the score is the mean of; forget_acc and forget_mia_auc as their distance from 1."""
TEST_IMAGES = 10_000
FORGET_TEST_IMAGES = {
    "resnet20-cifar10-class0": 1000,
    "vgg16bn-cifar100-class0": 100,
    "mobilenetv2-fmnist-class0": 1000,
}
"""The test images of each published benchmark, and those of its forgotten class."""


def side_by_side(summary: pandas.DataFrame, published: pandas.DataFrame) -> pandas.DataFrame:
    """Return our mean, the published value, the difference and in_errors, where both have the metric.

    ``summary`` is summary.csv, ``published`` has benchmark, entry, type and the four metrics of the protocol. A
    published baseline is compared with our method of the same name. One row per benchmark, method and metric.

    in_errors is the difference divided by its error, NaN where no error is known. Over seeds, the published value is
    one draw and our mean that of n, so the error is s sqrt(1 + 1/n), with s from our seeds. The standard error over
    draws of test images is added in squares; with one seed of ours it stands alone.
    """
    baselines = published[published["type"] == "baseline"].rename(columns={"entry": "method"})
    theirs = baselines.melt(["benchmark", "method"], list(METRICS), "metric", "published")
    both = summary.merge(theirs, on=["benchmark", "method", "metric"])  # keeps the order of ``summary``
    both["difference"] = both["mean"] - both["published"]
    over_seeds = pandas.to_numeric(both["deviation"]).fillna(0) * (1 + 1 / both["seeds"]) ** 0.5
    error = (over_seeds**2 + _error_over_images(both).fillna(0) ** 2) ** 0.5
    both["in_errors"] = both["difference"] / error.where(error > 0)
    return both


def _error_over_images(rows: pandas.DataFrame) -> pandas.Series:
    """Return the standard error of each row's mean over draws of test images; NaN where it is not known.

    An accuracy has the binomial error, the AUC that of summary.csv, if it is not 0 as in a model with one answer. The
    score is the mean of three terms; its error is that of a mean whose terms err on their own, although forget_acc and
    the AUC share the images of the class.
    """
    forget_images = rows["benchmark"].map(FORGET_TEST_IMAGES)
    images = forget_images.where(rows["metric"] == "forget_acc", TEST_IMAGES - forget_images)
    binomial = (rows["mean"] * (1 - rows["mean"]) / images) ** 0.5
    of_the_area = pandas.to_numeric(rows["standard_error"])
    error = binomial.where(rows["metric"] != AREA, of_the_area.where(of_the_area > 0))
    is_term = rows["metric"].isin(TERMS)
    of_a_method = (error**2).where(is_term).groupby([rows["benchmark"], rows["method"]])
    of_the_score = of_a_method.transform("sum", min_count=len(TERMS)) ** 0.5 / len(TERMS)
    return error.where(is_term, of_the_score)


def ranks(summary: pandas.DataFrame, published: pandas.DataFrame) -> pandas.DataFrame:
    """Return benchmark, method, mean, rank and entries: the rank of our mean unlearn_score among the published ones.

    ``entries`` is the number of published entries of the benchmark, plus ours; equal scores share the better rank.
    """
    rows = []
    ours = summary[summary["metric"] == "unlearn_score"]
    for benchmark, method, mean in ours[["benchmark", "method", "mean"]].itertuples(index=False):
        scores = published.loc[published["benchmark"] == benchmark, "unlearn_score"]
        if len(scores):
            better = int((scores.round(DECIMALS) > round(mean, DECIMALS)).sum())
            rows.append((benchmark, method, mean, better + 1, len(scores) + 1))
    return pandas.DataFrame(rows, columns=["benchmark", "method", "mean", "rank", "entries"])
