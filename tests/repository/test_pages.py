"""README and docs: every number from a file, every link, path and command as it is, the generated pages up to date."""

import re
import shlex
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pandas
import pytest
import yaml
from commands import docs, verify
from commands.docs import RANKING, SHOWN_FIRST
from project import ROOT, RULES
from snakemake.cli import parse_args, parse_config

from unlearning.config.model import REFERENCES, as_published
from unlearning.config.reading import CONFIG, SCHEMA, read_config
from unlearning.config.variants import PARTS
from unlearning.evaluation.metrics import METRICS
from unlearning.files import read_table
from unlearning.meaning import by_meaning
from unlearning.paths import PUBLISHED
from unlearning.tables.cells import ORACLE
from unlearning.tables.configuration_page import levels_of
from unlearning.tables.intervals import half_width
from unlearning.tables.legend import LEVEL
from unlearning.tables.markdown import shown
from unlearning.tables.measured import (
    AUTHORS,
    FASHION,
    GAP,
    ON_FASHION,
    SCRATCH,
    TUNED,
    Measured,
    best_settings,
    gaps_of,
    tried_on,
)
from unlearning.tables.reference import numbers_of
from unlearning.watched_code import SCRIPTS

README, DOCS = ROOT / "README.md", ROOT / "docs"
NUMBER = re.compile(r"-?\d+\.\d+")
SVG_ID = re.compile(r"\b[a-z][0-9a-f]{10}\b")
"""A name that Matplotlib makes of the exact coordinates of a shape: one other last digit is another name."""
PAGES = [README, ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted(DOCS.glob("*.md"))]
REFERENCE = ROOT / "results/reference"


def test_the_reference_tables_are_made_from_their_numbers(capsys):
    assert verify.main() == 0, capsys.readouterr().err
    assert {path.name.removesuffix("-table.md") for path in REFERENCE.glob("*-table.md")} >= {"digits", "methods"}


def test_a_reference_table_that_does_not_follow_from_its_numbers_is_named(tmp_path, capsys):
    folder = shutil.copytree(REFERENCE, tmp_path / "reference")
    table = folder / "digits-table.md"
    table.write_text(table.read_text().replace("| scrub  ", "| scrap  ", 1))
    assert verify.main(folder) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"{table}: line ")
    assert "'| scrap " in line
    assert "its numbers give '| scrub " in line


def test_the_table_of_all_methods_bears_out_what_is_said_of_its_ends():
    """The statements are in docs/reading-the-table.md. Every method is in the table."""
    metrics = read_table(REFERENCE / "methods-metrics.csv")
    config = yaml.safe_load((ROOT / "config.yaml").read_text())
    assert list(metrics["method"].unique()[2:]) == config["suites"]["methods"]["methods"] == list(config["methods"])
    assert (metrics["status"] == "ok").all()
    means = metrics.groupby(["method", "benchmark"])["forget_acc"].mean().drop("original")
    still_there = {(method, benchmark.split("-")[0]) for method, benchmark in means[means > 0.1].index}
    everywhere = {(name, model) for name in ("ssd", "cmf") for model in ("resnet20", "vgg16bn", "mobilenetv2")}
    partly = {("lotus", "vgg16bn"), ("lotus", "mobilenetv2"), ("msg", "vgg16bn")}
    assert still_there == everywhere | partly
    retained = metrics.groupby("method")["retain_acc"].mean()
    assert retained.idxmin() == "negative_gradient"
    assert retained.min() < 0.75


SMALL = read_config([CONFIG, ROOT / "workflow/suites/small.yaml"], {})


def test_the_table_of_small_real_images_has_every_method_in_every_seed():
    metrics = read_table(REFERENCE / "small-metrics.csv")
    suite = SMALL.suites["small"]
    assert list(suite.methods) == yaml.safe_load((ROOT / "config.yaml").read_text())["suites"]["methods"]["methods"]
    assert list(metrics["method"].unique()[2:]) == list(suite.methods)
    assert (metrics["status"] == "ok").all()
    assert (metrics.groupby(["benchmark", "method"])["seed"].nunique() == len(suite.seeds)).all()


