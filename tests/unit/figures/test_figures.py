"""The figures: what they show, that they withstand missing results, and that the same table gives the same bytes."""

import re
from collections import Counter
from dataclasses import replace

import matplotlib
import numpy as np
import pandas
import pytest
import yaml
from matplotlib.figure import Figure
from matplotlib.text import Text
from project import ROOT

from unlearning.errors import UserError
from unlearning.evaluation.metrics import confidence, membership_auc
from unlearning.figures import attack as attacks
from unlearning.figures import curves as histories
from unlearning.figures.agreement import agreement
from unlearning.figures.cells import Cells
from unlearning.figures.cost import cost
from unlearning.figures.looks import NAMED, REFERENCE_LOOKS, look_of
from unlearning.figures.marks import draw_labels
from unlearning.figures.output import ONE_COLUMN, TWO_COLUMNS, save, styled
from unlearning.figures.relearning import curves_of, relearning
from unlearning.figures.routing import routing
from unlearning.figures.scores import ends_of, rows_by_mean, scores
from unlearning.figures.sensitivity import sensitivity
from unlearning.figures.settings import settings
from unlearning.figures.tradeoff import tradeoff
from unlearning.files import read_arrays, read_table, write_arrays
from unlearning.paths import PUBLISHED
from unlearning.shown_paths import STYLE
from unlearning.tables.columns import TO_ORACLE
from unlearning.tables.comparison import render_table
from unlearning.tables.numbers import numbers_from
from unlearning.tables.reference import REFERENCE, numbers_of

DIGITS, CIFAR = "resnet20-digits-class0", "resnet20-cifar10-class0"
NONE_PUBLISHED = read_table(PUBLISHED).iloc[:0]


@pytest.fixture(autouse=True)
def style():
    with styled(str(STYLE)):
        yield


@pytest.fixture(scope="module")
def digits():
    return numbers_of("digits")


def without(numbers, rows):
    """Return ``numbers`` as they are if the cells of ``rows`` (a mask of metrics.csv) have failed."""
    metrics = numbers.metrics.copy()
    measured = metrics.columns[list(metrics.columns).index("retain_acc") : list(metrics.columns).index("reason")]
    metrics["status"] = metrics["status"].where(~rows, "failed")
    metrics[measured] = metrics[measured].where(~rows)
    without_oracle = metrics["seed"].isin(metrics.loc[rows & (metrics["method"] == "retrain"), "seed"])
    distances = [name for name in measured if name.startswith("gap_") or name in {its.name for its in TO_ORACLE}]
    metrics[distances] = metrics[distances].mask(without_oracle)
    return numbers_from(metrics, numbers.costs)


def scores_of(seed, classes=10, images=30):
    """Return the contents of a scores.npz."""
    rng = np.random.default_rng(seed)
    return {f"{side}_logits": rng.normal(size=(images, classes)) for side in ("member", "non_member")}


def drawn(numbers, benchmark=DIGITS):
    """Return functions that draw the figures of a table, by name; scores, routing and histories are made up."""
    metrics = numbers.metrics
    seeds = range(metrics["seed"].nunique())
    names = attacks.chosen_methods(Cells(metrics, benchmark))
    routes = [{"method": name, "routing": [0.25, 0.75, *[0] * 8]} for name in metrics["method"].unique()]
    history = pandas.DataFrame({"epoch": [0, 1], "train_loss": [2.0, 1.0], "test_accuracy": [None, 0.5]})
    sides = attacks.sides_by_method(names, [(name, scores_of(seed)) for name in names for seed in seeds])
    return {
        "tradeoff": lambda: tradeoff(metrics, NONE_PUBLISHED, benchmark),
        "scores": lambda: scores(metrics, numbers.summary, NONE_PUBLISHED, benchmark),
        "cost": lambda: cost(metrics, numbers.costs, numbers.floor, benchmark),
        "agreement": lambda: agreement(numbers.agreement, benchmark),
        "attack": lambda: attacks.attack(metrics, sides, benchmark),
        "routing": lambda: routing(metrics, routes, benchmark),
        "curves": lambda: histories.curves(metrics, {"original": [history], "retrain": [history]}, benchmark),
    }


