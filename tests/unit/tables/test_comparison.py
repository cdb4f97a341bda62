"""The table: its numbers computed by hand, its marks, and the display of a failed cell."""

from dataclasses import replace

import pandas
import pytest
from project import ROOT

from unlearning.evaluation.metrics import METRICS
from unlearning.files import read_table
from unlearning.paths import FOLLOWING
from unlearning.tables.columns import MEASURED, METRICS_CSV, ON_REQUEST, render_dictionary
from unlearning.tables.comparison import render_table
from unlearning.tables.numbers import numbers_from

PUBLISHED = pandas.read_csv(ROOT / "workflow/resources/published.csv")


def metrics(rows, benchmark="b-d-class0", **columns):
    """Return metrics.csv for rows of method, kind, seed, status and the four metrics; others are .25 in ok rows."""
    frame = pandas.DataFrame(rows, columns=["method", "kind", "seed", "status", *METRICS]).assign(benchmark=benchmark)
    for column in METRICS_CSV:
        if column.name not in frame and column not in ON_REQUEST:
            frame[column.name] = [0.25 if status == "ok" else None for status in frame["status"]]
    for column in ("reason", "epoch", "step", "line"):
        frame[column] = None
    frame["test_acc"], frame["classes"] = 0.9, 10
    frame["settings"] = frame["method"].map({"alpha": "authors", "beta": "tuned"}).fillna("own")
    return frame.assign(**columns)


def costs(*rows, benchmark="b-d-class0"):
    names = ["rule", "method", "training_seconds", "seconds_to_oracle", "steps", "peak_memory_mb", "peak_gpu_memory_mb"]
    rows = rows or [("unlearn", "alpha", 2.0, 0.5, 100, 300.0, None)]
    frame = pandas.DataFrame(rows, columns=names).assign(benchmark=benchmark)
    return frame.assign(seed=1, device="cpu", precision="float32", threads=1, torch="2.13.0", python="3.11.7")


def render(frame, *arguments, costs_csv=None, suite="digits", floor=None):
    """Return the table for metrics.csv and costs.csv, with the means and differences that follow from them."""
    return render_table(numbers_from(frame, costs() if costs_csv is None else costs_csv, floor), suite, *arguments)


SCORES, DISTANCES, FEATURES, COSTS, PAIRED = range(5)
"""The blocks of a benchmark in the order of the table, where nothing is on request."""


def blocks_of(table):
    """Return each block as {label: cells}, in the order of the table; the titles under "method"."""
    table = table.split("## Do the metrics agree?")[0]
    blocks = []
    for paragraph in table.split("\n\n"):
        lines = [line for line in paragraph.splitlines() if line.startswith("|") and not line.startswith("|:")]
        cells = [[cell.strip() for cell in line.strip("|").replace("\\|", "¦").split("|")] for line in lines]
        if cells:
            blocks.append({row[0]: row[1:] for row in cells})
    return blocks


ROWS = [
    ("original", "reference", 1, "ok", 0.9, 1.0, 0.6, 0.4333),
    ("retrain", "reference", 1, "ok", 0.95, 0.0, 0.5, 0.8167),
    ("mask", "control", 1, "ok", 0.99, 0.0, 0.4, 0.8633),
    ("alpha", "baseline", 1, "ok", 0.9, 0.08, 0.5, 0.7733),
    ("beta", "method", 1, "ok", 0.8, 0.0, 0.45, 0.7833),
]


def test_one_seed_gives_plain_values_the_areas_standard_error_and_the_best_method_of_each_column_in_bold():
    table = render(metrics(ROWS, forget_mia_auc_se=0.0123))
    primary = blocks_of(table)[0]
    assert primary["method"] == ["retain_acc ↑", "forget_acc ↓", "forget_mia_auc ↓", "unlearn_score ↑"]
    assert primary["alpha"] == ["**0.900**", "0.080", "0.500 (SE 0.012)", "0.773"]
    assert primary["beta"] == ["0.800", "**0.000**", "0.450 (SE 0.012)", "**0.783**"]
    assert "DeLong's standard error" in table
    assert "±" not in table
    assert "suite `digits`" in table
    assert "Seeds 1 · cpu, float32, 1 thread per job · torch 2.13.0, Python 3.11.7" in table