def test_the_best_settings_are_those_that_the_sweep_chose():
    """Among at most eight settings per method. Every method with a grid was swept; ours has a sweep of its own."""
    sweep = read_table(REFERENCE / "small-sweep.csv")
    best = best_settings(sweep)
    with_grid = {name for name in SMALL.suites["small"].methods if SMALL.methods[name].grid}
    assert set(best) == {name for name in with_grid if not name.startswith("mask_and_average")}
    assert sweep.groupby("method")["setting"].nunique().max() <= 8
    for name, setting in best.items():
        rows = [row for row in (name, name + AUTHORS, name + TUNED) if row in SMALL.methods]
        settings = [shown(by_meaning(SMALL.methods[row].hyperparameters)) for row in rows]
        assert settings.count(setting) == 1, name
        assert not rows[-1].endswith(TUNED) or settings[-1] == setting, name
    gaps = tried_on(sweep["benchmark"].unique()[1], sweep).set_index(["method", "setting"])["mean_abs_gap"]
    for name, setting in best_settings(sweep, benchmark=1).items():
        rows = {end: name + end for end in ("", AUTHORS, TUNED, ON_FASHION) if name + end in SMALL.methods}
        ran = {
            end: gaps.get((name, shown(by_meaning(SMALL.methods[row].hyperparameters)))) for end, row in rows.items()
        }
        best = gaps[(name, setting)]
        assert ran.pop(ON_FASHION, best) == best, name
        nearest = min(gap for gap in ran.values() if gap is not None)
        assert (ON_FASHION in rows) == (nearest > best), name
    of_fashion = {name for name in SMALL.methods if name.endswith(ON_FASHION)}
    assert set(SMALL.suites["small_fashion"].methods) == of_fashion | {SCRATCH}


def section(text, title):
    """Return the text under a heading, up to the next heading of any level."""
    return re.split(r"^#+ ", text.split(f"# {title}\n", 1)[1], maxsplit=1, flags=re.MULTILINE)[0].strip()


TABLE_PAGE = DOCS / "reading-the-table.md"
SHOWN = "resnet20-digits-class0"


def test_the_readme_shows_the_first_block_of_the_reference_table():
    first_block = section((REFERENCE / f"{RANKING}-table.md").read_text(), SHOWN_FIRST).split("\n\n")[0]
    assert first_block.startswith("| method")
    assert first_block in section(README.read_text(), SHOWN_FIRST)


def test_on_the_suite_that_ranks_good_and_bad_methods_stand_apart_beyond_the_noise():
    """On each model, bad ones are further from the oracle than any oracle of another seed, and than ours."""
    numbers = numbers_of(RANKING)
    assert sorted(numbers.metrics["seed"].unique()) == [42, 43, 44]
    for benchmark in numbers.metrics["benchmark"].unique():
        gaps, floor = gaps_of(numbers, benchmark), numbers.floor.set_index("benchmark").loc[benchmark]
        furthest = floor[floor["metric"] == GAP.name]["furthest"].item()
        assert gaps["mask_and_average"].mean() < 2 * furthest
        for bad in ("negative_gradient", "scrub"):
            assert gaps[bad].min() > 3 * furthest
            apart = gaps[bad] - gaps["mask_and_average"]
            assert apart.mean() > half_width(apart)


def test_the_page_about_the_table_shows_all_blocks_of_the_reference_table_and_its_legend():
    shown = section(TABLE_PAGE.read_text(), SHOWN)
    reference = (REFERENCE / "digits-table.md").read_text()
    assert section(reference, SHOWN) in shown
    legend = reference.split("\n## ")[0].split("\n\n")[2:]  # after the title and the seeds
    assert len(legend) == 3
    assert all(paragraph.strip() in shown for paragraph in legend)


def test_the_pages_show_the_table_of_the_paper_suite_once_there_is_one():
    """The README shows the first block of one benchmark, the page all of them. Both say which parts are missing."""
    reference = REFERENCE / "paper-table.md"
    texts = [README.read_text(), (DOCS / "paper-suite.md").read_text()]
    is_denied = [" ".join(text.split()).count("have not been run yet**") for text in texts]
    if not reference.exists():
        assert is_denied == [1, 1]
        pytest.skip("results/reference/ has no paper-table.md: the paper suite was not run yet")
    assert is_denied == [0, 0]
    suite = yaml.safe_load((ROOT / "config.yaml").read_text())["suites"]["paper"]
    metrics = read_table(REFERENCE / "paper-metrics.csv")
    missing = [
        str(name)
        for column in ("benchmark", "method", "seed")
        for name in suite[f"{column}s"]
        if name not in metrics[column].unique()
    ]
    for text in texts:
        said = re.search(r"^\*\*Still missing\*\*: (.*?)\n\n", text, re.MULTILINE | re.DOTALL)
        named = re.findall(r"`([\w-]+)`", said[1]) if said else []
        assert sorted(named) == sorted(missing)
    blocks = [section(reference.read_text(), name).split("\n\n")[0] for name in metrics["benchmark"].unique()]
    assert all(block in texts[1] for block in blocks)
    assert any(block in texts[0] for block in blocks)


