"""The table: its numbers by hand, its marks, and what becomes of a cell that failed."""

import numpy as np
import pandas
import pytest

from unlearning.metrics import METRICS
from unlearning.tables import half_width, render_table

COSTS = pandas.DataFrame({"device": ["cpu"], "threads": [1], "torch": ["2.13.0"], "python": ["3.11.7"]})


def metrics(rows):
    columns = ["benchmark", "method", "seed", "status", *METRICS]
    return pandas.DataFrame([["b-d-class0", *row] for row in rows], columns=columns)


def cells_of(table, label):
    (line,) = [line for line in table.splitlines() if line.startswith(f"| {label} ")]
    return [cell.strip() for cell in line.strip("|").split("|")][1:]


ROWS = [
    ("original", 1, "ok", 0.9, 1.0, 0.6, 0.4333),
    ("retrain", 1, "ok", 0.95, 0.0, 0.5, 0.8167),
    ("alpha", 1, "ok", 0.9, 0.2, 0.5, 0.7333),
    ("beta", 1, "ok", 0.8, 0.0, 0.45, 0.7833),
]


def test_one_seed_gives_plain_values_and_the_best_method_of_each_column_in_bold():
    table = render_table(metrics(ROWS), COSTS, "digits")
    assert cells_of(table, "alpha") == ["**0.900**", "0.200", "0.500", "0.733"]
    assert cells_of(table, "beta") == ["0.800", "**0.000**", "**0.450**", "**0.783**"]
    assert cells_of(table, r"*retrain* (the oracle)") == ["0.950", "0.000", "0.500", "0.817"]  # does not compete
    assert "±" not in table.split("## ")[1]
    assert "suite `digits`" in table
    assert "Seeds 1 · cpu, 1 thread a job · torch 2.13.0, Python 3.11.7" in table
    for title in ("retain_acc ↑", "forget_acc ↓", "forget_mia_auc ↓", "unlearn_score ↑"):
        assert title in table


def test_references_come_first_and_methods_in_the_order_of_the_configuration():
    shuffled = [ROWS[3], ROWS[0], ROWS[2], ROWS[1]]
    lines = render_table(metrics(shuffled), COSTS, "digits").splitlines()
    first_cells = [line.split("|")[1].strip() for line in lines if line.startswith("| ")]
    assert first_cells == ["method", "*original* (before unlearning)", "*retrain* (the oracle)", "", "beta", "alpha"]


def test_several_seeds_give_mean_and_students_interval():
    rows = [("alpha", seed, "ok", value, 0.0, 0.5, 0.8) for seed, value in ((1, 0.8), (2, 0.9), (3, 1.0))]
    table = render_table(metrics(rows), COSTS, "digits")
    # Deviation .1, standard error .1 / sqrt(3), 97.5 % quantile of Student's t with 2 degrees of freedom 4.303.
    assert half_width(pandas.Series([0.8, 0.9, 1.0])) == pytest.approx(4.302653 * 0.1 / np.sqrt(3), rel=1e-5)
    assert cells_of(table, "alpha")[0] == "**0.900** ± 0.248"
    assert "over 3 seeds" in table
    assert "Seeds 1, 2, 3" in table


def test_what_looks_equal_is_bold_alike():
    rows = [("alpha", 1, "ok", 0.90001, 0.0, 0.5, 0.8), ("beta", 1, "ok", 0.90002, 0.0, 0.5, 0.8)]
    table = render_table(metrics(rows), COSTS, "digits")
    assert cells_of(table, "alpha")[0] == cells_of(table, "beta")[0] == "**0.900**"


def test_a_cell_that_diverged_says_so_and_the_rest_stands():
    failed = ("gamma", 1, "diverged", None, None, None, None)
    table = render_table(metrics([*ROWS, failed]), COSTS, "digits")
    assert cells_of(table, "gamma") == ["diverged (1 of 1 seeds)", "–", "–", "–"]
    assert cells_of(table, "beta")[3] == "**0.783**"


def test_every_line_of_a_block_is_equally_wide_as_text():
    block = render_table(metrics(ROWS), COSTS, "digits").split("## ")[1]
    assert len({len(line) for line in block.splitlines() if line.startswith("|")}) == 1
