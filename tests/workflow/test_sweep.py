"""The sweep: its validation part, its grids, what it chooses, and one small run."""

import csv
import json

import numpy as np
import pytest
from conftest import TINY, Project, configured, merged
from hypothesis import given
from hypothesis import strategies as st

from unlearning.config.model import MethodSettings
from unlearning.config.variants import grid_of, with_sweep
from unlearning.data.parts import carve
from unlearning.errors import UserError
from unlearning.tables.sweep import choose, pareto_front


@given(st.lists(st.integers(2, 30), min_size=2, max_size=5), st.floats(0.01, 0.5), st.booleans())
def test_the_validation_part_is_of_the_training_part_alone_and_of_each_class_alike(counts, share, in_columns):
    labels = (
        np.repeat(np.arange(len(counts)), counts)[:, None] if in_columns else np.repeat(np.arange(len(counts)), counts)
    )
    images = np.arange(len(labels))[:, None, None]  # every image another
    unseen = {"test_images": np.full((1, 1, 1), -1), "test_labels": np.zeros(1)}
    carved = carve({"train_images": images, "train_labels": labels} | unseen, share)
    parts = [carved["train_images"].ravel(), carved["test_images"].ravel()]
    assert sorted(np.concatenate(parts)) == list(range(len(labels)))  # each once, and none of the test part
    for part, chosen in zip(("train", "test"), parts, strict=True):
        assert np.array_equal(carved[f"{part}_labels"].ravel(), labels.ravel()[chosen])
    for label, count in enumerate(counts):
        of_class = (carved["test_labels"].ravel() == label).sum()
        assert 1 <= of_class <= count - 1
        assert abs(of_class - share * count) <= 1
    again = carve({"train_images": images, "train_labels": labels} | unseen, share)
    assert np.array_equal(again["test_images"], carved["test_images"])


def test_a_class_with_one_image_cannot_be_divided():
    arrays = {"train_images": np.zeros((3, 1, 1)), "train_labels": np.array([0, 0, 1])}
    with pytest.raises(UserError, match="class 1 has one training image"):
        carve(arrays, 0.2)


def method(hyperparameters, grid=None):
    return MethodSettings("method", "own", grid or {}, hyperparameters)


def test_a_grid_is_laid_over_the_methods_own_hyperparameters_in_all_combinations():
    assert grid_of("m", method({"a": 1, "b": 2}, {"b": [3, 4], "c": [5, 6]})) == [
        {"a": 1, "b": 3, "c": 5},
        {"a": 1, "b": 3, "c": 6},
        {"a": 1, "b": 4, "c": 5},
        {"a": 1, "b": 4, "c": 6},
    ]
    assert grid_of("m", method({"a": 1})) == [{"a": 1}]


def test_no_method_may_try_more_settings_than_the_others():
    grid_of("m", method({}, {"a": [1, 2], "b": [1, 2, 3, 4]}))
    with pytest.raises(UserError, match=r"methods\.m\.grid: 9 settings; every method may try 8"):
        grid_of("m", method({}, {"a": [1, 2, 3], "b": [1, 2, 3]}))


def test_a_sweep_adds_data_sets_benchmarks_and_a_method_a_setting():
    before = configured(
        suite="s",
        suites={"s": {"benchmarks": ["resnet20-d-class0"], "methods": ["m"], "seeds": [1]}},
        datasets={"d": {"classes": 3, "source": "digits", "fit": "resize"}},
        benchmarks={"resnet20-d": {"protocol": "digits"}},
        methods={"m": {"grid": {"a": [1, 2]}}, "unused": {"grid": {"a": [1, 2]}}},
    )
    config, variants = with_sweep(before)
    assert variants == {"m": ["m__0", "m__1"]}
    carved = config.datasets["d_validation"]
    assert (carved.classes, carved.fit, carved.source, carved.carved_from) == (3, "resize", None, "d")
    assert str(config.dataset_file("d_validation")) == "results/datasets/d_validation.npz"
    assert config.benchmarks["resnet20-d_validation"] == before.benchmarks["resnet20-d"]
    assert [config.methods[f"m__{number}"].hyperparameters for number in (0, 1)] == [{"a": 1}, {"a": 2}]
    assert config.methods["m__1"].file.endswith("scripts/methods/m.py")
    assert set(config.methods) == {"m", "unused", "m__0", "m__1"}
    assert set(before.methods) == {"m", "unused"}  # a configuration of its own


def rows(method, setting, *values):
    """Return rows of a sweep on so many benchmarks; values are (unlearn_score, mean_abs_gap), None if failed."""
    return [
        {"method": method, "setting": setting, "benchmark": str(number)}
        | (
            {"status": "failed"}
            if pair is None
            else {"status": "ok", "unlearn_score": pair[0], "mean_abs_gap": pair[1]}
        )
        for number, pair in enumerate(values)
    ]