def test_every_number_that_is_said_of_the_paper_suite_stands_in_its_table():
    table = REFERENCE / "paper-table.md"
    if not table.exists():
        pytest.skip("results/reference/ has no paper-table.md: the paper suite was not run yet")
    said = section((DOCS / "paper-suite.md").read_text(), "What has been run so far")
    said = " ".join(line for line in said.splitlines() if not line.startswith("|"))
    numbers = re.findall(r"\d\.\d{3}|\d+ of \d+", said)
    assert numbers
    assert [number for number in numbers if number not in table.read_text()] == []


def numbers_without_their_row(text, rows, names):
    """Return the numbers with a sign or three decimals in ``text`` that are in no row of a name that ``text`` has."""
    named = [name for name in names if re.search(rf"\b{name}\b", text)]
    known = " ".join(row for row in rows if any(row.startswith((f"| {name} ", f"| *{name}*")) for name in named))
    return [number for number in re.findall(r"-?\d\.\d{3}", text) if number not in known]


@pytest.mark.parametrize(
    ("page", "shown_in", "said_in", "items"),
    [
        (README, SHOWN_FIRST, SHOWN_FIRST, r"^- .*?(?=^- |^$)"),
        (TABLE_PAGE, SHOWN, "How to read it", r"^\d\. .*?(?=^\d\. |\Z)"),
    ],
    ids=("README", "reading-the-table"),
)
def test_every_number_of_the_walk_through_stands_in_the_table(page, shown_in, said_in, items):
    """Each number has its row: the sentence, or the sentence before it, names the row."""
    text = page.read_text()
    steps = re.findall(items, section(text, said_in) + "\n\n", re.MULTILINE | re.DOTALL)
    assert len(steps) == {README: 3, TABLE_PAGE: 6}[page]
    rows = [line for line in section(text, shown_in).splitlines() if line.startswith("| ")]
    names = [*REFERENCES, *yaml.safe_load((ROOT / "config.yaml").read_text())["suites"]["digits"]["methods"]]
    for step in steps:
        assert numbers_without_their_row(step, rows, names) == [], step
    assert sum(len(re.findall(r"\d\.\d{3}", step)) for step in steps) >= 2


def test_the_generated_pages_are_what_make_docs_writes():
    made = {path: text for path, text in docs.pages().items() if path.suffix == ".md"}
    assert {path.name for path in made} == {
        *("methods.md", "methods-measured.md", "own-method.md", "on-trial.md", "configuration.md", "calibration.md"),
        "metrics.md",
    }
    assert [path.name for path, text in made.items() if text != path.read_text()] == [], "make docs"


def test_the_figures_of_the_readme_are_those_of_the_kept_numbers():
    """But for the last digits of their coordinates, in which kinds of processors differ."""
    made = docs.figures()
    assert all(path.relative_to(ROOT).as_posix() in README.read_text() for path in made)
    for path, text in made.items():
        (ours, words), (kept, kept_words) = (
            ([float(number) for number in NUMBER.findall(svg)], SVG_ID.sub("", NUMBER.sub("", svg)))
            for svg in (text, path.read_text())
        )
        assert words == kept_words
        assert ours == pytest.approx(kept, abs=0.01)


@pytest.mark.parametrize("name", ["own-method", "on-trial"])
def test_every_number_that_is_said_of_our_methods_stands_in_a_table_of_the_page(name):
    """This holds for numbers with three decimals. The tables are made from results."""
    page = (DOCS / f"{name}.md").read_text()
    made = re.compile(r"^<!-- (?:table|sweep) .*?^<!-- end -->$", re.MULTILINE | re.DOTALL)
    tables, said = " ".join(made.findall(page)), made.sub("", page)
    numbers = re.findall(r"\d\.\d{3}", said)
    assert numbers
    assert [number for number in numbers if number not in tables] == []