def test_references_and_controls_are_labelled_and_do_not_compete():
    primary = blocks_of(render(metrics(ROWS)))[0]
    # Each row is better than every method in some column, and equal to the best method in forget_acc.
    for label in ("*original*", "*retrain* (the oracle)", "*mask* (control)"):
        assert not any("**" in cell for cell in primary[label])


def test_references_come_first_then_controls_and_methods_in_the_order_of_the_configuration():
    shuffled = [ROWS[4], ROWS[2], ROWS[0], ROWS[3], ROWS[1]]
    labels = ["method", "*original*", "*retrain* (the oracle)", "*mask* (control)", "", "beta", "alpha"]
    for block in blocks_of(render(metrics(shuffled))):
        assert list(block) == labels


def three_seeds(*values, method="alpha", kind="method"):
    return [(method, kind, seed, "ok", value, 0.0, 0.5, 0.8) for seed, value in enumerate(values, start=1)]


def test_a_few_seeds_give_mean_and_range_and_five_students_interval_within_the_bounds():
    few = render(metrics(three_seeds(0.8, 0.9, 1.0), forget_mia_auc_se=0.01))
    assert blocks_of(few)[SCORES]["alpha"] == [
        "**0.900** (.800–1.000)", "**0.000** (.000–.000)", "0.500 (.500–.500)", "**0.800** (.800–.800)"
    ]  # fmt: skip
    assert "Mean (smallest – largest) of 3 seeds." in few
    assert "Seeds 1, 2, 3" in few
    assert "(SE 0" not in few  # its error over draws of images is not that of one seed
    many = render(metrics(three_seeds(0.9, 1.0, 0.9, 1.0, 1.0)))
    # Mean .96, deviation .0548, standard error .0245, 97.5 % quantile of Student's t with 4 degrees of freedom 2.776.
    assert blocks_of(many)[SCORES]["alpha"][0] == "**0.960** (.892–1.000)"
    assert "95 % Student interval, within the metric's bounds" in many.replace("\n", " ")


def test_means_that_look_equal_are_all_bold():
    rows = [("alpha", "method", 1, "ok", 0.90001, 0.0, 0.5, 0.8), ("beta", "method", 1, "ok", 0.90002, 0.0, 0.5, 0.8)]
    primary = blocks_of(render(metrics(rows)))[0]
    assert primary["alpha"][0] == primary["beta"][0] == "**0.900**"


def test_the_other_blocks_have_the_distances_the_features_and_the_cost():
    frame = metrics(ROWS, tow=[0, 1, 0.9, 0.8, 0.7], probe_acc=0.9, gap_forget_mia_auc=[0.1, 0, -0.1, 0.0, -0.05])
    blocks = blocks_of(render(frame))
    assert blocks[DISTANCES]["method"] == [
        "gap ↓", "ToW ↑", "JS ↓", "routing ↓", "CKA ↑", "AUC − retrain's"
    ]  # fmt: skip
    assert blocks[DISTANCES]["beta"] == ["0.250", "0.700", "0.250", "0.250", "0.250", "-0.050"]
    assert {"probe →", "few-shot →", "prototype →", "readout →"} <= set(blocks[FEATURES]["method"])
    assert blocks[FEATURES]["alpha"][blocks[FEATURES]["method"].index("probe →")] == "0.900"
    assert blocks[COSTS]["method"] == ["seconds", "steps", "MB", "× oracle's s", "settings"]
    assert blocks[COSTS]["alpha"] == ["2.0", "100", "300", "0.50", "authors"]
    assert blocks[COSTS]["beta"] == [*["–"] * 4, "tuned"]  # no cost is known
    assert blocks[COSTS]["*retrain* (the oracle)"][-1] == "–"


