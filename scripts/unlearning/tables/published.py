"""Comparison with the published results, one seed each: workflow/resources/published.csv."""

from __future__ import annotations

import pandas

from unlearning.evaluation.metrics import METRICS

DECIMALS = 3
"""The published values have three decimals; ours are rounded to the same number before they are ranked."""


def side_by_side(summary: pandas.DataFrame, published: pandas.DataFrame) -> pandas.DataFrame:
    """Return our mean, the published value, the difference and in_errors, where both have the metric.

    ``summary`` is summary.csv, ``published`` has benchmark, entry, type and the four metrics of the protocol. A
    published baseline is compared with our method of the same name. One row per benchmark, method and metric.

    in_errors is the difference divided by its error, NaN where no error is known. Over seeds, the published value is
    one draw and our mean that of n, so the error is s sqrt(1 + 1/n), with s from our seeds. The standard error over
    draws of images, where summary.csv has it, is added in squares; with one seed of ours it stands alone.
    """
    baselines = published[published["type"] == "baseline"].rename(columns={"entry": "method"})
    theirs = baselines.melt(["benchmark", "method"], list(METRICS), "metric", "published")
    both = summary.merge(theirs, on=["benchmark", "method", "metric"])  # keeps the order of ``summary``
    both["difference"] = both["mean"] - both["published"]
    deviation, over_images = (pandas.to_numeric(both[name]).fillna(0) for name in ("deviation", "standard_error"))
    error = (deviation**2 * (1 + 1 / both["seeds"]) + over_images**2) ** 0.5
    both["in_errors"] = both["difference"] / error.where(error > 0)
    return both


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