def test_the_summary_of_our_method_has_the_numbers_of_its_tables_each_in_its_place():
    page = (DOCS / "own-method.md").read_text()
    columns = [("resnet20-cifar10_small-class0", n) for n in (1, 3, 5, 4)] + [("mobilenetv2-fmnist_small-class0", 4)]
    summary = [line.split("|")[1:-1] for line in section(page, "In short").splitlines() if line.startswith("| ")][1:]
    assert len(summary) == 3
    for name, *values in summary:
        name = re.search(r"\w+(?=\)?\s*$)", name)[0]
        for (benchmark, number), value in zip(columns, values, strict=True):
            table = section(page, benchmark).splitlines()
            (row,) = (line for line in table if re.match(rf"\| \**{name}\** ", line))
            assert row.split("|")[number + 1].split()[0] == value.strip(), (name, benchmark, number)


def test_every_number_that_is_said_of_the_measured_methods_stands_in_a_table():
    page = (DOCS / "methods-measured.md").read_text()
    tables = " ".join(line for line in page.splitlines() if line.startswith("|"))
    said = re.findall(r"\d\.\d{3}", " ".join(line for line in page.splitlines() if not line.startswith("|")))
    assert said
    assert [number for number in said if number not in tables] == []


def test_how_often_the_two_halves_of_the_sweep_agree_is_said_rightly():
    first, second = (best_settings(read_table(REFERENCE / "small-sweep.csv"), number) for number in (0, 1))
    agreeing = sum(second[name] == setting for name, setting in first.items())
    said = f"On {agreeing} of the {len(first)} methods with a grid, the two benchmarks agree."
    assert said in (DOCS / "methods-measured.md").read_text()


@pytest.fixture(scope="module")
def kept():
    return Measured(docs.hyperparameters_of(SMALL))


def said_of_the_measured_methods():
    return " ".join((DOCS / "methods-measured.md").read_text().split())


def listed(names):
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))


def test_which_methods_are_within_the_noise_floor_is_said_rightly(kept):
    rows = [row for name in kept.names for row in kept.rows_of(name)]
    first, second = (
        [row for row in rows if (benchmark, row, GAP.name) in kept.means.index and LEVEL in kept.gap(benchmark, row)]
        for benchmark in kept.benchmarks
    )
    summary = numbers_of(FASHION).summary
    own = summary[(summary["metric"] == GAP.name) & (summary["is_within_floor"]) & (summary["method"] != ORACLE)]
    configured, tuned = (
        [[row.removesuffix(TUNED) for row in its if row.endswith(TUNED) is ends] for its in (first, second)]
        for ends in (False, True)
    )
    said = said_of_the_measured_methods().split("**Within the noise floor** on CIFAR-10: ")[1]
    on_first, _, rest = said.partition(". On FashionMNIST: ")
    assert on_first == f"{listed(configured[0])} as configured, {listed(tuned[0])} in the sweep's best setting"
    fashion = listed(list(own["method"].str.removesuffix(ON_FASHION)))
    assert rest.startswith(
        f"{listed(configured[1])} as configured, {listed(tuned[1])} in CIFAR-10's best setting, "
        f"{fashion} in their own best. "
    )
    both = [row for row in first if row in second]
    assert both == ["trew" + TUNED, "sfron"]
    assert "sfron as configured and trew in CIFAR-10's best setting are within the floor on both" in rest


def test_where_tuning_brings_more_than_its_interval_is_said_rightly(kept):
    nearer, farther = [], []
    for benchmark in kept.benchmarks:
        gaps = gaps_of(kept.numbers, benchmark)
        tuned = [row for row in kept.settings if row.endswith(TUNED)]
        moved = {row: gaps[row] - gaps[row.removesuffix(TUNED)] for row in tuned}
        certain = {row: its.mean() for row, its in moved.items() if abs(its.mean()) > half_width(its)}
        nearer.append([row.removesuffix(TUNED) for row, mean in certain.items() if mean < 0])
        farther.append([row.removesuffix(TUNED) for row, mean in certain.items() if mean > 0])
    assert farther[1] == []
    assert (
        f"for {listed(nearer[0])} on CIFAR-10, and for {listed(nearer[1])} on FashionMNIST; "
        f"it is farther for {listed(farther[0])} on CIFAR-10."
    ) in said_of_the_measured_methods()


