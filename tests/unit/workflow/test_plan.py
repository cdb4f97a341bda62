"""The plan, called with wildcards as Snakemake calls it: files, parameters, and reasons to make a file again."""

import json
from types import SimpleNamespace

import pytest
from project import configured

from unlearning.config.model import EXTERNAL, MethodSettings
from unlearning.config.reading import CONFIG, read_yaml
from unlearning.config.variants import with_calibration, with_sweep
from unlearning.watched_code import digest_of_file
from unlearning.workflow.plan import TO_BE_MADE, Plan

AS_SHIPPED = read_yaml(CONFIG)


class Wildcards(SimpleNamespace):
    """Wildcards that, like Snakemake's, can be spread into a call."""

    def keys(self):
        return vars(self).keys()

    def __getitem__(self, key):
        return vars(self)[key]


CELL = Wildcards(model="resnet20", dataset="digits", forget_class="0", seed="42", method="scrub")
BENCHMARK = "resnet20-digits-class0"


def plan_of(**settings):
    suite = {"benchmarks": [BENCHMARK], "methods": ["head_mask", "scrub"], "seeds": [42, 43]}
    return Plan(configured(**{"suite": "s", "suites": {"s": suite}} | settings))


def protocol(part=None, **changes):
    """Return the protocols with a change in the digits' protocol, in one part or on the first level."""
    digits = AS_SHIPPED["protocols"]["digits"]
    changed = digits | ({part: digits[part] | changes} if part else changes)
    return {"protocols": AS_SHIPPED["protocols"] | {"digits": changed}}


def test_a_cells_files_are_named_for_every_benchmark_method_and_seed_in_the_tables_order():
    cells = plan_of().cells("metrics.json", ["retrain", "scrub"])
    folder = f"results/{BENCHMARK}"
    assert cells == [
        f"{folder}/seed42/retrain/metrics.json",
        f"{folder}/seed43/retrain/metrics.json",
        f"{folder}/seed42/scrub/metrics.json",
        f"{folder}/seed43/scrub/metrics.json",
    ]


def test_each_kind_of_relearning_asks_for_the_same_file_of_every_cell():
    files = {key: plan_of(**{key: True}).on_request() for key in ("relearning", "retain_relearning")}
    assert files["relearning"] == files["retain_relearning"]
    assert f"results/{BENCHMARK}/seed42/original/relearning.json" in files["relearning"]
    assert len(files["relearning"]) == 2 * 4  # seeds; two references and two methods
    assert plan_of().on_request() == []


def test_the_pretrained_model_is_one_for_all_forget_classes():
    suite = {"benchmarks": [BENCHMARK, "resnet20-digits-class3"], "methods": ["scrub"], "seeds": [42]}
    costs = plan_of(suites={"s": suite}).costs()
    assert [cost for cost in costs if "class" not in cost] == ["results/resnet20-digits/seed42/cost.json"]


def test_models_from_elsewhere_have_cells_for_their_seeds_alone():
    config = plan_of().config
    weights = MethodSettings(EXTERNAL, "", {}, {}, weights={43: "theirs.pt"})
    plan = Plan(type(config)(**vars(config) | {"methods": {**config.methods, "theirs": weights}}))
    assert plan.table_cells("metrics.json")[-1] == f"results/{BENCHMARK}/seed43/theirs/metrics.json"
    assert sum("theirs" in file for file in plan.table_cells("metrics.json")) == 1
    assert plan.kinds() == {
        "original": "reference",
        "retrain": "reference",
        "head_mask": "control",
        "scrub": "baseline",
        "theirs": "external",
    }
    assert "theirs" not in plan.methods


@pytest.mark.parametrize(
    ("changes", "concerns"),
    [
        (protocol("pretrain", epochs=9), {"training"}),
        (protocol("unlearn", epochs=9), {"unlearning"}),
        (protocol("relearn", epochs=9), {"relearning"}),
        (protocol(batch_size=33), {"training", "unlearning", "relearning"}),
        (protocol(crop_padding=2), {"training", "unlearning", "relearning", "evaluation"}),
        (protocol(precision="bfloat16"), {"training", "unlearning"}),
        (protocol(precision="float32"), set()),  # tf32 is float32 without CUDA; with it, `lost` compares
        (protocol("pretrain", evaluate_every=1), set()),
        (protocol("unlearn", evaluate_every=1), set()),
        (protocol("pretrain", momentum=0.9), set()),  # as it was
    ],
)
def test_a_job_depends_on_the_constants_that_it_uses(changes, concerns):
    parts = ("training", "unlearning", "relearning", "evaluation")
    before, after = plan_of(), plan_of(**changes)
    assert {name for name in parts if getattr(before, name)(CELL) != getattr(after, name)(CELL)} == concerns


def test_hyperparameters_are_compared_by_meaning_and_handed_on_as_they_are_written():
    methods = AS_SHIPPED["methods"] | {"scrub": AS_SHIPPED["methods"]["scrub"] | {"hyperparameters": {"a": 1}}}
    other = methods | {"scrub": methods["scrub"] | {"hyperparameters": {"a": 1.0}}}
    plans = [plan_of(methods=its) for its in (methods, other)]
    assert plans[0].hyperparameters(CELL) == plans[1].hyperparameters(CELL)
    told = [plan.unwatched("hyperparameters")(CELL, None)["hyperparameters"]["a"] for plan in plans]
    assert [type(value) for value in told] == [int, float]