def test_columns_on_request_stand_in_a_block_of_their_own_where_they_were_asked_for():
    assert len(blocks_of(render(metrics(ROWS)))) == PAIRED + 1
    assert blocks_of(render(metrics(ROWS, relearn_epochs=3, ulira_auc=0.6)))[3]["method"] == [
        "relearning →",
        "U-LiRA →",
    ]


def test_what_a_model_with_random_weights_needs_stands_below_the_block():
    frame = metrics(ROWS, relearn_epochs=3, relearn_epochs_random=[7.5, None, None, None, None])
    assert "\n\nA model with random weights has the class after 7.5 epochs.\n" in render(frame)
    assert "random weights" not in render(metrics(ROWS, relearn_epochs=3))


def test_memory_is_that_of_the_gpu_where_there_is_one_and_the_oracle_has_its_seconds():
    jobs = costs(
        ("unlearn", "alpha", 2.0, 0.5, 100, 300.0, 77.0),
        ("unlearn", "alpha", 4.0, 1.0, 100, 300.0, 79.0),
        ("evaluate", "alpha", None, None, None, 900.0, None),
        ("retrain", None, 4.0, 1.0, None, 500.0, None),
    )
    its = blocks_of(render(metrics(ROWS), costs_csv=jobs))[COSTS]
    assert its["alpha"] == ["3.0", "100", "78", "0.75", "authors"]
    assert its["*retrain* (the oracle)"] == ["4.0", "–", "500", "1.00", "–"]


# --- the noise floor


def test_with_one_oracle_no_distance_is_bold_and_the_table_says_so():
    table = render(metrics(ROWS))
    assert (
        "There is no more than one *retrain*, so nothing says which distances to it are noise, and none is bold."
        in table
    )
    distances = blocks_of(table)[DISTANCES]
    assert not any("**" in cell or "≈" in cell for row in distances.values() for cell in row)
    assert not any(label.startswith("*retrain*, ") for label in distances)


def two_oracles(*methods):
    """Return metrics.csv with oracles .9 and .84 in retain_acc, a gap of .02, and ``methods`` with a mean_abs_gap."""
    rows = [("retrain", "reference", seed, "ok", value, 0.0, 0.5, 0.8) for seed, value in ((1, 0.9), (2, 0.84))]
    rows += [("original", "reference", seed, "ok", 0.9, 1.0, 0.5, 0.5) for seed in (1, 2)]
    rows += [(name, "method", seed, "ok", 0.9, 0.0, 0.5, 0.8) for name, _ in methods for seed in (1, 2)]
    gaps = [0, 0, 0.3, 0.3, *(gap for _, gap in methods for _ in (1, 2))]
    return metrics(rows, mean_abs_gap=gaps)


def test_a_gap_within_the_floor_is_marked_and_no_method_is_nearest():
    table = render(two_oracles(("near", 0.01), ("further", 0.03)))
    distances = blocks_of(table)[DISTANCES]
    assert distances["method"][:2] == ["gap ↓", "× floor"]
    assert distances["*retrain*, other seed"][:2] == ["0.020", "1.0"]
    assert distances["*retrain*, furthest"][:2] == ["0.020", "1.0"]
    assert distances["near"][:2] == ["0.010 ≈", "0.5"]
    assert distances["further"][:2] == ["0.030", "1.5"]
    assert "There is one *retrain*" not in table
    assert list(distances).index("*retrain*, other seed") == list(distances).index("*retrain* (the oracle)") + 1


def test_oracles_that_agree_in_all_give_a_floor_of_zero_and_no_ratio():
    frame = two_oracles(("near", 0.01))
    frame.loc[frame["method"] == "retrain", "retain_acc"] = 0.9
    distances = blocks_of(render(frame))[DISTANCES]
    assert distances["*retrain*, other seed"][:2] == ["0.000", "–"]
    assert distances["near"][:2] == ["**0.010**", "–"]


def test_outside_the_floor_the_nearest_method_is_bold():
    distances = blocks_of(render(two_oracles(("near", 0.021), ("further", 0.03))))[DISTANCES]
    assert distances["near"][0] == "**0.021**"
    assert distances["further"][0] == "0.030"