def test_which_of_the_best_on_the_second_benchmark_bring_nothing_is_said_rightly(kept):
    numbers = numbers_of(FASHION)
    benchmark = numbers.metrics["benchmark"].iloc[0]
    gaps = gaps_of(numbers, benchmark).mean()
    names = [row for row in SMALL.suites[FASHION].methods if row.endswith(ON_FASHION) and gaps[row] >= gaps[SCRATCH]]
    found = listed([name.removesuffix(ON_FASHION) for name in names])
    said = said_of_the_measured_methods()
    assert f"do {found} come near the oracle on FashionMNIST" in said
    configured = gaps_of(kept.numbers, benchmark).mean()
    farther = [
        name.removesuffix(ON_FASHION)
        for name in SMALL.suites[FASHION].methods
        if name.endswith(ON_FASHION) and configured[name.removesuffix(ON_FASHION)] < gaps[name] < gaps[SCRATCH]
    ]
    assert f"{listed(farther)}, in the setting that one seed chose there, are farther from the oracle" in said


def test_the_page_of_the_configuration_has_every_key_with_a_description():
    page = (DOCS / "configuration.md").read_text()
    schema = yaml.safe_load(SCHEMA.read_text())
    levels = dict(levels_of(schema, schema))
    assert len(levels) == 9
    for title, level in levels.items():
        rows = re.findall(r"^\| `(\w+)` .*\|(.*)\|$", section(page, title), re.MULTILINE)
        assert [key for key, _ in rows] == list(level["properties"])
        assert all(words.strip() for _, words in rows)


def test_every_number_that_is_said_of_the_calibration_stands_in_its_tables():
    page = (DOCS / "calibration.md").read_text()
    tables = " ".join(line for line in page.splitlines() if line.startswith("|"))
    said = re.findall(r"\d\.\d{3}", " ".join(line for line in page.splitlines() if not line.startswith("|")))
    assert said
    assert [number for number in said if number not in tables] == []


def test_two_choices_together_bring_the_baselines_near_to_their_published_scores():
    """As docs/calibration.md says. Augmented members do not: bad_teacher goes away, whatever its random teacher is."""
    rows = read_table(REFERENCE / "calibration-cifar10.csv").set_index(["choice", "method"])["unlearn_score"]
    published = read_table(PUBLISHED)
    published = published[published["benchmark"] == "resnet20-cifar10-class0"].set_index("entry")["unlearn_score"]

    def distance(scores):
        distances = (scores - published).abs().dropna()
        assert len(distances) == 4
        return distances.mean()

    both = distance(rows.loc["epoch_of: forget, ties by position"])
    assert both < 0.0115
    assert both < distance(rows.loc["epoch_of: forget, members augmented, ties by position"])
    assert both < distance(rows.loc["as chosen"]) / 4
    assert both < distance(read_table(REFERENCE / "paper-metrics.csv").set_index("method")["unlearn_score"]) / 4
    again = read_table(REFERENCE / "by_forget-metrics.csv").set_index("method")
    teachers = again.loc[["bad_teacher", "bad_teacher_second", "bad_teacher_third"]]
    assert (teachers["forget_mia_auc_augmented"] - teachers["forget_mia_auc"]).min() > 0.03
    page = (DOCS / "calibration.md").read_text()
    for row in teachers.iloc[1:].itertuples():
        values = rf"{row.forget_mia_auc:.3f} *\| +{row.forget_mia_auc_augmented:.3f} *\|"
        assert re.search(rf"^\| {row.Index} .*{values}", page, re.MULTILINE)


FULL_SIZE = "On ResNet-20 / CIFAR-10"
BY_FORGET = ROOT / "workflow/suites/by_forget.yaml"


def test_the_other_reading_of_the_protocol_differs_in_the_epoch_alone_and_is_as_published():
    first, other = read_config([CONFIG], {"suite": "cifar10"}), read_config([CONFIG, BY_FORGET], {})
    published = first.protocols
    assert {name for name in published if other.protocols[name] != published[name]} == {"paper"}
    changed = replace(published["paper"], unlearn={**published["paper"].unlearn, "epoch_of": "forget"})
    assert other.protocols["paper"] == changed
    assert as_published(other.as_plain()) == list(other.chosen.benchmarks) == list(first.chosen.benchmarks)
    assert (other.checkpoints, other.chosen.seeds) == (first.checkpoints, first.chosen.seeds)


