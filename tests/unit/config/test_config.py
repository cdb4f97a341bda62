"""Mistakes in the configuration: each ends the run before any job, in one line that says what to write instead."""

import copy
import re
from dataclasses import FrozenInstanceError, fields

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from project import ROOT, configured
from snakemake.utils import validate

from unlearning.config.checks import check_method, check_names, check_request, targets_of
from unlearning.config.model import (
    Benchmark,
    BenchmarkSettings,
    Config,
    DatasetSettings,
    MethodSettings,
    Protocol,
    Suite,
    is_as_published,
)
from unlearning.config.reading import checked, hint_of_old_words, read_config, read_switches, with_originals
from unlearning.config.variants import with_calibration, with_sweep
from unlearning.errors import UserError

CONFIG = yaml.safe_load((ROOT / "config.yaml").read_text())
SCHEMA = yaml.safe_load((ROOT / "workflow/schemas/config.schema.yaml").read_text())


def check(config, targets=()):
    config = checked(with_originals(config), SCHEMA)
    check_names(config)
    check_request(config, targets)
    return config


def changed(path, value):
    """Return the configuration with the key at ``path`` set, or removed if ``value`` is ``...``."""
    config = copy.deepcopy(CONFIG)
    *parents, last = path
    place = config
    for key in parents:
        place = place[key]
    if value is ...:
        del place[last]
    else:
        place[last] = value
    return config


@pytest.mark.parametrize("text", ["true", "True", "false"])
def test_a_switch_on_the_command_line_is_read_as_such(text):
    config = copy.deepcopy(CONFIG) | {"relearning": text}  # in the form that Snakemake hands on
    read_switches(config)
    assert config["relearning"] is (text.lower() == "true")
    check(config)


def test_what_is_asked_for_on_top_takes_precedence_over_the_suite():
    suites = {"digits": CONFIG["suites"]["digits"] | {"relearning": True, "shadow_models": 4}}
    config = configured(suites=suites)
    assert (config.is_relearning, config.shadows) == (True, 4)
    config = configured(suites=suites, relearning=False, shadow_models=8)
    assert (config.is_relearning, config.shadows) == (False, 8)


@pytest.mark.parametrize("of_suite", [True, False])
@pytest.mark.parametrize("on_top", [True, False, None])
def test_relearning_on_retained_images_includes_relearning(of_suite, on_top):
    suites = {"digits": CONFIG["suites"]["digits"] | {"relearning": False, "retain_relearning": of_suite}}
    config = configured(suites=suites, **({} if on_top is None else {"retain_relearning": on_top}))
    is_asked_for = of_suite if on_top is None else on_top
    assert (config.is_retain_relearning, config.is_relearning) == (is_asked_for, is_asked_for)
    assert configured(suites=suites, relearning=True, retain_relearning=False).is_retain_relearning is False


def test_a_shadow_model_beyond_the_last_is_explained():
    config = changed(("shadow_models",), 4)
    check(config, ["results/resnet20-digits-class0/shadow3/scrub/logits.npz"])
    with pytest.raises(UserError, match="shadow4: there are 4 shadow models; write --config shadow_models=N"):
        check(config, ["results/resnet20-digits-class0/shadow4/scrub/logits.npz"])


def test_the_paper_suite_and_its_part_cifar10_are_as_published_and_nothing_else_is():
    paper = CONFIG["protocols"]["paper"]
    full = {"width": 1.0, "image_size": 32}
    assert is_as_published(full, paper)
    assert not is_as_published(full | {"width": 0.5}, paper)
    assert not is_as_published(full | {"image_size": 16}, paper)
    for part, key, value in (("pretrain", "epochs", 2), ("unlearn", "learning_rate", 0.01)):
        assert not is_as_published(full, paper | {part: paper[part] | {key: value}})
    for name, suite in CONFIG["suites"].items():
        settings = [CONFIG["benchmarks"][each.rsplit("-", 1)[0]] for each in suite["benchmarks"]]
        published = [is_as_published(full | its, CONFIG["protocols"][its["protocol"]]) for its in settings]
        assert published == [name in ("paper", "cifar10")] * len(published), name