def written(figure, folder, name="figure", formats=("svg", "pdf", "png")):
    """Return the bytes of a figure in each format."""
    files = {each: str(folder / f"{name}.{each}") for each in formats}
    save(figure, files)
    return {each: (folder / f"{name}.{each}").read_bytes() for each in files}


def words_of(figure):
    """Return all words of a figure."""
    return [each.get_text() for each in figure.findobj(Text) if each.get_text() and each.get_visible()]


def marks_of(axes, name):
    """Return the large marks of a method on some axes."""
    look = look_of(name)
    return [
        line
        for line in axes.lines
        if line.get_marker() == look.marker and line.get_markeredgecolor() in (look.colour, "white")
    ]


@pytest.mark.parametrize("name", ["tradeoff", "scores", "cost", "agreement", "attack", "routing", "curves"])
def test_the_same_table_gives_the_same_bytes_and_widths_of_a_column(name, digits, tmp_path):
    draw = drawn(digits)[name]
    figure = draw()
    files = written(figure, tmp_path, "one")
    with matplotlib.rc_context({"font.size": 30, "svg.fonttype": "path"}), styled(str(STYLE)):  # a user's settings
        assert files == written(draw(), tmp_path, "two")
    assert ONE_COLUMN <= figure.get_figwidth() <= TWO_COLUMNS
    assert f">{DIGITS}</text>" in files["svg"].decode()  # text is text
    assert int.from_bytes(files["png"][16:20], "big") == pytest.approx(300 * figure.get_figwidth(), abs=1)


def test_every_method_of_the_project_has_a_look_of_its_own():
    methods = list(yaml.safe_load((ROOT / "config.yaml").read_text())["methods"])
    assert set(methods) <= set(NAMED)
    assert max(Counter([look_of(name) for name in [*methods, *REFERENCE_LOOKS]]).values()) == 1


def test_a_look_depends_on_the_name_alone(digits):
    few = digits.metrics[digits.metrics["method"].isin(["original", "retrain", "scrub", "retain_finetune"])]
    for metrics in (digits.metrics, few):
        assert marks_of(tradeoff(metrics, NONE_PUBLISHED, DIGITS).axes[0], "scrub")
    assert look_of("somebodys_method") == look_of("somebodys_method") != look_of("another_method")


def test_the_front_has_the_methods_that_no_other_surpasses_and_no_control(digits, tmp_path):
    cells = Cells(digits.metrics, DIGITS)
    competing = cells.competing("retain_acc", "forget_mia_auc_two_sided")
    assert set(cells.ranked) - set(competing) == {"bad_teacher"}  # names the class in one seed
    axes = tradeoff(digits.metrics, NONE_PUBLISHED, DIGITS).axes[0]
    (front,) = [line for line in axes.lines if line.get_drawstyle().startswith("steps")]
    of_front = set(zip(*front.get_data(), strict=True))
    values = {
        name: (cells.mean(name, "retain_acc"), cells.mean(name, "forget_mia_auc_two_sided") - 0.5) for name in competing
    }
    for name, (kept, found) in values.items():
        is_surpassed = any(
            other != (kept, found) and other[0] >= kept and other[1] <= found for other in values.values()
        )
        assert ((kept, found) in of_front) != is_surpassed, name
        (mark,) = marks_of(axes, name)
        assert (mark.get_markerfacecolor() == look_of(name).colour) != is_surpassed, name
    for name in ("bad_teacher", "head_mask"):
        (mark,) = marks_of(axes, name)
        assert mark.get_markerfacecolor() == "white"
    words = words_of(axes.figure)
    assert "head_mask (control)" in words
    assert "bad_teacher (forget_acc 0.33)" in words


def test_a_model_that_lost_everything_is_not_on_the_front(tmp_path):
    paper = numbers_of("paper")
    assert "negative_gradient" not in Cells(paper.metrics, CIFAR).competing("retain_acc")
    figure = tradeoff(paper.metrics, read_table(PUBLISHED), CIFAR)
    words = words_of(figure)
    assert {"negative_gradient (collapsed)", "published entry"} <= set(words)
    assert "one seed" not in words  # one seed: no dots, and no range