def test_shadow_models_give_a_floor_of_outputs_alone_where_there_is_one_seed():
    floor = pandas.DataFrame(
        [("b-d-class0", "js_to_oracle", 6, 0.2, 0.3, 0.05)],
        columns=["benchmark", "metric", "pairs", "mean", "furthest", "deviation"],
    )
    distances = blocks_of(render(metrics(ROWS, js_to_oracle=[0.9, 0, 0.2, 0.25, 0.4]), floor=floor))[DISTANCES]
    assert distances["method"][:3] == ["gap ↓", "ToW ↑", "JS ↓"]
    assert distances["*retrain*, furthest"][:3] == ["–", "–", "0.300"]
    assert [distances[name][2] for name in ("alpha", "beta")] == ["0.250 ≈", "0.400"]


def test_a_likeness_is_within_the_floor_if_it_is_as_high_as_that_of_two_oracles():
    frame = two_oracles(("near", 0.5), ("further", 0.5))  # ToW of the two oracles: 1, their accuracies are equal
    frame["tow"] = [1, 1, 0, 0, 1, 1, 0.9, 0.9]
    distances = blocks_of(render(frame))[DISTANCES]
    assert [distances[name][2] for name in ("near", "further")] == ["1.000 ≈", "0.900"]


# --- differences


def scores(method, kind, *values, retain=0.9):
    return [(method, kind, seed, "ok", retain, 0.5, 0.5, value) for seed, value in enumerate(values)]


def test_differences_to_each_baseline_say_whether_they_are_not_zero():
    rows = [
        *scores("base", "baseline", 0.5, 0.7, 0.6),
        *scores("better", "method", 0.6, 0.8001, 0.7),
        *scores("worse", "method", 0.4, 0.5999, 0.5),
        *scores("same", "method", 0.5, 0.9, 0.4),
    ]
    table = render(metrics(rows))
    paired = blocks_of(table)[PAIRED]
    assert paired["method"] == ["− base"]
    # Differences .1, .1001, .1: mean .10003, deviation .00006, half width 4.303 * .00003.
    assert paired["better"] == ["+0.100 ± 0.000 ▲"]
    assert paired["worse"] == ["-0.100 ± 0.000 ▼"]
    assert paired["same"] == ["+0.000 ± 0.497"]
    assert paired["base"] == ["–"]
    assert "2 of 3 have a sign, each pair counted once." in table.replace("\n", " ")


def test_two_seeds_give_no_sign():
    rows = [*scores("base", "baseline", 0.5, 0.7), *scores("better", "method", 0.6, 0.8001)]
    table = render(metrics(rows))
    assert blocks_of(table)[PAIRED]["better"] == ["+0.100 ± 0.001"]
    assert "with fewer than 3 seeds they have no sign" in table
    assert "▲" not in table


def test_a_collapsed_baseline_gives_no_sign():
    rows = [*scores("original", "reference", 0.5, 0.5, 0.5, retain=0.9), *scores("better", "method", 0.6, 0.8001, 0.7)]
    for kept, sign in ((0.62, ""), (0.64, " ▲")):  # .63 is .7 of the original's
        ruined = scores("base", "baseline", 0.5, 0.7, 0.6, retain=kept)
        assert blocks_of(render(metrics([*rows, *ruined])))[PAIRED]["better"] == [f"+0.100 ± 0.000{sign}"]


def test_cells_from_other_devices_are_marked():
    jobs = costs(*((rule, method, 2.0, 0.5, 100, 300.0, None) for rule, method in
                   (("retrain", None), ("unlearn", "alpha"), ("unlearn", "beta"))))  # fmt: skip
    assert "†" not in render(metrics(ROWS), costs_csv=jobs)
    jobs.loc[2, "device"] = "NVIDIA H100"
    table = render(metrics(ROWS), costs_csv=jobs)
    blocks = blocks_of(table)
    assert blocks[PAIRED]["beta"] == ["+0.010 †"]
    assert blocks[DISTANCES]["beta"][0] == "0.250†"
    assert "†" not in "".join(blocks[DISTANCES]["alpha"])
    assert "†: the two models were made on different devices." in table.replace("\n", " ")