def test_the_best_mean_over_benchmarks_is_chosen_by_score_and_by_gap():
    tried = [
        *rows("m", "a", (0.9, 0.30), (0.5, 0.30)),
        *rows("m", "b", (0.8, 0.20), (0.7, 0.20)),
        *rows("m", "c", (0.6, 0.01), (0.6, 0.20)),
        *rows("m", "d", (1.0, 0.00), None),
        *rows("other", "e", None, None),
    ]
    assert choose(tried) == [
        {"method": "m", "settings": 4, "by_score": "b", "by_gap": "c"},
        {"method": "other", "settings": 1, "by_score": None, "by_gap": None},
    ]


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=12))
def test_no_point_surpasses_the_front_and_every_other_is_surpassed(points):
    front = pareto_front(points)

    def surpasses(one, other):
        return one != other and one[0] >= other[0] and one[1] <= other[1]

    assert front == sorted(front)
    for point in points:
        assert (point in front) == (not any(surpasses(other, point) for other in points))


GRIDS = {
    "retain_finetune": {"grid": {}},
    "negative_gradient": {"grid": {"forget_weight": [0.1, 0.5]}},
}


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    changes = {"suites": {"digits": {"methods": list(GRIDS), "seeds": [1, 2]}}, "methods": GRIDS}
    project = Project(tmp_path_factory.mktemp("swept"), merged(TINY, changes))
    project.make("results/sweep.md", "--config", "sweep=true")
    return project


def test_the_report_has_each_methods_settings_and_the_chosen_ones(swept):
    report = swept.read("results/sweep.md")
    found = list(csv.DictReader(swept.read("results/sweep.csv").splitlines()))
    assert [(row["method"], row["setting"]) for row in found] == [
        ("original", ""),
        ("retrain", ""),
        ("retain_finetune", "none"),
        ("negative_gradient", "forget_weight 0.1"),
        ("negative_gradient", "forget_weight 0.5"),
    ]
    assert {row["benchmark"] for row in found} == {"resnet20-digits_validation-class0"}
    assert [row["kind"] for row in found] == ["reference"] * 2 + ["baseline"] * 3
    best = max(found[3:], key=lambda row: float(row["unlearn_score"]))
    (line,) = [line for line in report.splitlines() if line.startswith("| negative_gradient")]
    cells = [cell.strip() for cell in line.split("|")[1:-1]]
    assert cells[:3] == ["negative_gradient", "2", best["setting"]]
    assert cells[5] == f"{float(best['unlearn_score']):.3f}"
    assert "one seed (1), judged by 20% of the training data" in report
    assert (swept.folder / "results/sweep.png").read_bytes().startswith(b"\x89PNG")


def test_a_sweep_never_looks_at_the_test_data(swept):
    """With other test images, nothing of it would be different."""
    whole = np.load(swept.folder / "data/digits.npz")
    carved = np.load(swept.folder / "results/datasets/digits_validation.npz")
    assert len(carved["train_labels"]) + len(carved["test_labels"]) == len(whole["train_labels"])
    seen = {image.tobytes() for image in whole["train_images"]}
    assert all(image.tobytes() in seen for part in ("train", "test") for image in carved[f"{part}_images"])


def test_the_table_and_its_cells_do_not_change_with_a_sweep(swept):
    planned = swept.planned("results/table.md")
    assert not [job for job in planned if "__" in job]
    assert planned.count("pretrain") == 2  # those of the sweep are of another data set
    both = swept.planned("--config", "sweep=true")
    assert "table" in both
    assert "sweep" not in both  # it is there
    edited = json.dumps({"methods": {"negative_gradient": {"grid": {"forget_weight": [0.1, 0.9]}}}})
    (swept.folder / "more.yaml").write_text(edited)
    again = swept.planned("results/sweep.md", "--config", "sweep=true", "--configfile", "more.yaml")
    assert again == ["evaluate negative_gradient__1", "sweep", "unlearn negative_gradient__1"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["results/sweep.md"], "results/sweep.md is made with: --config sweep=true"),
        (["--configfile", "typo.yaml"], "negative_gradient.py takes no 'weight'; it takes: forget_weight"),
        (["--configfile", "long.yaml", "--config", "sweep=true"], "negative_gradient.grid: 9 settings; every method"),
    ],
)
def test_a_mistake_is_explained_in_one_line(swept, arguments, message):
    for name, grid in {"typo": {"weight": [1]}, "long": {"forget_weight": list(range(9))}}.items():
        (swept.folder / f"{name}.yaml").write_text(json.dumps({"methods": {"negative_gradient": {"grid": grid}}}))
    done = swept.run("-n", *arguments)
    assert done.returncode == 1
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("error: ")]
    assert message in line