def test_published_scores_are_drawn_only_where_they_are_given(digits, tmp_path):
    paper, published = numbers_of("paper"), read_table(PUBLISHED)
    best = published.loc[published["benchmark"] == CIFAR, "unlearn_score"].max()
    words = words_of(scores(paper.metrics, paper.summary, published, CIFAR))
    assert f"best published: {best:.3f}" in words
    assert not [word for word in words_of(drawn(digits)["scores"]()) if "published" in word]


def test_the_spread_of_a_score_is_that_of_the_table(digits):
    summary = digits.summary.set_index(["benchmark", "method", "metric"])
    row = summary.loc[(DIGITS, "scrub", "unlearn_score")]
    assert ends_of(digits.summary, DIGITS, "unlearn_score")["scrub"] == (row["low"], row["high"])
    places = rows_by_mean(Cells(digits.metrics, DIGITS), "unlearn_score")
    by_place = sorted(places, key=places.get)
    assert by_place[:3] == ["original", "retrain", "head_mask"]
    means = [summary.loc[(DIGITS, name, "unlearn_score"), "mean"] for name in by_place[3:]]
    assert means == sorted(means, reverse=True)


def test_a_score_far_off_stands_on_the_end_of_the_axis_with_its_value(digits, tmp_path):
    figure = drawn(digits)["scores"]()
    original = Cells(digits.metrics, DIGITS).mean("original", "unlearn_score")
    assert original < figure.axes[0].get_xlim()[0]
    assert f"{original:.2f}" in words_of(figure)


@pytest.mark.parametrize("missing", ["oracle", "original", "a seed", "a method", "everything"])
def test_failed_cells_leave_the_rest(digits, missing, tmp_path):
    metrics = digits.metrics
    rows = {
        "oracle": metrics["method"] == "retrain",
        "original": metrics["method"] == "original",
        "a seed": (metrics["method"] == "scrub") & (metrics["seed"] == 42),
        "a method": metrics["method"] == "scrub",
        "everything": metrics["method"] != "",
    }[missing]
    figures = {name: draw() for name, draw in drawn(without(digits, rows)).items()}
    words = {name: " ".join(words_of(figure)) for name, figure in figures.items()}
    said = {"a seed": "scrub (2 of 3 seeds)", "a method": "scrub (0 of 3 seeds)", "everything": "no cell is ok"}
    assert said.get(missing, "scrub") in words["scores"]
    assert (f"{DIGITS}: no cell is ok" in words["tradeoff"]) == (missing == "everything")


@pytest.mark.parametrize("suite", ["digits", "small", "failures", "paper"])
def test_the_methods_that_compete_are_those_of_the_table(suite):
    """Of the kept tables, mask_and_average_score over-forgets in two; no seed has failed."""
    numbers = numbers_of(suite)
    for benchmark in numbers.metrics["benchmark"].unique():
        cells = Cells(numbers.metrics, benchmark)
        marked = set(re.findall(r"^\| (\w+) .* ‡ *\|$", first_block(numbers, benchmark), re.MULTILINE))
        assert {name for name in cells.ranked if "over-forgets" in cells.label(name)} == marked & set(cells.ranked)
        assert not marked & set(cells.competing("unlearn_score"))


def first_block(numbers, benchmark):
    """Return the table of the scores of a benchmark."""
    section = render_table(numbers, "digits").split(f"## {benchmark}\n")[1]
    return next(part for part in section.split("\n\n") if "| method" in part)


def test_without_an_oracle_in_the_table_nothing_is_compared_with_it(digits):
    metrics = digits.metrics[~digits.metrics["method"].isin(["retrain", "original"])]
    for draw in drawn(numbers_from(metrics, digits.costs)).values():
        assert "retrain (oracle)" not in words_of(draw())


def test_a_benchmark_that_is_not_in_the_table_is_named(digits):
    with pytest.raises(UserError, match=f"no row of somewhere; it has {DIGITS}"):
        tradeoff(digits.metrics, NONE_PUBLISHED, "somewhere")