def test_our_method_run_again_has_the_smallest_js_but_for_one_on_trial():
    """As docs/own-method.md says of the models that come with the project."""
    rows = read_table(REFERENCE / "cifar10-metrics.csv").set_index("method")
    distances = rows["js_to_oracle"].drop("retrain")
    assert distances.nsmallest(2).index.tolist() == ["renew_and_distill_last", "mask_and_average"]
    assert rows["forget_mia_auc"]["mask_and_average"] > rows["forget_mia_auc"]["retrain"]
    assert rows["retain_acc"]["mask_and_average"] >= rows["retain_acc"]["retrain"]


def test_flatten_has_the_highest_score_of_a_method_and_erases_nothing():
    """What docs/on-trial.md says of it, and of the ceiling."""
    rows = read_table(REFERENCE / "by_forget-metrics.csv").set_index("method")
    scores = rows["unlearn_score"].drop(["original", "retrain", "head_mask", "retain_finetune_averaged"])
    assert set(scores.nlargest(2).index) == {"flatten_kl", "flatten_spread"}
    assert scores.max() < rows["unlearn_score"]["head_mask"] < 0.829
    augmented = (rows["retain_acc"] + 1 - rows["forget_acc"] + 1 - rows["forget_mia_auc_augmented"]) / 3
    assert augmented[["flatten_kl", "head_mask", "retrain"]].round(3).tolist() == [0.842, 0.837, 0.831]
    assert rows["probe_acc"]["flatten_kl"] >= rows["probe_acc"]["original"]
    assert rows["relearn_epochs_reset"]["flatten_kl"] < rows["relearn_epochs_reset"]["original"]
    turned = 1 - rows["forget_mia_auc_loss"]["original"]
    assert turned == pytest.approx(0.445, abs=0.0005)
    assert (rows["retain_acc"]["retrain"] + 1 + 1 - turned) / 3 == pytest.approx(0.827, abs=0.0005)


def test_what_is_said_of_the_methods_of_others_on_the_full_size_benchmark_is_in_its_table():
    rows = read_table(REFERENCE / "by_forget-metrics.csv").set_index("method")
    lines = section((DOCS / "methods-measured.md").read_text(), FULL_SIZE).splitlines()
    shown, said = ("\n".join(line for line in lines if line.startswith("|") is is_row) for is_row in (True, False))
    numbers = re.findall(r"\b0\.[0-9]{3}\b", said)
    assert numbers
    assert [number for number in numbers if number not in shown] == []
    others = rows[rows["kind"] == "method"]
    forgetful = others[(others["forget_acc"] < 0.1) & (others["retain_acc"] > 0.7)]
    assert forgetful["relearn_epochs_as_is"].between(1, 5).all()
    assert rows["relearn_epochs_as_is"]["retrain"] == 20
    assert set(others.index[others["forget_acc"] > 0.1]) == {"ssd", "msg", "cmf"}
    of_others = forgetful[[f"| {name} " in shown for name in forgetful.index]]
    assert set(of_others["mean_abs_gap"].nsmallest(2).index) == {"delete", "neggrad_plus"}
    assert of_others["js_to_oracle"].idxmin() == "trew"
    assert (of_others["probe_acc"] - rows["probe_acc"]["retrain"]).abs().idxmin() == "ct"


def test_no_third_choice_brings_the_baselines_nearer():
    """As docs/calibration.md says of batch norms in eval mode and of unlearning without augmentation."""
    rows = read_table(REFERENCE / "calibration-by_forget.csv")
    first = read_table(REFERENCE / "calibration-cifar10.csv").set_index(["choice", "method"])
    its = rows.set_index(["choice", "method"])
    pandas.testing.assert_frame_equal(its.loc["as chosen"].iloc[2:], first.loc["epoch_of: forget"])  # the same cells
    retained, auc = its["retain_acc"], its["forget_mia_auc"]
    assert retained["batch_norm: eval", "scrub"] < 0.2 < 0.8 < retained["as chosen", "scrub"]
    for baseline in ("retain_finetune", "bad_teacher", "scrub"):
        assert abs(retained["augment: false", baseline] - retained["as chosen", baseline]) < 0.01
    for choice in ("batch_norm: eval", "augment: false"):
        assert auc[choice, "bad_teacher"] > auc["as chosen", "bad_teacher"] > 0.5  # published 0.414
        assert auc[f"{choice}, members augmented", "bad_teacher"] > auc[choice, "bad_teacher"]


