"""The rows of metrics.csv and costs.csv: the joined values, and the distance to the oracle of the same seed."""

import numpy as np
import pytest

from unlearning.errors import UserError
from unlearning.files import write_json
from unlearning.tables.cells import join_cells, join_costs, read_on_request
from unlearning.tables.columns import CELL, ERASURE, MEASURED

KINDS = {"original": "reference", "retrain": "reference", "mine": "method"}


def cell(method, seed=1, **values):
    measured = {column.name: 0.5 for column in MEASURED}
    return {"benchmark": "b", "method": method, "seed": seed, "status": "ok"} | measured | values


def compared(method, value=0.5, **values):
    """Return the content of a compare.json."""
    measures = dict.fromkeys((column.name for column in ERASURE), value)
    return {"benchmark": "b", "method": method, "seed": 1} | measures | {"routing": [value] * 10} | values


def failed(method, seed=1):
    return {
        "benchmark": "b",
        "method": method,
        "seed": seed,
        "status": "failed",
        "reason": "why",
        "epoch": 2,
        "step": 3,
    }


LOGITS = np.array([[1.0, 2.0], [3.0, 1.0]])


def join(cells, on_request=(), logits=None):
    logits = logits or [LOGITS if row["status"] == "ok" else None for row in cells]
    return {(row["method"], row["seed"]): row for row in join_cells(cells, on_request, logits, KINDS)}


def test_the_oracle_is_at_no_distance_from_itself():
    row = join([cell("retrain")], [compared("retrain")])["retrain", 1]
    assert (row["mean_abs_gap"], row["tow"], row["js_to_oracle"]) == (0, 1, 0)
    gaps = [value for name, value in row.items() if name.startswith("gap_")]
    to_compare = sum(column.better == "oracle" for column in ERASURE)
    assert len(gaps) == len(MEASURED) - 1 + to_compare  # all but the standard error and what is a distance itself
    assert set(gaps) == {0}


def test_distances_are_to_the_oracle_of_the_same_seed():
    mine = cell("mine", 2, retain_acc=0.9, forget_acc=0.1, forget_mia_auc=0.44, forget_train_acc=0.3)
    oracle = cell("retrain", 2, retain_acc=0.95, forget_acc=0.0, forget_mia_auc=0.56, forget_train_acc=0.1)
    other_seed = cell("retrain", 1, retain_acc=0.1)
    row = join([mine, oracle, other_seed], logits=[LOGITS, LOGITS[:, ::-1], LOGITS])["mine", 2]
    assert row["gap_retain_acc"] == pytest.approx(-0.05)
    assert row["mean_abs_gap"] == pytest.approx((0.05 + 0.1 + 0.12) / 3)  # .44 and .56 are not the same
    assert row["tow"] == pytest.approx(0.8)
    assert 0 < row["js_to_oracle"] < 1


def test_a_failed_cell_has_its_reason_and_place_and_nothing_else():
    row = join([failed("mine"), cell("retrain")])["mine", 1]
    known = {name for name, value in row.items() if value is not None}
    assert known == {"benchmark", "method", "seed", "status", "kind", "reason", "epoch", "step"}


@pytest.mark.parametrize("cells", [[cell("mine")], [cell("mine"), failed("retrain")]], ids=["missing", "failed"])
def test_without_an_oracle_there_are_no_distances(cells):
    row = join(cells)["mine", 1]
    assert row["retain_acc"] == 0.5
    assert row["tow"] is row["js_to_oracle"] is row["mean_abs_gap"] is row["gap_retain_acc"] is None


def test_every_row_has_the_same_columns_in_the_same_order():
    rows = join([cell("original"), cell("retrain"), failed("mine")])
    (columns,) = {tuple(row) for row in rows.values()}
    assert columns[: len(CELL)] == tuple(column.name for column in CELL)
    assert columns[len(CELL) :][:4] == ("retain_acc", "forget_acc", "forget_mia_auc", "unlearn_score")


def test_the_comparison_with_the_oracle_is_joined_to_every_cell():
    contents = [compared("mine", 0.3), compared("retrain", 0.1), compared("original", None)]
    rows = join([cell("mine"), cell("retrain"), failed("original")], contents)
    mine = rows["mine", 1]
    assert mine["prototype_acc_10"] == mine["routing_tv"] == 0.3
    assert mine["gap_prototype_acc_10"] == pytest.approx(0.2)
    assert "gap_routing_tv" not in mine  # a distance to the oracle, which has none to itself
    assert "routing" not in mine
    assert rows["original", 1]["routing_tv"] is None
    without = join([cell("mine"), cell("retrain")])["mine", 1]  # as in a preview, before it is made
    assert without["routing_tv"] is without["gap_prototype_acc_10"] is None


def test_what_was_asked_for_is_joined_and_compared_as_well():
    asked = [
        {"benchmark": "b", "seed": 1, "method": method, "relearn_epochs": n}
        for method, n in [("mine", 3), ("retrain", 9)]
    ]
    rows = join([cell("mine"), cell("retrain")], asked)
    assert rows["mine", 1]["relearn_epochs"] == 3
    assert rows["mine", 1]["gap_relearn_epochs"] == -6
    assert "relearn_epochs" not in join([cell("mine"), cell("retrain")])["mine", 1]


def test_a_cell_that_is_not_ok_has_nothing_that_was_asked_for():
    diverged = cell("mine") | {"status": "diverged", "reason": "the model's logits are not finite"}
    row = join([diverged, cell("retrain")], [{"benchmark": "b", "seed": 1, "method": "mine", "relearn_epochs": 3}])[
        "mine", 1
    ]
    assert row["relearn_epochs"] is row["gap_relearn_epochs"] is None


@pytest.mark.parametrize(("name", "column"), [("relearning.json", "relearn_epochs"), ("ulira.json", "ulira_auc")])
def test_a_file_made_on_request_by_another_version_is_explained(tmp_path, name, column):
    """A stale number under the same name would have another meaning."""
    path = tmp_path / name
    write_json(path, {"benchmark": "b", "method": "mine", "seed": 1, column: 0.5})
    with pytest.raises(UserError, match=f"{name}: of format 1, not 2; delete it to have it made again"):
        read_on_request(path)
    write_json(path, {"format": 2, column: 0.5})
    assert read_on_request(path)[column] == 0.5


def cost(rule, seconds=None, **wildcards):
    row = {"rule": rule, "model": "m", "dataset": "d", "seed": "1"} | wildcards
    return row if seconds is None else row | {"training_seconds": seconds}


def test_seconds_are_set_beside_those_of_the_same_oracle():
    unlearn, retrain, other, pretrain, evaluate = join_costs(
        [
            cost("unlearn", 3.0, forget_class="0", method="mine"),
            cost("retrain", 12.0, forget_class="0"),
            cost("retrain", 99.0, forget_class="1"),
            cost("pretrain", 12.0),
            cost("evaluate", forget_class="0", method="mine"),
        ]
    )
    assert unlearn["seconds_to_oracle"] == 0.25
    assert retrain["seconds_to_oracle"] == other["seconds_to_oracle"] == 1
    assert (unlearn["benchmark"], pretrain["benchmark"]) == ("m-d-class0", "m-d")
    assert "seconds_to_oracle" not in pretrain
    assert "seconds_to_oracle" not in evaluate