def test_one_seed_gives_differences_without_a_sign():
    paired = blocks_of(render(metrics(ROWS)))[PAIRED]
    assert paired["beta"] == ["+0.010"]


def test_without_baselines_there_are_no_differences():
    rows = [row for row in ROWS if row[1] != "baseline"]
    assert len(blocks_of(render(metrics(rows)))) == PAIRED


def test_a_cell_that_failed_says_why_and_where_and_the_rest_stands():
    frame = metrics([*ROWS, ("gamma", "method", 1, "failed", None, None, None, None)])
    last = frame.index[-1]
    frame.loc[last, ["reason", "epoch", "step", "line"]] = ["ValueError: a | b", 1, 20, 300]
    table = render(frame)
    primary, *others = blocks_of(table)
    assert primary["gamma"] == ["failed (1 of 1 seeds)", "–", "–", "–"]
    assert [set(block["gamma"]) for block in others] == [{"–"}] * PAIRED
    assert "- gamma, seed 1: failed (epoch 1, step 20, line 300): ValueError: a \\| b\n" in table
    assert primary["beta"][3] == "**0.783**"


def test_a_method_that_failed_with_one_seed_shows_no_mean_of_the_others():
    rows = [
        ("alpha", "method", 1, "ok", 0.9, 0.0, 0.5, 0.8),
        ("alpha", "method", 2, "diverged", None, None, None, None),
    ]
    rows += [("beta", "method", seed, "ok", 0.8, 0.0, 0.5, 0.7) for seed in (1, 2)]
    table = render(metrics(rows, reason=[None, "the loss is nan", None, None]))
    primary = blocks_of(table)[0]
    assert primary["alpha"] == ["diverged (1 of 2 seeds)", "–", "–", "–"]
    assert primary["beta"][0] == "**0.800** (.800–.800)"
    assert "- alpha, seed 2: diverged: the loss is nan\n" in table


def test_a_benchmark_of_which_every_cell_failed_does_not_take_the_others_down():
    names = ("original", "retrain", "alpha")
    kinds = ("reference", "reference", "baseline")
    rows = [(name, kind, 1, "diverged", None, None, None, None) for name, kind in zip(names, kinds, strict=True)]
    gone = metrics(rows, benchmark="gone-d-class0", reason="the model's logits are not finite")
    table = render(pandas.concat([gone, metrics(ROWS)], ignore_index=True))
    assert table.count("- alpha, seed 1: diverged: the model's logits are not finite") == 1
    of_costs, paired, sound = blocks_of(table)[1:4]  # what failed has no distances and no features
    assert set(of_costs["alpha"]) == set(paired["alpha"]) == {"–"}
    assert sound["beta"][3] == "**0.783**"


def test_an_attack_without_result_says_why_beside_a_sound_cell():
    frame = metrics(ROWS, ulira_failure=[None, None, None, None, "shadow model 3: ValueError: no"])
    table = render(frame)
    assert "- beta, seed 1: no U-LiRA: shadow model 3: ValueError: no\n" in table
    assert blocks_of(table)[0]["beta"][3] == "**0.783**"


def test_a_method_that_failed_has_no_rank():
    rows = [("mine", "method", 1, "ok", 0.9, 0.0, 0.4, 0.84), ("mine", "method", 2, "failed", None, None, None, None)]
    frame = metrics(rows, benchmark="resnet20-cifar10-class0", reason="why")
    assert "ublished" not in render(frame, PUBLISHED, suite="paper")