def test_the_calibration_quotes_the_published_baselines_as_they_are():
    published = read_table(PUBLISHED)
    theirs = published[(published["benchmark"] == "mobilenetv2-fmnist-class0") & (published["type"] == "baseline")]
    shown = section((DOCS / "calibration.md").read_text(), "What was published")
    for row in theirs.to_dict("records"):
        cells = [row["entry"], *(f"{row[metric]:.3f}" for metric in METRICS)]
        assert cells in [[cell.strip() for cell in line.split("|")[1:-1]] for line in shown.splitlines()]


def test_our_rule_scores_above_every_baseline_on_the_digits():
    """In both settings, by the mean over three models and three seeds."""
    metrics = read_table(REFERENCE / "digits-metrics.csv")
    assert sorted(metrics["seed"].unique()) == [42, 43, 44]
    assert metrics["benchmark"].nunique() == 3
    means = metrics.groupby("method")["unlearn_score"].mean()
    baselines = means[["retain_finetune", "negative_gradient", "bad_teacher", "scrub"]]
    assert (means[["mask_and_average", "mask_and_average_score"]] > baselines.max()).all(), means


def test_the_digits_suite_keeps_what_it_promises():
    """At least .95 of the digits are right before unlearning, and almost none of the forget class after it."""
    metrics = read_table(REFERENCE / "digits-metrics.csv").set_index(["method", "benchmark"])
    original = metrics.loc["original"]
    assert original["test_acc"].min() > 0.95
    # A teacher with random weights does not always lead away from the class: bad_teacher may keep half of it.
    forgotten = metrics.drop(index=["original", "bad_teacher"])["forget_acc"]
    assert forgotten.groupby(level=[0, 1]).mean().max() < 0.1
    assert read_table(REFERENCE / "digits-costs.csv")["peak_memory_mb"].max() < 1500
    assert (metrics["status"] == "ok").all()


def test_the_readme_is_short():
    assert len(README.read_text().splitlines()) <= 120


def anchors(page):
    """Return the anchors that GitHub gives to the headings of a page."""
    titles = re.findall(r"^#+ (.*)$", re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.M | re.S), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_of_a_page_leads_somewhere(page):
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if "://" in link:
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        assert target.is_relative_to(ROOT), link
        assert not anchor or anchor in anchors(target), link


FOLDERS = ("scripts", "workflow", "docs", "tests", "envs", "results/reference")
PLACEHOLDERS = ("NAME", "SUITE", "my_method", "paper-", "calibration-full", "unlearning.sif")
"""Parts of paths that a page tells the user to write, or that a run makes."""


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_path_that_a_page_names_is_there(page):
    starts = "|".join(FOLDERS)
    named = re.findall(rf"(?<![\w/.])(?:{starts})/[\w./*{{}}<>-]*", page.read_text())
    named += re.findall(
        r"`([\w.-]+\.(?:md|toml|txt|lock|cff|smk))`|`(Makefile|LICENSE|config\.yaml)`", page.read_text()
    )
    folders = (ROOT, ROOT / "results", REFERENCE, DOCS, ROOT / "workflow/rules")
    made_by_a_run = {"table.md", "preview.md", "sweep.md", "calibration.md", "bench.md"}
    for path in ("".join(parts) if isinstance(parts, tuple) else parts for parts in named):
        path = path.rstrip(".")
        if any(word in path for word in PLACEHOLDERS) or path in made_by_a_run:
            continue
        assert any(any(folder.glob(path.rstrip("/") or "*")) for folder in folders), path