@pytest.mark.parametrize("count", [0, 4, 16])
def test_numbers_of_shadow_models_that_can_be_halved_pass(count):
    config = changed(("shadow_models",), count)
    assert check(config).shadows == count


def test_the_configuration_as_it_is_passes():
    check(copy.deepcopy(CONFIG))


PAPER = ("protocols", "paper")
MISTAKES = [
    # path, value, names that the message must have
    (
        ("sute",),
        1,
        [
            "top level",
            "unknown key 'sute'",
            "did you mean suite?",
            "allowed: benchmarks, calibrate, checkpoint, checkpoints, choices, curves, data_dir",
        ],
    ),
    (
        (*PAPER, "unlearn", "lerning_rate"),
        1,
        ["protocols.paper.unlearn", "'lerning_rate'", "did you mean learning_rate"],
    ),
    ((*PAPER, "pretrain", "epochs"), ..., ["protocols.paper.pretrain", "'epochs' is missing"]),
    ((*PAPER, "pretrain", "epochs"), 0, ["protocols.paper.pretrain.epochs", "0 is less than the minimum of 1"]),
    ((*PAPER, "pretrain", "epochs"), 2.5, ["pretrain.epochs", "2.5 is not an integer"]),
    ((*PAPER, "pretrain", "learning_rate"), "1e-3", ["pretrain.learning_rate", "'1e-3'", "read as text; write 0.001"]),
    ((*PAPER, "pretrain", "learning_rate"), float("nan"), ["pretrain.learning_rate", "nan is not a finite number"]),
    ((*PAPER, "pretrain", "learning_rate"), True, ["pretrain.learning_rate", "True is not a finite number"]),
    ((*PAPER, "flip"), "yes", ["protocols.paper.flip", "'yes' is not true or false"]),
    ((*PAPER, "batch_size"), 10**9, ["batch_size", "greater than the maximum"]),
    (("suite",), "papper", ["suite", "unknown name 'papper'", "did you mean paper?", "known: digits, fashion, paper"]),
    (("suites", "digits", "seeds"), ["42"], ["suites.digits.seeds[0]", "'42' is not an integer", "write 42 "]),
    (("suites", "digits", "seeds"), [42.0], ["suites.digits.seeds[0]", "42.0 is not an integer"]),
    (("suites", "digits", "seeds"), [1, 1], ["suites.digits.seeds", "non-unique"]),
    (("suites", "digits", "seeds"), [], ["suites.digits.seeds"]),
    (("suites", "digits", "methods"), ["scrubb"], ["suites.digits.methods", "'scrubb'", "did you mean scrub?"]),
    (("suites", "digits", "benchmarks"), ["resnet20-digits-class10"], ["digits has the classes 0 to 9"]),
    (("suites", "digits", "benchmarks"), ["resnet20-digits"], ["no benchmark", "MODEL-DATASET-classK"]),
    (
        ("suites", "digits", "benchmarks"),
        ["resnet18-digits-class0"],
        ["unknown name 'resnet18-digits'", "resnet20-digits"],
    ),
    (("suites", "digits", "benchmarks"), ["resnet20-mnist-class0"], ["unknown name 'resnet20-mnist'"]),
    (
        ("benchmarks", "resnet18-digits"),
        {"protocol": "digits"},
        ["'resnet18-digits'", "resnet20, vgg16bn, mobilenetv2"],
    ),
    (("benchmarks", "resnet20-mnist"), {"protocol": "digits"}, ["benchmarks.resnet20-mnist", "'mnist'", "cifar10"]),
    (
        ("benchmarks", "resnet20-digits", "protocol"),
        "papr",
        ["benchmarks.resnet20-digits.protocol", "did you mean paper?"],
    ),
    (("benchmarks", "resnet20-digits", "width"), 0, ["benchmarks.resnet20-digits.width"]),
    (("benchmarks", "vgg16bn-digits", "image_size"), 16, ["benchmarks.vgg16bn-digits.image_size", "write 32 or more"]),
    (("datasets", "digits", "source"), "MNIST", ["datasets.digits.source", "'MNIST' must be one of: digits, CIFAR10"]),
    (("datasets", "digits", "classes"), 1, ["datasets.digits.classes", "less than the minimum of 2"]),
    (("datasets", "My-Data"), {"classes": 2}, ["'My-Data'", "lower-case letters"]),
    (("datasets", "few"), {"part_of": "digit", "per_class": 9}, ["datasets.few.part_of", "did you mean digits?"]),
    (("datasets", "few"), {"part_of": "few", "per_class": 9}, ["datasets.few.part_of", "unknown name 'few'"]),
    (("datasets", "few"), {"classes": 9, "part_of": 3, "per_class": 9}, ["datasets.few.part_of", "3 is not text"]),
    (("datasets", "few"), {"part_of": "digits"}, ["datasets.few", "write per_class: 400"]),
    (("datasets", "few"), {"part_of": "digits", "per_class": 1}, ["few.per_class", "minimum of 2"]),
    (
        ("datasets", "few"),
        {"part_of": "digits", "per_class": 9, "source": "digits"},
        ["datasets.few: it has a source and is a part of digits; write one of the two"],
    ),
    (
        ("datasets", "few"),
        {"part_of": "digits", "per_class": 9, "classes": 9},
        ["datasets.few.classes: digits has 10 classes"],
    ),
    (("datasets", "digits", "per_class"), 9, ["datasets.digits.per_class", "write part_of: NAME as well"]),
    (("datasets", "digits", "test_per_class"), 9, ["datasets.digits.test_per_class", "write part_of: NAME as well"]),
    (("device",), "gpu", ["device", "auto (CUDA where there is one), cpu"]),
    (("datasets", "digits", "normalisation"), "mean", ["datasets.digits.normalisation", "channels, half, none"]),
    (("methods", "retrain"), {}, ["methods.retrain", "reference row"]),
    (("methods", "scrub", "temperature"), 1, ["methods.scrub", "unknown key 'temperature'", "hyperparameters"]),
    (
        ("methods", "scrub", "hyperparameters", "temprature"),
        1,
        ["methods.scrub.hyperparameters", "'temprature'", "temperature"],
    ),
    (("methods", "scrub", "hyperparameters", "temperature"), ..., ["needs a value for 'temperature'"]),
    (("methods", "scrub", "file"), "nowhere.py", ["methods.scrub", "there is no file nowhere.py"]),
    (("datasets", "digits", "source"), ..., ["data/digits.npz is not there", "by hand"]),
    (("relearning",), "perhaps", ["relearning", "'perhaps' is not true or false"]),
    (("shadow_models",), 2, ["shadow_models", "0 for none, or an even number from 4"]),
    (("shadow_models",), 5, ["shadow_models", "an even number from 4"]),
    (("shadow_models",), -2, ["shadow_models", "minimum of 0"]),
    (("suites", "digits", "shadow_models"), "8", ["suites.digits.shadow_models", "write 8 in a YAML file"]),
    (("methods", "scrub", "kind"), "base", ["methods.scrub.kind", "must be one of: method, baseline, control"]),
    ((*PAPER, "relearn"), ..., ["protocols.paper", "'relearn' is missing"]),
    ((*PAPER, "relearn", "epochs"), 1, ["protocols.paper.relearn.epochs", "minimum of 2"]),
]