def test_published_results_stand_beside_ours():
    rows = [
        ("scrub", "baseline", 42, "ok", 0.84, 0.0, 0.4, 0.82),
        ("mine", "method", 42, "ok", 0.9, 0.0, 0.4, 0.8303),
        ("mask", "control", 42, "ok", 0.95, 0.0, 0.4, 0.85),
    ]
    frame = metrics(rows, benchmark="resnet20-cifar10-class0")
    table = render(frame, PUBLISHED, suite="paper")
    *_, beside, standing = blocks_of(table)
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines() if "| scrub" in line]
    assert ["scrub", "retain_acc", "0.840", "0.831", "+0.009", "+2.3"] in lines  # .009 / sqrt(.84 × .16 / 9000)
    assert ["scrub", "unlearn_score", "0.820", "0.811", "+0.009", "+0.1"] in lines  # the AUC has .25
    assert beside["method"] == ["metric", "ours", "published", "difference", "in errors"]
    # Controls have no rank.
    assert standing == {
        "method": ["unlearn_score", "rank"],
        "scrub": ["0.820", "6 of 15"],
        "mine": ["0.830", "1 of 15"],
    }
    assert "ublished" not in render(frame, PUBLISHED[:0], suite="paper")
    assert "ublished" not in render(metrics(ROWS), PUBLISHED, suite="paper")


# --- the numbers come from summary.csv and comparisons.csv


TWO_SEEDS = [
    *[("base", "baseline", seed, "ok", 0.8, 0.0, 0.5, score) for seed, score in enumerate((0.5, 0.7))],
    *[("better", "method", seed, "ok", 0.9, 0.0, 0.5, score) for seed, score in enumerate((0.6, 0.8001))],
    *[("same", "method", seed, "ok", 0.7, 0.0, 0.5, score) for seed, score in enumerate((0.5, 0.7))],
    ("half", "method", 0, "ok", 0.7, 0.0, 0.5, 0.6),
    ("half", "method", 1, "failed", None, None, None, None),
]


def changed(frame, column, value, **where):
    """Return a copy of ``frame`` with ``value`` in one column of its only row with these values."""
    rows = (frame[list(where)] == pandas.Series(where)).all(axis=1)
    assert rows.sum() == 1
    return frame.assign(**{column: frame[column].mask(rows, value)})


def test_the_table_shows_the_numbers_of_the_summary_and_of_the_comparisons():
    numbers = numbers_from(metrics(TWO_SEEDS, reason="why"), costs())
    summary = changed(numbers.summary, "mean", 0.123, method="better", metric="retain_acc")
    summary = changed(summary, "low", 0.045, method="better", metric="retain_acc")
    summary = changed(summary, "mean", 0.987, method="same", metric="tow")
    comparisons = changed(numbers.comparisons, "difference", -0.321, method="better", metric="unlearn_score")
    comparisons = changed(comparisons, "p_holm", 0.049, method="better", metric="unlearn_score")
    blocks = blocks_of(render_table(replace(numbers, summary=summary, comparisons=comparisons), "digits"))
    assert blocks[SCORES]["better"][0] == "0.123 (.045–.900)"
    assert blocks[SCORES]["base"][0] == "**0.800** (.800–.800)"  # now the best
    assert blocks[DISTANCES]["same"][1] == "0.987"
    assert blocks[PAIRED]["better"] == ["-0.321 ± 0.001 ▼"]


def test_the_standard_error_of_one_seed_is_that_of_the_summary():
    numbers = numbers_from(metrics(ROWS, forget_mia_auc_se=0.0123), costs())
    summary = changed(numbers.summary, "standard_error", 0.0456, method="beta", metric="forget_mia_auc")
    table = render_table(replace(numbers, summary=summary), "digits")
    assert blocks_of(table)[0]["beta"][2] == "0.450 (SE 0.046)"


FEW = [row for row in ROWS if row[1] != "baseline"]


@pytest.mark.parametrize("rows", [TWO_SEEDS, ROWS, FEW], ids=["two seeds", "one seed", "no baseline"])
def test_numbers_that_were_written_and_read_again_make_the_same_table(rows, tmp_path):
    """Also if a few rows lack a number, and if there is nothing to compare."""
    numbers = numbers_from(metrics(rows, reason="why"), costs())
    names = ("floor", "image_errors", *FOLLOWING)
    for name in names:
        getattr(numbers, name).to_csv(tmp_path / f"{name}.csv", index=False)
    again = {name: read_table(tmp_path / f"{name}.csv") for name in names}
    assert render_table(replace(numbers, **again), "digits") == render_table(numbers, "digits")