def commands_in(page):
    """Yield the lines of a page's code blocks and its inline code that call make or snakemake, without comments."""
    text = page.read_text()
    blocks = re.findall(r"^```bash\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    rest = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines()]
    lines += [line for line in rest.splitlines() if line.startswith("    ")]
    lines += [" ".join(code.split()) for code in re.findall(r"(?<!`)`([^`]+)`(?!`)", rest)]
    for line in lines:
        words = shlex.split(line, comments=True) if re.match(r"\s*(?:timeout \w+ )?(?:make|snakemake)\b", line) else []
        while words[:1] == ["timeout"]:
            words = words[2:]
        if len(words) > 1:
            yield tuple(words)


COMMANDS = sorted({(page.name, words) for page in PAGES for words in commands_in(page)})
MAKES = [(page, words) for page, words in COMMANDS if words[0] == "make"]
SNAKEMAKES = [(page, words) for page, words in COMMANDS if words[0] == "snakemake"]
MADE = re.compile(r"(?:table|preview|sweep|calibration)\.md|[a-z0-9]+-\w+-class\d+/(?:seed\d+/\w+/\w+\.\w+|split\.npz)")
"""Files under results/ that a run can be asked for."""


def test_the_pages_have_commands():
    assert len(MAKES) > 30
    assert len(SNAKEMAKES) > 10


@pytest.mark.parametrize(
    ("page", "words"), MAKES, ids=lambda value: value if isinstance(value, str) else " ".join(value)
)
def test_every_make_command_has_its_target_and_its_variables(page, words):
    makefile = (ROOT / "Makefile").read_text()
    (phony,) = re.findall(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)
    known = {*re.findall(r"\b[A-Z_]+\b", makefile), "PIP_EXTRA_INDEX_URL"}
    # The file of the reader is not there, and make reports a missing file.
    given = [word.replace("CONFIG=mine.yaml", "CONFIG=config.yaml") for word in words[1:]]
    done = subprocess.run(["make", "-n", *given], cwd=ROOT, text=True, capture_output=True)
    assert done.returncode == 0, done.stderr
    targets = [word for word in words[1:] if "=" not in word]
    assert set(targets) <= set(phony.split())
    assert {word.partition("=")[0] for word in words[1:] if "=" in word} <= known


@pytest.mark.parametrize(
    ("page", "words"), SNAKEMAKES, ids=lambda value: value if isinstance(value, str) else " ".join(value)
)
def test_every_snakemake_command_can_be_read(page, words, monkeypatch):
    monkeypatch.chdir(ROOT)
    _, read = parse_args(list(words[1:]))
    assert read.targets or {"--lint", "--sdm"} & set(words), words
    for target in read.targets:
        assert target in RULES or (target.startswith("results/") and MADE.fullmatch(target.removeprefix("results/"))), (
            target
        )
    schema = yaml.safe_load(SCHEMA.read_text())
    assert set(parse_config(read.config)) <= {*schema["properties"], *PARTS}
    assert all(Path(file).exists() for file in read.configfile or [] if Path(file).name != "mine.yaml")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_configuration_that_a_page_shows_is_one(page, tmp_path):
    """Configurations with NAME in them are left out."""
    for number, block in enumerate(re.findall(r"^```yaml\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL)):
        if "NAME" not in block:
            file = tmp_path / f"{number}.yaml"
            file.write_text(block)
            read_config([CONFIG, file], {})


def test_imports_follow_the_direction_that_the_map_draws():
    drawn = section((DOCS / "architecture.md").read_text(), "The direction of imports")
    lines = [line.strip() for line in drawn.splitlines() if line.startswith("    ")]
    floors = [line for line in lines if line and not line.startswith("methods")]
    level_of = {}
    for level, floor in enumerate(floors):
        for room in re.findall(r"(?:unlearning)?\.\w+|^(?:commands|benches|scripts/\*\.py)", floor.split("neither")[0]):
            if not (floor.startswith("scripts/") and room == ".py"):
                level_of[room if not room.startswith(".") else f"unlearning{room}"] = level
    library = {path.stem for path in (SCRIPTS / "unlearning").iterdir() if not path.name.startswith("_")}
    assert {f"unlearning.{name}" for name in library} == {room for room in level_of if room.startswith("unlearning")}
    imports = re.compile(r"^ *(?:from|import) ((?:unlearning|commands|benches|methods)(?:\.\w+)*)", re.MULTILINE)
    for file in SCRIPTS.rglob("*.py"):
        parts = file.relative_to(SCRIPTS).with_suffix("").parts
        here = "scripts/*.py" if len(parts) == 1 else ".".join(parts[:2]) if parts[0] == "unlearning" else parts[0]
        if here == "unlearning.__init__":
            continue
        for name in imports.findall(file.read_text()):
            there = ".".join(name.split(".")[:2]) if name.startswith("unlearning") else name.split(".")[0]
            if here == "methods":
                is_of_others = there == "methods" and ("ablations" in parts or parts[1:] == ("dual_optim",))
                assert there == "unlearning.models" or name.startswith("methods.shared") or is_of_others, (file, name)
            elif there != here:
                assert level_of[there] > level_of[here], (file, name)