@pytest.mark.parametrize("name", ["tradeoff", "scores", "cost"])
def test_twenty_five_methods_with_ten_seeds_can_be_read(name, tmp_path):
    """No two labels cover each other, and nothing lies outside the figure or under the legend."""
    methods = numbers_of("methods")
    of_one = methods.metrics[(methods.metrics["benchmark"] == DIGITS) & (methods.metrics["seed"] == 42)].iloc[:27]
    noise = np.random.default_rng(0)
    values = ["retain_acc", "forget_mia_auc_two_sided", "unlearn_score", "mean_abs_gap"]
    seeds = [
        of_one.assign(seed=seed).assign(**{each: of_one[each] + noise.normal(0, 0.01, len(of_one)) for each in values})
        for seed in range(10)
    ]
    figure = drawn(replace(methods, metrics=pandas.concat(seeds)))[name]()
    written(figure, tmp_path, formats=["png"])
    figure.canvas.get_renderer()
    (legend,) = (each.get_window_extent() for each in figure.legends)
    for axes in figure.axes:
        boxes = [each.get_window_extent() for each in axes.texts]
        assert not [1 for place, one in enumerate(boxes) for other in boxes[:place] if one.overlaps(other)]
        labels = axes.get_tightbbox()
        assert figure.bbox.x0 <= labels.x0
        assert labels.x1 <= figure.bbox.x1 + 1
        assert not legend.overlaps(labels)


def test_labels_of_near_points_do_not_cover_each_other():
    figure = Figure(figsize=(ONE_COLUMN, 2))
    axes = figure.subplots()
    axes.set(xlim=(0, 1), ylim=(0, 1))
    points = {f"method_{place}": (0.5, 0.5 + 0.02 * place) for place in range(4)}
    draw_labels(axes, list(points), points)
    boxes = [each.get_window_extent() for each in axes.texts]
    assert len(boxes) > 1
    assert not [1 for place, one in enumerate(boxes) for other in boxes[:place] if one.overlaps(other)]


@pytest.mark.parametrize(("suite", "benchmark"), [("fashion", "resnet20-fashion-class0"), ("methods", DIGITS)])
@pytest.mark.parametrize("name", ["tradeoff", "cost"])
def test_a_name_stands_at_its_own_mark(name, suite, benchmark, tmp_path):
    """No other mark is nearer to it, and it covers none: a mark has a radius of some three points."""
    figure = drawn(numbers_of(suite), benchmark)[name]()
    written(figure, tmp_path, formats=["png"])
    figure.canvas.get_renderer()
    radius = 3 * figure.dpi / 72
    for axes in figure.axes:
        marks = [
            line for line in axes.lines if len(line.get_xdata()) == 1 and line.get_marker() not in ("None", "+", ".")
        ]
        places = [axes.transData.transform((line.get_xdata()[0], line.get_ydata()[0])) for line in marks]
        for label in axes.texts:
            own = axes.transData.transform(label.xy)
            box = label.get_window_extent()
            far = [np.hypot(max(box.x0 - x, 0, x - box.x1), max(box.y0 - y, 0, y - box.y1)) for x, y in places]
            nearest = places[int(np.argmin(far))]
            assert np.allclose(nearest, own, atol=1), label.get_text()
            others = [(x, y) for x, y in places if not np.allclose((x, y), own, atol=1)]
            assert not [
                1 for x, y in others if box.x0 - radius < x < box.x1 + radius and box.y0 - radius < y < box.y1 + radius
            ]


def test_an_attack_that_is_no_better_than_chance_lies_on_the_axis(digits):
    metrics = digits.metrics.copy()
    metrics.loc[metrics["method"] == "scrub", "forget_mia_auc_two_sided"] = 0.5
    axes = tradeoff(metrics, NONE_PUBLISHED, DIGITS).axes[0]
    assert axes.get_ylim()[0] == 0
    assert 0 in axes.get_yticks()


def test_where_nothing_is_ranked_no_method_competes(digits):
    metrics = digits.metrics.copy()
    metrics.loc[metrics["method"] == "original", "forget_acc"] = 0.3
    assert Cells(digits.metrics, DIGITS).competing("retain_acc")
    assert Cells(metrics, DIGITS).competing("retain_acc") == []


def test_a_published_value_beyond_the_axis_stands_on_its_end():
    paper = numbers_of("paper")
    axes = scores(paper.metrics, paper.summary, read_table(PUBLISHED), CIFAR).axes[0]
    (ticks,) = [line for line in axes.lines if line.get_marker() == "|"]
    low, high = axes.get_xlim()
    assert len(ticks.get_xdata()) == 4
    assert low == min(ticks.get_xdata())  # negative_gradient's .682
    assert all(low <= value <= high for value in ticks.get_xdata())