def test_every_line_of_a_block_is_equally_wide_as_text():
    for paragraph in render(metrics(ROWS)).split("\n\n"):
        assert len({len(line) for line in paragraph.splitlines() if line.startswith("|")}) <= 1


def test_the_dictionary_says_everything_about_every_metric():
    text = render_dictionary()
    assert [column.name for column in MEASURED[: len(METRICS)]] == list(METRICS)
    assert "- `retain_acc` (share, 0 to 1, ↑): accuracy on test images of the retained classes [protocol]\n" in text
    names = [column.name for column in METRICS_CSV]
    assert len(names) == len(set(names))
    for column in METRICS_CSV:
        assert f"`{column.name}`" in text
        assert column.definition


# --- the methods that are ranked


REFERENCES = [
    ("original", "reference", 1, "ok", 0.9, 0.9, 0.6, 0.4),
    ("retrain", "reference", 1, "ok", 0.9, 0.0, 0.5, 0.8),
]


def primary_of(*rows):
    return blocks_of(render(metrics([*REFERENCES, *rows])))[0]


STEADY = ("steady", "method", 1, "ok", 0.8, 0.05, 0.5, 0.75)


@pytest.mark.parametrize(
    ("row", "competes"),
    [
        (("other", "method", 1, "ok", 0.85, 0.1, 0.5, 0.8), True),
        (("other", "method", 1, "ok", 0.85, 0.12, 0.5, 0.8), False),  # it still knows the class
        (("other", "method", 1, "ok", 0.63, 0.0, 0.5, 0.8), True),
        (("other", "method", 1, "ok", 0.62, 0.0, 0.5, 0.8), False),  # it is ruined
        (("other", "method", 1, "ok", 0.85, 0.0, 0.41, 0.8), True),
        (("other", "method", 1, "ok", 0.85, 0.0, 0.39, 0.8), False),  # it over-forgets
    ],
)
def test_a_method_that_is_ruined_or_still_knows_the_class_or_over_forgets_is_best_of_nothing(row, competes):
    primary = primary_of(STEADY, row)
    assert any("**" in cell for cell in primary["other"]) == competes
    assert competes or primary["steady"][:2] == ["**0.800**", "**0.050**"]  # then it is the best ranked method
    assert ("‡" in primary["other"][3]) == (row[6] == 0.39)


@pytest.mark.parametrize("oracle", ["pending", "failed"])
def test_without_the_oracles_values_a_method_that_still_knows_the_class_is_best_of_nothing(oracle):
    """Before the oracle is there, as in a preview, it is taken to name none of the class."""
    of_oracle = ("retrain", "reference", 1, oracle, *[None] * 4)
    rows = [REFERENCES[0], of_oracle, STEADY, ("other", "method", 1, "ok", 0.85, 0.12, 0.5, 0.8)]
    primary = blocks_of(render(metrics(rows, reason="it is not there")))[0]
    assert [cell for cell in primary["steady"] if "**" in cell] == ["**0.800**", "**0.050**", "**0.750**"]
    assert not any("**" in cell for cell in primary["other"])


def test_an_auc_as_low_as_the_oracles_is_no_over_forgetting():
    """With few images, or if members look less familiar by nature. The oracle never saw the class."""
    rows = [("retrain", "reference", 1, "ok", 0.9, 0.0, 0.40, 0.8), ("low", "method", 1, "ok", 0.9, 0.0, 0.36, 0.85)]
    assert blocks_of(render(metrics(rows)))[0]["low"][3] == "**0.850**"


def test_no_auc_is_bold():
    for block in blocks_of(render(metrics(ROWS))):
        aucs = [index for index, title in enumerate(block["method"]) if "auc" in title.lower()]
        assert not any("**" in row[index] for row in block.values() for index in aucs if row[index:])


# --- statements about a benchmark as a whole