def test_a_calibrations_variant_unlearns_by_its_own_choice():
    config, choices = with_calibration(plan_of().config)
    plan = Plan(config)
    variant = Wildcards(**vars(CELL) | {"method": "scrub__augment_false"})
    assert plan.unlearning(variant)["unlearn"]["augment"] is False
    assert plan.unlearning(CELL)["unlearn"]["augment"] is True
    files = plan.calibrated("metrics.json", ["scrub"], choices)
    assert len(files) == len(set(files))
    assert f"results/{BENCHMARK}/seed42/scrub__augment_false/metrics.json" in files
    assert "results/resnet20-digits__normalisation_none-class0/seed42/retrain/metrics.json" in files


def test_a_carved_data_set_is_an_input_that_a_rule_makes():
    config, _ = with_sweep(plan_of().config)
    carved = Wildcards(**vars(CELL) | {"dataset": "digits_validation"})
    assert Plan(config).dataset(carved) == ["results/datasets/digits_validation.npz"]


def test_a_mirror_goes_with_the_source_and_makes_nothing_again():
    datasets = {"digits": AS_SHIPPED["datasets"]["digits"] | {"mirror": ["https://example.org"]}}
    plans = [plan_of(), plan_of(datasets=AS_SHIPPED["datasets"] | datasets)]
    assert [plan.unwatched()(CELL, None)["source"] for plan in plans] == ["digits", ["digits", "https://example.org"]]
    assert plans[0].images(CELL) == plans[1].images(CELL)


def test_a_part_is_an_input_that_a_rule_makes_from_its_original(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    few = {"classes": 10, "part_of": "digits", "per_class": 9, "fit": "resize"}
    of_few = {"resnet20-few": {"protocol": "digits"}}
    suite = {"benchmarks": ["resnet20-few-class0"], "methods": ["scrub"], "seeds": [42]}
    plan = plan_of(
        data_dir="data",
        datasets=AS_SHIPPED["datasets"] | {"few": few},
        benchmarks=AS_SHIPPED["benchmarks"] | of_few,
        suites={"s": suite},
    )
    cell = Wildcards(**vars(CELL) | {"dataset": "few"})
    assert "few" in plan.parts()
    assert "digits" not in plan.parts()
    assert "few" not in plan.fetched()
    assert plan.dataset(cell) == ["results/datasets/few.npz"]
    assert plan.of_original(plan.dataset)(cell) == ["data/digits.npz"]
    assert plan.part(cell) == {"per_class": 9, "test_per_class": None}
    assert plan.unwatched_of_original()(cell, None)["dataset"] == "data/digits.npz"
    varied = {"few_validation": with_sweep(plan.config), "few__normalisation_half": with_calibration(plan.config)}
    made = {}
    for name, (config, _) in varied.items():
        made[name] = Plan(config).dataset(Wildcards(**vars(CELL) | {"dataset": name}))
    whole = "results/datasets/few.npz"  # with other settings
    assert made == {"few_validation": ["results/datasets/few_validation.npz"], "few__normalisation_half": [whole]}


def test_a_data_set_in_place_is_a_digest_and_one_that_is_not_is_an_input(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    plan = plan_of(data_dir="data")
    assert (plan.dataset(CELL), plan.data(CELL)) == (["data/digits.npz"], TO_BE_MADE)
    assert "digits" in plan.fetched()
    (tmp_path / "data").mkdir()
    (tmp_path / "data/digits.npz").write_bytes(b"content")
    assert (plan.dataset(CELL), plan.data(CELL)) == ([], digest_of_file(tmp_path / "data/digits.npz"))
    assert "digits" in plan.fetched()
    assert "digits" not in plan.fetched(is_deleting=True)  # perhaps it was put there by hand
    digest = plan.data(CELL)
    (tmp_path / "results/datasets").mkdir(parents=True)
    (tmp_path / "results/datasets/digits.digest").write_text(digest)
    (tmp_path / "data/digits.npz").unlink()
    assert (plan.dataset(CELL), plan.data(CELL)) == ([], digest)  # the digest is known, so nothing has changed


def test_what_is_lost_next_to_a_checkpoint_is_named_where_a_savepoint_brings_it_back(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    lost = plan_of().lost("{method}/unlearned.pt", "history.csv")
    assert lost(CELL) == []  # nothing is there, nothing is wrong
    folder = tmp_path / "scrub"
    folder.mkdir()
    (folder / "unlearned.pt").touch()
    assert lost(CELL) == []
    (folder / ".unlearn.0123.4567.savepoint").touch()
    assert lost(CELL) == ["history.csv is missing"]
    (folder / "history.csv").touch()
    assert lost(CELL) == []
    (folder / "cost.json").write_text(json.dumps({"device": "H100", "precision": "float32"}))
    assert lost(CELL) == ["computed in float32 on H100"]  # but tf32 is asked for
    assert plan_of(device="cpu").lost("{method}/unlearned.pt", "history.csv")(CELL) == []  # where it is float32
    (folder / "cost.json").write_text(json.dumps({"device": "H100", "precision": "float32", "carried": "unknown"}))
    assert lost(CELL) == []  # it was only carried if this is what tf32 is here
    (folder / "cost.json").write_text(json.dumps({"device": "cpu", "precision": "float32"}))
    assert lost(CELL) == []