@pytest.mark.parametrize(("path", "value", "named"), MISTAKES, ids=lambda value: str(value)[:40])
def test_a_mistake_is_explained_in_one_line(path, value, named, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # a folder without data
    with pytest.raises(UserError) as caught:
        check(changed(path, value))
    message = str(caught.value)
    assert "\n" not in message
    for words in named:
        assert words in message


@pytest.mark.parametrize(
    ("target", "named"),
    [
        ("results/resnet20-digits-class12/seed1/scrub/metrics.json", "digits has the classes 0 to 9"),
        ("results/resnet20-digits-class1/seed1/scrob/metrics.json", "unknown name 'scrob'; did you mean scrub?"),
        ("results/resnet21-digits-class1/seed1/scrub/metrics.json", "unknown name 'resnet21-digits'"),
        ("results/resnet20-digits-class1/seed1/scrub__1/metrics.json", "scrub__1 is of a sweep or a calibration: add"),
        ("results/resnet20-digitz/seed1/pretrained.pt", "unknown name 'resnet20-digitz'"),
        ("results/resnet20-digits-class0/seed1/scrub/ulira.json", "U-LiRA needs shadow models; add e.g. --config"),
        ("results/resnet20-digits-class0/shadow3/scrub/logits.npz", "there are 0 shadow models"),
    ],
)
def test_a_path_that_cannot_be_made_is_explained(target, named):
    with pytest.raises(UserError, match=named.replace("?", r"\?")):
        check(copy.deepcopy(CONFIG), [target])


@pytest.mark.parametrize(
    ("with_variants", "target"),
    [
        (with_sweep, "results/resnet20-digits_validation-class0/seed42/mask_and_average__1/metrics.json"),
        (with_calibration, "results/resnet20-digits-class0/seed42/scrub__epoch_of_forget/metrics.json"),
        (with_calibration, "results/resnet20-digits__normalisation_half-class0/seed42/scrub/metrics.json"),
    ],
)
def test_cells_of_a_sweep_and_of_a_calibration_can_be_asked_for_before_there_is_any_file(
    with_variants, target, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    before = read_config([ROOT / "config.yaml"], {"sweep": "true", "calibrate": "true"})
    check_request(with_variants(before)[0], [target])


@pytest.mark.parametrize(
    "target",
    [
        "results/table.md",
        "all",
        "results/resnet20-digits-class9/seed7/retrain/metrics.json",
        "results/vgg16bn-digits/seed1/pretrained.pt",
        "results/resnet20-digits-class0/seed1/scrub/relearning.json",
        "results/report/audit.html",
    ],
)
def test_paths_that_can_be_made_pass(target):
    check(copy.deepcopy(CONFIG), [target])


CELL = "results/resnet20-digits-class0/seed42/scrub/metrics.json"


@pytest.mark.parametrize(
    "words",
    [
        ["results/table.md", "--report", "results/send/report.zip", "--cores", "2", "all"],
        ["--report", "results/send/report.zip", "results/table.md"],
        ["results/table.md", "--forcerun", CELL, "results/resnet20-digits/seed42/pretrained.pt", "-n"],
        ["-R", CELL, "--until", CELL, "--cores", "2", "results/table.md"],
    ],
)
def test_a_file_that_belongs_to_an_option_is_no_target(words):
    assert targets_of(words) == ["results/table.md"]


def test_beside_a_cell_the_table_is_checked_as_well():
    with_ghost = changed(("methods", "ghost"), {})
    with_ghost["suites"]["digits"]["methods"] = ["ghost"]
    check(copy.deepcopy(with_ghost), [CELL])
    for targets in ([], ["results/table.md"], ["results/table.md", CELL]):
        with pytest.raises(UserError, match="ghost"):
            check(copy.deepcopy(with_ghost), targets)


def test_choices_are_for_a_calibration():
    config = read_config([ROOT / "config.yaml"], {"choices": "augment"})
    with pytest.raises(UserError, match="make calibration CHOICES="):
        check_request(config, [])


def leaves(node, path=()):
    if isinstance(node, dict):
        for key, value in node.items():
            yield from leaves(value, (*path, key))
    else:
        yield path


@given(st.sampled_from(sorted(leaves(CONFIG))), st.sampled_from([None, {}, [], "", -1, float("inf"), [None], {"x": 1}]))
def test_any_value_in_any_place_gives_one_line_or_passes(path, value):
    message = ""
    try:
        check(changed(path, value))
    except UserError as error:
        message = str(error)
    assert "\n" not in message


def test_every_level_of_the_schema_is_closed_and_described():
    def objects(schema):
        if isinstance(schema, dict):
            if schema.get("type") == "object":
                yield schema
            for value in schema.values():
                yield from objects(value)

    for schema in objects(SCHEMA):
        is_free = schema.get("description", "").startswith("keyword arguments")  # hyperparameters: the method's own
        assert is_free or schema["additionalProperties"] is False or "$ref" in schema["additionalProperties"]
    for name in ("suite", "benchmark", "dataset", "protocol", "method"):
        assert SCHEMA["$defs"][name]["description"]


@given(
    st.from_regex(r"[a-z][a-z0-9_]{0,8}", fullmatch=True),
    st.from_regex(r"[a-z][a-z0-9_]{0,8}", fullmatch=True),
    st.integers(0, 10**6),
)
def test_a_benchmarks_name_says_what_it_is(model, dataset, forget_class):
    assert Benchmark.parse(f"{model}-{dataset}-class{forget_class}") == Benchmark(model, dataset, forget_class)


@pytest.mark.parametrize(
    ("constructor", "hyperparameters", "message"),
    [
        ("def __init__(self, a, *, b=1): pass", {"a": 1}, None),
        ("def __init__(self, a, *, b=1): pass", {"b": 1}, "needs a value for 'a'"),
        ("def __init__(self, a, *, retain_images): pass", {}, "needs a value for 'a'"),
        ("def __init__(self, a, *, retain_images): pass", {"a": 1}, None),  # the loop gives it
        ("def __init__(self, a, *, b=1): pass", {"a": 1, "c": 1}, "takes no 'c'; it takes: a, b"),
        ("def __init__(self, **options): pass", {"anything": 1}, None),
        ("x = 1", {}, None),
        ("x = 1", {"a": 1}, "takes no 'a'; it takes: none"),
        ("def broken(", {}, "not valid Python"),
    ],
)
def test_hyperparameters_are_checked_against_the_methods_constructor(tmp_path, constructor, hyperparameters, message):
    file = tmp_path / "mine.py"
    file.write_text(f"class UnlearningMethod:\n    {constructor}\n")
    settings = MethodSettings("method", "own", {}, hyperparameters, file=str(file))
    if message is None:
        check_method("mine", settings)
    else:
        with pytest.raises(UserError, match=message):
            check_method("mine", settings)


# --- settings laid over config.yaml


def read(*layers, given=None, tmp_path=None):
    """Return the configuration of config.yaml with further files and command-line settings laid over it."""
    files = [ROOT / "config.yaml"]
    for number, layer in enumerate(layers):
        files.append(tmp_path / f"layer{number}.yaml")
        files[-1].write_text(layer if isinstance(layer, str) else yaml.safe_dump(layer))
    return read_config(files, given or {})


def test_defaults_are_filled_in_and_the_files_values_stand():
    config = read()
    assert config.data_dir == "data"
    assert vars(config.benchmarks["resnet20-cifar10"]) == {"protocol": "paper", "width": 1.0, "image_size": 32}
    assert config.protocols["short"].unlearn == {
        "epochs": 1,
        "learning_rate": 0.001,
        "epoch_of": "retain",
        "batch_norm": "train",
        "augment": True,
        "evaluate_every": 0,
        "least_steps": 100,
    }
    assert config.methods["scrub"].kind == "baseline"
    assert config.methods["retain_finetune"].hyperparameters == {}
    # Each method has its own mapping.
    assert config.methods["retain_finetune"].grid is not config.methods["head_mask"].grid
    assert config.methods["retain_finetune"].hyperparameters is not config.methods["retain_finetune"].grid


def test_the_filled_in_configuration_is_that_of_snakemakes_own_validation():
    """Snakemake's validation is an independent implementation."""
    validated = copy.deepcopy(CONFIG)
    validate(validated, ROOT / "workflow/schemas/config.schema.yaml")
    assert read().as_plain() == validated


def test_a_file_is_laid_over_those_before_it_level_by_level(tmp_path):
    first = {"suites": {"digits": {"seeds": [1]}}, "data_dir": "one"}
    second = {"suites": {"digits": {"methods": ["scrub"]}}, "protocols": {"digits": {"flip": True}}}
    config = read(first, second, given={"data_dir": "two", "device": "cpu"}, tmp_path=tmp_path)
    digits = config.suites["digits"]
    assert (digits.seeds, digits.methods, len(digits.benchmarks)) == ((1,), ("scrub",), 3)
    assert config.protocols["digits"].flip is True
    assert config.protocols["digits"].batch_size == 32
    assert (config.data_dir, config.device) == ("two", "cpu")


def test_curves_ask_for_a_measurement_after_every_epoch_of_every_protocol():
    assert {its.pretrain["evaluate_every"] for its in read().protocols.values()} >= {4, 8}
    config = read(given={"curves": "true"})
    for protocol in config.protocols.values():
        assert protocol.pretrain["evaluate_every"] == protocol.unlearn["evaluate_every"] == 1
    assert config.protocols["paper"].pretrain | {"evaluate_every": 4} == read().protocols["paper"].pretrain


def test_the_checkpoints_of_the_chosen_suite_are_taken_unless_the_top_level_names_others(tmp_path, monkeypatch):
    assert read().checkpoints is None
    assert read(given={"suite": "cifar10"}).checkpoints == "results/checkpoints"
    assert read(given={"suite": "cifar10", "checkpoints": "mine"}).checkpoints == "mine"
    monkeypatch.chdir(tmp_path)  # they come with the project, wherever it runs
    assert read(given={"suite": "cifar10"}).checkpoints == str(ROOT / "results/checkpoints")


def test_a_key_twice_in_a_further_file_is_noticed(tmp_path):
    with pytest.raises(UserError, match=r"layer0\.yaml, line 2: the key 'suite' stands twice"):
        read("suite: digits\nsuite: paper\n", tmp_path=tmp_path)


# --- a part of a suite


@pytest.mark.parametrize("names", ["scrub delete", "scrub,delete", " scrub,  delete ", ["scrub", "delete"]])
def test_a_part_of_a_suite_is_asked_for_by_names(names):
    part = {"suite": "paper", "benchmarks": "resnet20-cifar10-class0", "methods": names, "seeds": 42}
    suite = read(given=part).chosen
    assert (suite.benchmarks, suite.methods) == (("resnet20-cifar10-class0",), ("scrub", "delete"))
    assert suite.seeds == (42,)
    assert suite.relearning is True  # all other keys stay
    assert read(given=part).suites["digits"].seeds == (42, 43, 44)  # so do other suites


@pytest.mark.parametrize(("seeds", "expected"), [(7, (7,)), ("42 43", (42, 43)), (["1", "2"], (1, 2)), ("1,2", (1, 2))])
def test_seeds_are_numbers(seeds, expected):
    assert read(given={"seeds": seeds}).chosen.seeds == expected


def test_benchmarks_and_methods_may_still_be_settings(tmp_path):
    settings = {"methods": {"scrub": {"hyperparameters": {"temperature": 2.0}}}}
    config = read(settings, given={"methods": "scrub"}, tmp_path=tmp_path)
    assert config.methods["scrub"].hyperparameters["temperature"] == 2.0
    assert config.chosen.methods == ("scrub",)
    assert read(given=settings).methods["scrub"].hyperparameters["temperature"] == 2.0


@pytest.mark.parametrize(
    ("part", "message"),
    [
        ({"methods": "scrub delet"}, "suites.digits.methods: unknown name 'delet'; did you mean delete"),
        ({"benchmarks": "resnet20-digit-class0"}, "suites.digits.benchmarks: unknown name 'resnet20-digit'; did you"),
        ({"benchmarks": "resnet20-digits-class10"}, "resnet20-digits-class10: digits has the classes 0 to 9"),
        ({"benchmarks": "resnet20"}, "'resnet20' is no benchmark; write MODEL-DATASET-classK"),
        ({"seeds": "x"}, "suites.digits.seeds[0]: 'x' is not an integer"),
        ({"seeds": -1}, "suites.digits.seeds[0]: '-1' is not an integer"),
        ({"methods": "scrub scrub"}, "has non-unique elements"),
        ({"suite": "papr", "methods": "scrub"}, "suite: unknown name 'papr'; did you mean paper?"),
    ],
)
def test_a_part_that_is_not_there_is_explained(part, message):
    with pytest.raises(UserError, match=re.escape(message)):
        read(given=part)


# --- data sets


def test_a_mirror_is_an_address_or_a_list_of_them(tmp_path):
    for mirror in ("https://example.org/x", ["https://example.org/x"]):
        config = read_laid_over(tmp_path, {"datasets": {"cifar10": {"mirror": mirror}}})
        assert config.datasets["cifar10"].mirror == ["https://example.org/x"]
    with pytest.raises(UserError, match=r"datasets\.cifar10\.mirror\[0\]: 'file:///x' does not match"):
        read_laid_over(tmp_path, {"datasets": {"cifar10": {"mirror": "file:///x"}}})


PART = {"part_of": "digits", "per_class": 9}
ON_PART = {
    "datasets": {"few": PART},
    "benchmarks": {"resnet20-few": {"protocol": "digits"}},
    "suites": {"digits": {"benchmarks": ["resnet20-few-class0"]}},
}


def read_laid_over(tmp_path, settings):
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(settings))
    return read_config([ROOT / "config.yaml", tmp_path / "mine.yaml"], {"data_dir": str(tmp_path / "data")})


def test_a_part_has_the_settings_of_its_original_that_it_does_not_say(tmp_path):
    config = read_laid_over(tmp_path, ON_PART | {"datasets": {"few": PART | {"normalisation": "half"}}})
    few, digits = config.datasets["few"], config.datasets["digits"]
    assert (few.classes, few.fit, few.normalisation) == (10, digits.fit, "half") == (10, "resize", "half")
    assert few.source is None
    assert str(config.dataset_file("few")) == "results/datasets/few.npz"
    assert Config.of(config.as_plain()) == config


def test_a_part_of_a_part_is_refused_and_the_original_named(tmp_path):
    chain = ON_PART | {"datasets": {"few": PART, "fewer": {"part_of": "few", "per_class": 2}}}
    message = r"datasets\.fewer\.part_of: few is a part of digits itself; write part_of: digits"
    with pytest.raises(UserError, match=message):
        read_laid_over(tmp_path, chain)


def test_a_file_where_a_part_is_asked_for_is_neither_used_nor_overwritten_without_a_word(tmp_path):
    """It may be a subset that the user made, or other images."""
    config = read_laid_over(tmp_path, ON_PART)
    check_request(config, [])
    (tmp_path / "data").mkdir()
    (tmp_path / "data/few.npz").write_bytes(b"mine")
    message = r"few\.npz is there, but datasets\.few is a part of digits.*move the file away"
    with pytest.raises(UserError, match=message):
        check_request(config, [])


def test_a_part_needs_its_original_to_be_there_or_to_have_a_source(tmp_path):
    no_source = {"mine": {"classes": 3}, "few": {"part_of": "mine", "per_class": 5}}
    config = read_laid_over(tmp_path, ON_PART | {"datasets": no_source})
    with pytest.raises(UserError, match=r"data/mine\.npz is not there and datasets\.mine has no source"):
        check_request(config, [])


# --- the typed configuration


def test_the_schemas_keys_are_the_fields_of_the_configuration():
    of_entries = {"suite": Suite, "benchmark": BenchmarkSettings, "dataset": DatasetSettings, "protocol": Protocol}
    entries = {**of_entries, "method": MethodSettings}
    of_methods = {"unlearn", "variant_of", "weights"}
    set_by_variants = {DatasetSettings: {"carved_from", "same_as"}, MethodSettings: of_methods}
    assert set(SCHEMA["properties"]) == {field.name for field in fields(Config)}
    for name, entry in entries.items():
        own = {field.name for field in fields(entry)} - set_by_variants.get(entry, set())
        assert set(SCHEMA["$defs"][name]["properties"]) == own, name


def test_a_configuration_cannot_be_changed_in_place():
    with pytest.raises(FrozenInstanceError):
        read().suite = "paper"
    with pytest.raises(FrozenInstanceError):
        read().chosen.seeds = (1,)


def test_the_plain_form_makes_the_same_configuration_again():
    assert Config.of(read().as_plain()) == read()


# --- old words


def test_the_old_words_work_for_one_release_and_a_hint_says_what_to_write(tmp_path):
    own = tmp_path / "mine.py"
    own.write_text("class UnlearningMethod:\n    pass\n")
    assert read(given={"rule": str(own)}) == read(given={"method": str(own)})
    assert read(given={"rule": str(own)}).chosen.methods[-1] == "mine"
    kinds = [read({"methods": {"delete": {"kind": word}}}, tmp_path=tmp_path) for word in ("rule", "method")]
    assert kinds[0].methods["delete"].kind == kinds[1].methods["delete"].kind == "method"
    assert "rule= is called method= now (make: METHOD=)" in hint_of_old_words({"rule": "x.py"})
    assert hint_of_old_words({"method": "x.py"}) is None
    with pytest.raises(UserError, match="rule is the old name of method; write method alone"):
        read(given={"rule": str(own), "method": str(own)})