def test_a_class_that_was_never_learned_cannot_be_forgotten():
    untaught = [("original", "reference", 1, "ok", 0.8, 0.3, 0.5, 0.6), *ROWS[1:]]
    table = render(metrics(untaught, test_acc=0.7, classes=10), PUBLISHED)
    assert (
        "**Nothing to forget: *original* never knew the class: it names 0.300 of its images, and 0.800 of the" in table
    )
    assert not any("**" in cell for block in blocks_of(table) for row in block.values() for cell in row)
    taught = [("original", "reference", 1, "ok", 0.8, 0.4, 0.5, 0.6), *ROWS[1:]]
    assert "Nothing to forget" not in render(metrics(taught, test_acc=0.7, classes=10))


NEAR = [
    (10, 0.149, True),
    (10, 0.151, False),
    (100, 0.014, True),
    (100, 0.016, False),
    (2, 0.59, True),
    (2, 0.61, False),
]


@pytest.mark.parametrize(("classes", "accuracy", "is_near"), NEAR)
def test_an_original_near_chance_knows_nothing(classes, accuracy, is_near):
    table = render(metrics(ROWS, test_acc=accuracy, classes=classes))
    assert (f"the accuracy of *original*, {accuracy:.3f}, is near chance, {1 / classes:.3f}" in table) == is_near


def test_with_one_seed_the_block_of_all_classes_says_over_what_its_signs_are():
    """A preview in which one class of it has a single cell shows no spread of it."""
    names = [f"b-d-class{number}" for number in range(3)]
    table = render(pandas.concat([metrics(ROWS, benchmark=name) for name in names], ignore_index=True))
    flat = " ".join(table.split())
    assert "One seed: a mean of one class has no spread, a difference no test." in flat
    assert "Differences there are paired by class, and their intervals and signs are over the classes" in flat
    assert "## b-d-class*: mean (standard deviation) over 3 classes and 1 seed\n" in table
    assert "class*" not in render(metrics(ROWS))
    frame = pandas.concat([metrics(ROWS, benchmark=name) for name in names], ignore_index=True)
    is_later = (frame["method"] == "alpha") & (frame["benchmark"] != names[0])
    frame.loc[is_later, "status"] = "pending"
    frame.loc[is_later, METRICS] = None
    preview = render(frame)
    assert "alpha, 1 of 3 seeds" in preview
    assert "nan" not in preview


def test_the_number_of_threads_is_a_count():
    jobs = pandas.concat(
        [costs(), costs().assign(threads=float("nan"))]
    )  # of a checkpoint that was carried without its cost
    assert "cpu, float32, 1 thread per job" in render(metrics(ROWS), costs_csv=jobs)


def test_nothing_is_ranked_where_there_is_nothing_to_forget():
    name = "resnet20-cifar10-class0"
    for knows, is_ranked in ((0.9, True), (0.1, False)):
        rows = [("original", "reference", 1, "ok", 0.9, knows, 0.5, 0.6), *ROWS[1:]]
        frame = metrics(rows, benchmark=name, test_acc=0.9, classes=10)
        assert ("Rank by `unlearn_score`" in render(frame, PUBLISHED, costs_csv=costs(benchmark=name))) == is_ranked


def test_cells_from_several_devices_are_named():
    rows = [("pretrain", None), ("retrain", None), ("unlearn", "alpha"), ("unlearn", "beta"), ("evaluate", "beta")]
    jobs = costs(*((rule, method, 2.0, 0.5, 100, 300.0, None) for rule, method in rows))
    assert "Made on several devices" not in render(metrics(ROWS), costs_csv=jobs)
    jobs["benchmark"] = ["b-d", *["b-d-class0"] * 4]
    jobs.loc[3, "device"] = "NVIDIA H100"
    table = render(metrics(ROWS), costs_csv=jobs)
    made = "NVIDIA H100: beta; cpu: pretrain, retrain, alpha"
    assert f"Made on several devices, which round differently and draw other random numbers: {made}, beta.**" in table
    jobs.loc[4, "training_seconds"] = None  # only the device of the training counts
    assert f"{made}.**" in render(metrics(ROWS), costs_csv=jobs)
    jobs.loc[0, "benchmark"] = "another-d"  # of another benchmark
    assert "cpu: retrain, alpha.**" in render(metrics(ROWS), costs_csv=jobs)
