"""The rows and the report of a calibration."""

import numpy as np
import pandas
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from unlearning.evaluation.metrics import METRICS
from unlearning.tables.calibration import auc_by_position, render_calibration, rows_of_calibration

# Far enough apart that a softmax does not depend on the order of its sum.
LOGITS = st.lists(st.lists(st.sampled_from([0.0, 30.0, 60.0]), min_size=3, max_size=3), min_size=1, max_size=8)


@given(LOGITS, LOGITS)
def test_ranks_by_position_let_a_member_lose_every_tie(members, others):
    members, others = np.array(members, np.float32), np.array(others, np.float32)
    scores = torch.softmax(torch.from_numpy(np.concatenate([members, others])), dim=1).amax(dim=1).numpy()
    ranks = np.empty(len(scores), dtype=int)
    ranks[np.argsort(scores, kind="stable")] = np.arange(1, len(scores) + 1)
    count = len(members)
    expected = (ranks[:count].sum() - count * (count + 1) / 2) / (count * len(others))
    assert auc_by_position(members, others) == pytest.approx(expected)


def cell(benchmark, method, **values):
    metrics = {"retain_acc": 0.8, "forget_acc": 0.2, "forget_mia_auc": 0.5, "unlearn_score": 0.7}
    ok = {"status": "ok", "forget_mia_auc_augmented": 0.2}
    return {"benchmark": benchmark, "method": method, "seed": 1} | ok | metrics | values


def test_a_row_names_the_choice_that_its_cell_changes():
    choices = {"__augment_false": "augment: false", "__normalisation_none": "normalisation: none"}
    cells = [
        cell("resnet20-d-class0", "base"),
        cell("resnet20-d-class0", "base__augment_false"),
        cell("resnet20-d__normalisation_none-class0", "base"),
        {"benchmark": "resnet20-d-class0", "method": "other", "seed": 1, "status": "failed"},
    ]
    sure, unsure = [60.0, 0], [0, 0]
    logits = {"member": [sure], "augmented_member": [sure, unsure], "non_member": [sure, unsure]}
    scores = {f"{name}_logits": np.array(its) for name, its in logits.items()}
    rows = rows_of_calibration(cells, [scores, scores, scores, {}], choices)
    found = [(row["choice"], row["benchmark"], row["method"], row["forget_mia_auc"]) for row in rows]
    assert found == [
        ("as chosen", "resnet20-d-class0", "base", 0.5),
        ("members augmented", "resnet20-d-class0", "base", 0.2),
        ("ties by position", "resnet20-d-class0", "base", 0.5),
        ("members augmented, ties by position", "resnet20-d-class0", "base", 0.25),
        ("augment: false", "resnet20-d-class0", "base", 0.5),
        ("augment: false, members augmented", "resnet20-d-class0", "base", 0.2),
        ("augment: false, ties by position", "resnet20-d-class0", "base", 0.5),
        ("augment: false, members augmented, ties by position", "resnet20-d-class0", "base", 0.25),
        ("normalisation: none", "resnet20-d-class0", "base", 0.5),
        ("normalisation: none, members augmented", "resnet20-d-class0", "base", 0.2),
        ("normalisation: none, ties by position", "resnet20-d-class0", "base", 0.5),
        ("normalisation: none, members augmented, ties by position", "resnet20-d-class0", "base", 0.25),
        ("as chosen", "resnet20-d-class0", "other", None),
    ]
    assert rows[1]["unlearn_score"] == pytest.approx((0.8 + 0.8 + 0.8) / 3)
    assert rows[3]["unlearn_score"] == pytest.approx((0.8 + 0.8 + 0.75) / 3)


def row(choice, method, seed, retain_acc):
    metrics = {"retain_acc": retain_acc, "forget_acc": 0.0, "forget_mia_auc": 0.5, "unlearn_score": 0.75}
    return {"choice": choice, "benchmark": "b", "method": method, "seed": seed, "status": "ok"} | metrics