def test_a_setting_that_collapsed_or_still_names_the_class_is_white_and_not_on_the_front():
    """Its attack finds nothing, because there is nothing to find or nothing was changed for it to find."""
    columns = ("method", "setting", "kind", "retain_acc", "forget_acc", "forget_mia_auc_two_sided")
    rows = [
        ("original", "", "reference", 0.9, 0.9, 0.6),
        ("retrain", "", "reference", 0.9, 0.0, 0.52),
        ("scrub", "whole", "method", 0.85, 0.05, 0.53),
        ("scrub", "collapsed", "method", 0.1, 0.0, 0.5),
        ("scrub", "knows", "method", 0.88, 0.4, 0.51),
    ]
    sweep = [dict(zip(columns, row, strict=True)) | {"benchmark": "b", "status": "ok"} for row in rows]
    (axes,) = settings(sweep).axes
    (front,) = [line for line in axes.lines if line.get_drawstyle().startswith("steps")]
    assert list(zip(*front.get_data(), strict=True)) == [(0.85, 0.53)]
    white, coloured = marks_of(axes, "scrub")
    assert (white.get_markerfacecolor(), len(white.get_xdata())) == ("white", 2)
    assert (coloured.get_markerfacecolor(), len(coloured.get_xdata())) == (look_of("scrub").colour, 1)


def test_curves_are_of_the_same_seeds_in_every_epoch(digits):
    """A seed that failed ends its method's curve: without it, the others would seem to recover."""
    whole = pandas.DataFrame({"epoch": [0, 1, 2], "retain_acc": [0.9, 0.9, 0.9], "forget_acc": [0.1, 0.0, 0.0]})
    broken = pandas.DataFrame({"epoch": [0], "retain_acc": [0.1], "forget_acc": [0.0]})
    figure = histories.curves(digits.metrics, {"scrub": [whole, broken, whole]}, DIGITS)
    (line,) = figure.axes[2].lines
    assert list(line.get_ydata()) == [pytest.approx(1.9 / 3)]


def test_what_is_kept_of_the_attack_draws_the_same_figure(tmp_path, digits):
    metrics, file = digits.metrics, tmp_path / "kept.npz"
    names = attacks.chosen_methods(Cells(metrics, DIGITS))
    cells = [(name, scores_of(seed)) for seed in range(3) for name in (*names, "not_shown")] + [(names[0], {})]
    sides = attacks.sides_by_method(names, cells)
    assert {name: len(seeds) for name, seeds in sides.items()} == dict.fromkeys(names, 3)
    write_arrays(file, attacks.as_arrays(sides))
    kept = attacks.from_arrays(read_arrays(file))
    for name in names:
        for both, again in zip(sides[name], kept[name], strict=True):
            for values, its in zip(both, again, strict=True):
                assert its == pytest.approx(values, abs=1e-5), name
    one, two = (written(attacks.attack(metrics, its, DIGITS), tmp_path, formats=["png"]) for its in (sides, kept))
    assert one == two


def test_the_log_odds_order_images_as_the_attack_does():
    scores_npz = scores_of(0)
    sides = [scores_npz[f"{side}_logits"] for side in ("member", "non_member")]
    by_confidence = membership_auc(*map(confidence, sides))
    assert membership_auc(*map(attacks.log_odds, sides)) == pytest.approx(by_confidence)
    assert np.isfinite(attacks.log_odds(np.array([[1e4, 0, 0], [0, 0, 0]]))).all()


def test_a_density_has_area_one_and_the_roc_ends_at_one():
    values = np.random.default_rng(0).normal(size=500)
    places, found = attacks.density(values, -4, 4)
    assert found.sum() * (places[1] - places[0]) == pytest.approx(1, abs=0.01)
    assert places[found.argmax()] == pytest.approx(0, abs=0.5)
    rates, found = attacks.roc(np.array([3.0, 2.0, 0.0]), np.array([2.5, 1.0]))
    assert list(rates) == [0.5, 1.0]
    assert list(found) == [pytest.approx(2 / 3), 1.0]


