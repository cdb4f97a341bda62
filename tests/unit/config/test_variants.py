"""Configurations made from another one: for a sweep, for a calibration."""

from dataclasses import replace

import pytest
import yaml
from project import ROOT, configured

from unlearning.config.model import MethodSettings
from unlearning.config.variants import grid_of, with_calibration, with_sweep
from unlearning.errors import UserError


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


CONFIG = yaml.safe_load((ROOT / "config.yaml").read_text())
CHOICES = [
    "epoch_of: forget",
    "batch_norm: eval",
    "augment: false",
    "normalisation: half",
    "normalisation: none",
]


def configuration(normalisation="channels", methods=("mask", "base"), settings=None, **unlearn):
    protocol = CONFIG["protocols"]["digits"]
    return configured(
        suite="s",
        suites={"s": {"benchmarks": ["resnet20-d-class0"], "methods": list(methods), "seeds": [1]}},
        datasets={"d": {"classes": 3, "source": "digits", "fit": "resize", "normalisation": normalisation}},
        benchmarks={"resnet20-d": {"protocol": "p"}},
        protocols={"p": protocol | {"unlearn": protocol["unlearn"] | unlearn}},
        methods={
            "mask": {"kind": "control"},
            "base": {"kind": "baseline", "hyperparameters": {"a": 1}},
            "unused": {"kind": "baseline"},
        },
        **(settings or {}),
    )


def test_every_open_choice_is_changed_once():
    before = configuration()
    config, choices = with_calibration(before)
    assert list(choices.values()) == CHOICES
    assert set(config.methods) == {
        *("mask", "base", "unused"),
        *("base__epoch_of_forget", "base__batch_norm_eval", "base__augment_false"),
    }
    variant = config.methods["base__augment_false"]
    assert variant.unlearn == {"augment": False}
    assert variant.hyperparameters == {"a": 1}
    assert variant.file.endswith("scripts/methods/base.py")
    assert config.datasets["d__normalisation_half"] == replace(config.datasets["d"], normalisation="half", same_as="d")
    assert config.dataset_file("d__normalisation_half") == config.dataset_file("d")
    assert config.benchmarks["resnet20-d__normalisation_none"] == before.benchmarks["resnet20-d"]
    assert set(before.methods) == {"mask", "base", "unused"}  # a configuration of its own


def test_a_choice_that_was_made_differently_gets_the_other_alternative():
    _, choices = with_calibration(configuration("none", augment=False))
    assert list(choices.values()) == [*CHOICES[:2], "augment: true", "normalisation: channels", "normalisation: half"]


def test_a_calibration_can_be_of_some_choices_only():
    config, choices = with_calibration(configuration(settings={"choices": "augment, epoch_of"}))
    assert list(choices.values()) == ["epoch_of: forget", "augment: false"]
    assert set(config.benchmarks) == {"resnet20-d"}
    with pytest.raises(UserError, match=r"choices: unknown name 'augmnt'; did you mean augment\?.*normalisation"):
        with_calibration(configuration(settings={"choices": "augmnt"}))


def test_a_suite_without_baseline_cannot_be_calibrated():
    with pytest.raises(UserError, match=r"suites\.s\.methods: .*kind baseline"):
        with_calibration(configuration(methods=["mask"]))