def test_the_report_sets_every_choice_beside_the_protocol_and_the_publication():
    accuracies = {
        ("as chosen", "retrain"): (0.90, 0.92, 0.91),
        ("as chosen", "base"): (0.80, 0.84, 0.82),
        ("augment: false", "base"): (0.70, 0.742, 0.721),  # the differences hardly spread
        ("batch_norm: eval", "base"): (0.79, 0.86, 0.825),
    }
    rows = [row(*key, seed, value) for key, values in accuracies.items() for seed, value in enumerate(values)]
    published = pandas.DataFrame(
        [{"benchmark": "b", "entry": "base", "type": "baseline", "retain_acc": 0.7, "forget_acc": 0.0}]
    ).assign(forget_mia_auc=0.4, unlearn_score=0.76)
    report = render_calibration(rows, published)
    lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in report.splitlines() if line.startswith("| ")]
    assert lines[:5] == [
        ["choice", "retrain", "base"],
        ["*published*", "–", "0.700"],
        ["as chosen", "0.910 (.900–.920)", "0.820 (.800–.840)"],
        ["augment: false", "–", "0.721 (.700–.742) ▼"],
        ["batch_norm: eval", "–", "0.825 (.790–.860)"],
    ]
    assert lines[-4:] == [
        ["choice", "retain_acc", "forget_acc", "forget_mia_auc", "unlearn_score"],
        ["as chosen", "0.120", "0.000", "0.100", "0.010"],
        ["augment: false", "0.021", "0.000", "0.100", "0.010"],
        ["batch_norm: eval", "0.125", "0.000", "0.100", "0.010"],
    ]
    assert "*published*" not in render_calibration(rows, published[:0])
    two_seeds = [each for each in rows if each["seed"] < 2]
    assert "▼ |" not in render_calibration(two_seeds, published)


def test_another_attack_stands_only_beside_what_it_can_change():
    both = "augment: false, members augmented, ties by position"
    choices = ("as chosen", "members augmented", "augment: false", both)
    rows = [row(choice, "base", seed, 0.8) for choice in choices for seed in range(2)]
    report = render_calibration(rows, pandas.DataFrame(columns=["benchmark", "entry", "type"]))
    _, *blocks = report.split("| choice")
    shown = [[line.split("|")[1].strip() for line in block.splitlines() if line.startswith("| ")] for block in blocks]
    assert shown == [list(choices[::2])] * 2 + [list(choices)] * 2


def test_the_report_says_what_failed_and_takes_no_distance_of_it():
    rows = [row("as chosen", "base", seed, 0.8) for seed in range(2)]
    rows += [row("augment: false", "base", seed, 0.7) for seed in range(2)]
    rows += [row("batch_norm: eval", "base", seed, 0.7) for seed in range(2)]
    for failed in (*rows[:2], rows[4]):  # as chosen always, the last choice once
        failed |= {"status": "diverged"} | dict.fromkeys(METRICS)
    published = pandas.DataFrame([{"benchmark": "b", "entry": "base", "type": "baseline"}])
    published = published.assign(**dict.fromkeys(METRICS, 0.5))
    lines = [line.split("|")[1:-1] for line in render_calibration(rows, published).splitlines() if line[:2] == "| "]
    shown = [[cell.strip() for cell in line] for line in lines]
    assert shown[2:5] == [
        ["as chosen", "failed"],
        ["augment: false", "0.700 (.700–.700)"],
        ["batch_norm: eval", "0.700 (1 of 2 seeds)"],
    ]
    assert [line[0] for line in shown if len(line) == 1 + len(METRICS)] == ["choice", "augment: false"]


def test_no_distance_is_given_where_no_choice_has_all_baselines():
    rows = [row("as chosen", "one", 0, 0.8), row("augment: false", "other", 0, 0.7)]
    published = pandas.DataFrame([{"benchmark": "b", "entry": name, "type": "baseline"} for name in ("one", "other")])
    report = render_calibration(rows, published.assign(**dict.fromkeys(METRICS, 0.5)))
    assert "*published*" in report
    assert "Distance of the means" not in report