def test_a_sweep_marks_the_setting_nearest_to_the_oracle(tmp_path):
    sweep = read_table(REFERENCE / "small-sweep.csv")
    benchmark = sweep["benchmark"].iloc[0]
    figure = sensitivity(sweep, benchmark)
    (axes,) = [each for each in figure.axes if each.get_title(loc="left") == "negative_gradient"]
    its = sweep[(sweep["benchmark"] == benchmark) & (sweep["method"] == "negative_gradient")]
    (filled,) = [line for line in marks_of(axes, "negative_gradient") if line.get_markerfacecolor() != "white"]
    assert filled.get_xdata()[0] == its["mean_abs_gap"].min()
    assert [label.get_text() for label in axes.get_yticklabels()] == list(its["setting"])
    written(figure, tmp_path)
    written(settings(sweep.fillna({"setting": ""}).to_dict("records")), tmp_path)


def test_a_sweep_with_failed_settings_is_drawn(tmp_path):
    rows = pandas.DataFrame(
        {"benchmark": "b", "method": ["m", "m", "n", "n"], "setting": ["a 1", "a 2", "a 1", "a 2"], "kind": "method"}
    ).assign(status=["ok", "failed", "failed", "failed"], mean_abs_gap=[0.1, None, None, None])
    rows = rows.assign(unlearn_score=rows["mean_abs_gap"], retain_acc=rows["mean_abs_gap"])
    words = words_of(sensitivity(rows, "b"))
    assert words.count("failed") == 3
    for gaps in ([None] * 4, [float("nan")] * 4):  # the oracle is not ok; all settings have failed
        without_any = sensitivity(rows.assign(mean_abs_gap=gaps, status="ok"), "b")
        assert words_of(without_any) == ["b: no setting is ok, or the oracle is not"]


def test_relearning_is_drawn_only_if_it_was_asked_for(digits, tmp_path):
    assert "no relearning was asked for" in words_of(relearning(digits.metrics, digits.summary, {}, DIGITS))[0]
    small = numbers_of("small")
    benchmark = small.metrics["benchmark"].iloc[0]
    words = words_of(relearning(small.metrics, small.summary, {}, benchmark))
    assert "scrub" in words
    assert "munba" not in words  # it has no number: its rows are of a later run


def test_the_way_back_is_the_mean_of_the_seeds_and_a_seed_that_has_ended_stays_where_it_is(tmp_path):
    small = numbers_of("small")
    benchmark = small.metrics["benchmark"].iloc[0]
    cells = [
        {"method": "scrub", "curves": {"relearn_epochs_reset": [0.0, 0.6]}},
        {"method": "scrub", "curves": {"relearn_epochs_reset": [0.2, 0.4, 0.5]}},
        {"method": "original", "curves": {"relearn_epochs_reset": [0.9], "relearn_epochs_random": [0.1, 0.3]}},
        {"method": "nan", "relearn_epochs": None},
    ]
    figure = relearning(small.metrics, small.summary, curves_of(cells), benchmark)
    _, below = figure.axes  # these cells were relearned from one start alone
    lines = [list(line.get_ydata()) for line in below.lines]
    assert lines[0] == [0.9]
    assert lines[2] == pytest.approx([0.1, 0.5, 0.55])
    assert lines[4] == [0.1, 0.3]  # the random weights
    written(figure, tmp_path)


def test_accuracies_of_methods_are_drawn_where_they_were_looked_at(digits, tmp_path):
    losses = pandas.DataFrame({"epoch": [0, 1], "loss": [2.0, 1.0]})
    looked = losses.assign(retain_acc=[0.8, 0.9], forget_acc=[0.5, 0.0])
    reference = {"original": [pandas.DataFrame({"epoch": [0], "train_loss": [1.0]})]}
    for history, panels in ((losses, 2), (looked, 4), (pandas.DataFrame(), 2)):
        figure = histories.curves(digits.metrics, reference | {"scrub": [history]}, DIGITS)
        assert len(figure.axes) == panels
        assert ("scrub" in words_of(figure)) == (panels == 4)
    (tmp_path / "history.csv").write_text("\n")
    assert histories.read_history(str(tmp_path / "history.csv")).empty
