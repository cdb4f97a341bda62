"""The noise floor: distances between oracles, by hand."""

import numpy as np
import pandas
import pytest

from unlearning.evaluation.metrics import jensen_shannon
from unlearning.tables.floor import noise_floor, outputs_of_oracles

TOW = ("forget_train_acc", "retain_train_acc", "test_acc")


def cells(*oracles, method="retrain", benchmark="b-d-class0"):
    """Return metrics.csv for oracles with (retain_acc, forget_acc, forget_mia_auc) each; test_acc is retain_acc."""
    rows = [
        {"benchmark": benchmark, "method": method, "seed": seed, "status": "ok", "retain_acc": a, "forget_acc": f,
         "forget_mia_auc": m, "forget_train_acc": 0.0, "retain_train_acc": 1.0, "test_acc": a}
        for seed, (a, f, m) in enumerate(oracles)
    ]  # fmt: skip
    return pandas.DataFrame(rows)


def rows_of(floor):
    return {row.metric: row for row in floor.itertuples()}


def test_the_floor_is_the_distance_of_each_two_oracles():
    floor = rows_of(noise_floor(cells((0.9, 0.0, 0.5), (0.93, 0.0, 0.44), (0.9, 0.03, 0.56))))
    gap = floor["mean_abs_gap"]
    # (.03 + 0 + .06) / 3 = .03, (0 + .03 + .06) / 3 = .03, (.03 + .03 + .12) / 3 = .06: .44 and .56 are not the same
    assert (gap.pairs, gap.mean, gap.furthest) == (3, pytest.approx(0.04), pytest.approx(0.06))
    assert gap.deviation == pytest.approx(np.std([0.03, 0.03, 0.06], ddof=1))
    tow = floor["tow"]
    assert (tow.mean, tow.furthest) == (pytest.approx((0.97 + 1 + 0.97) / 3), pytest.approx(0.97))


def test_one_oracle_and_a_failed_one_give_no_floor():
    two = cells((0.9, 0.0, 0.5), (0.9, 0.0, 0.5))
    assert len(noise_floor(two)) == 2
    assert noise_floor(two.assign(status=["ok", "diverged"])).empty
    assert noise_floor(cells((0.9, 0.0, 0.5), (0.8, 0.0, 0.5), method="mine")).empty


def test_outputs_are_compared_among_oracles_of_a_benchmark_and_shadow_models_that_never_saw_the_class():
    rng = np.random.default_rng(0)
    first, second, of_mine, of_other = rng.normal(size=(4, 6, 3))
    pool = rng.normal(size=(10, 3))  # four training images of the class, then its six test images
    named = [("b-d-class0", "retrain"), ("b-d-class0", "mine"), ("b-d-class0", "retrain"), ("c-d-class0", "retrain")]
    rows = [{"benchmark": benchmark, "method": method} for benchmark, method in named]
    measured = outputs_of_oracles(rows, [first, of_mine, second, of_other], {"b-d-class0": [pool]})
    floor = rows_of(noise_floor(cells((0.9, 0.0, 0.5), (0.9, 0.0, 0.5)), measured))
    expected = [jensen_shannon(a, b) for a, b in ((first, second), (first, pool[4:]), (second, pool[4:]))]
    its = floor["js_to_oracle"]
    assert (its.pairs, its.mean, its.furthest) == (3, pytest.approx(np.mean(expected)), pytest.approx(max(expected)))
