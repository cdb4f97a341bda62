"""Models that another program unlearned: other names, other formats, files that do not fit, files that are refused."""

import pytest
import torch
from project import configured
from safetensors.torch import save_file

from unlearning.config.variants import with_checkpoint
from unlearning.data.sources import import_torchvision_datasets
from unlearning.errors import UserError
from unlearning.models import build_model
from unlearning.training.foreign import MisfitError, fitted, our_name, read_weights


def cifar_resnet20_names():
    """Return the names, in torchvision's order, for a ResNet with three stages of three blocks, as used for CIFAR."""
    names = ["conv1.weight", *of_norm("bn1")]
    for stage in (1, 2, 3):
        for block in range(3):
            inside = f"layer{stage}.{block}"
            names += [f"{inside}.conv1.weight", *of_norm(f"{inside}.bn1"), f"{inside}.conv2.weight"]
            names += of_norm(f"{inside}.bn2")
            if stage > 1 and block == 0:
                names += [f"{inside}.downsample.0.weight", *of_norm(f"{inside}.downsample.1")]
    return [*names, "fc.weight", "fc.bias"]


def of_norm(name):
    return [f"{name}.{part}" for part in ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")]


def torchvision_names(model):
    import_torchvision_datasets()
    import torchvision

    return list(getattr(torchvision.models, model)(num_classes=10).state_dict())


def theirs(name):
    """Return our model ``name`` and its weights under torchvision's names, in its own order of layers."""
    model = build_model(name, 10, 3, 1.0)
    ours = model.state_dict()
    names = {
        "resnet20": cifar_resnet20_names,
        "mobilenetv2": lambda: torchvision_names("mobilenet_v2"),
        # With a single layer as the head, like our model; torchvision's model has three.
        "vgg16bn": lambda: (
            [n for n in torchvision_names("vgg16_bn") if n.startswith("features")]
            + ["classifier.weight", "classifier.bias"]
        ),
    }[name]()
    return model, dict(zip(names, ours.values(), strict=True))


@pytest.mark.parametrize("name", ["resnet20", "vgg16bn", "mobilenetv2"])
def test_torchvisions_names_are_brought_to_ours(name):
    """torchvision's layers have the same order as our layers, so that the names can be compared one by one."""
    model, state = theirs(name)
    assert [our_name(key, name) for key in state] == list(model.state_dict())
    brought = fitted(state, model, name)
    assert all(torch.equal(brought[key], tensor) for key, tensor in model.state_dict().items())


def test_our_own_names_stay_as_they_are():
    for name in ("resnet20", "vgg16bn", "mobilenetv2"):
        names = list(build_model(name, 10, 3, 0.25).state_dict())
        assert [our_name(key, name) for key in names] == names


def test_a_model_without_a_list_of_names_has_those_of_its_layers():
    assert our_name("blocks.0.weight", "another") == "blocks.0.weight"
    assert our_name("fc.weight", "another") == "head.weight"


@pytest.mark.parametrize("head", ["fc", "linear", "classifier", "classifier.1", "head"])
def test_the_last_layer_has_many_names(head):
    assert our_name(f"{head}.weight", "vgg16bn") == "head.weight"


STATE = build_model("resnet20", 10, 1, 0.25).state_dict()
WITHOUT_COUNTS = {name: tensor.contiguous() for name, tensor in STATE.items() if "num_batches" not in name}
CONTENTS = {
    "plain": STATE,
    "with other notes": {"state_dict": STATE, "epoch": 3, "best": 0.5},
    "under another key": {"model": STATE},
    "of DataParallel": {f"module.{name}": tensor for name, tensor in STATE.items()},
    "of torch.compile": {f"_orig_mod.{name}": tensor for name, tensor in STATE.items()},
    "of both": {"net": {f"module._orig_mod.{name}": tensor for name, tensor in STATE.items()}},
    "of both, the other way": {f"_orig_mod.module.{name}": tensor for name, tensor in STATE.items()},
    "in another precision": {name: t.double() if t.is_floating_point() else t for name, t in STATE.items()},
    "without counts": WITHOUT_COUNTS,
}


@pytest.mark.parametrize("case", CONTENTS)
def test_a_state_dict_is_found(tmp_path, case):
    torch.save(CONTENTS[case], tmp_path / "m.pt")
    model = build_model("resnet20", 10, 1, 0.25)
    model.load_state_dict(fitted(read_weights(tmp_path / "m.pt"), model, "resnet20"))
    assert all(torch.equal(tensor, STATE[name]) for name, tensor in model.state_dict().items())


def test_safetensors_are_read_as_well(tmp_path):
    save_file(WITHOUT_COUNTS, tmp_path / "m.safetensors")
    assert read_weights(tmp_path / "m.safetensors").keys() == WITHOUT_COUNTS.keys()


BAD = {
    "a pickled model": (lambda path: torch.save(build_model("resnet20", 10, 1, 0.25), path), "a whole pickled model"),
    "no tensors": (lambda path: torch.save({"epoch": 3}, path), "it holds no state dict"),
    "nothing": (lambda path: torch.save({}, path), "it holds no state dict"),
    "a list": (lambda path: torch.save(list(STATE.values()), path), "it holds no state dict"),
    "half a file": (lambda path: path.write_bytes(b"PK\x03\x04 no more"), "it is not a whole file of torch.save"),
    "an empty file": (lambda path: path.touch(), "it is empty"),
    "text": (lambda path: path.write_text("nothing of the kind"), "m.pt: "),
}


@pytest.mark.parametrize("case", BAD)
def test_what_cannot_be_read_is_named_with_what_to_save(tmp_path, case):
    write, message = BAD[case]
    write(tmp_path / "m.pt")
    with pytest.raises(UserError) as caught:
        read_weights(tmp_path / "m.pt")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_gone_is_named(tmp_path):
    with pytest.raises(UserError, match=r"gone\.pt: No such file or directory"):
        read_weights(tmp_path / "gone.pt")


def test_broken_safetensors_are_named(tmp_path):
    (tmp_path / "m.safetensors").write_bytes(b"\x08\x00\x00\x00\x00\x00\x00\x00{}      ")
    with pytest.raises(UserError, match=r"m\.safetensors: "):
        read_weights(tmp_path / "m.safetensors")


def without(name):
    return {key: tensor for key, tensor in STATE.items() if key != name}


MISFITS = {
    "two heads": (
        STATE | {"fc.weight": torch.ones(10, 16)},
        r"resnet20 has one head\.weight; here are head\.weight, fc\.weight",
    ),
    "a missing layer": (without("head.bias"), r"resnet20 expects head\.bias \(10\), which is missing; it has features"),
    "another shape": (
        STATE | {"head.weight": torch.zeros(100, 16)},
        r"resnet20 expects head\.weight \(10, 16\); it is \(100, 16\)",
    ),
    "colour": (
        build_model("resnet20", 10, 3, 0.25).state_dict(),
        r"expects features\.0\.weight \(4, 1, 3, 3\); it is \(4, 3, 3, 3\)",
    ),
    "another model": (theirs("mobilenetv2")[1], r"resnet20 expects features\.\d+.*, which is missing"),
    "a layer more": (STATE | {"extra.weight": torch.zeros(1)}, r"resnet20 has no extra\.weight"),
}


@pytest.mark.parametrize("case", MISFITS)
def test_what_does_not_fit_is_said_with_what_is_expected(case):
    state, message = MISFITS[case]
    with pytest.raises(MisfitError, match=message):
        fitted(state, build_model("resnet20", 10, 1, 0.25), "resnet20")


def rows_for(path, seeds=(42, 43)):
    suite = {"benchmarks": ["resnet20-digits-class0"], "methods": ["scrub"], "seeds": list(seeds)}
    before = configured(checkpoint=str(path), suite="s", suites={"s": suite})
    rows = {name: its for name, its in with_checkpoint(before).methods.items() if name not in before.methods}
    assert all(its.kind == "external" for its in rows.values())
    return {name: {seed: file.rsplit("/", 1)[1] for seed, file in its.weights.items()} for name, its in rows.items()}


def test_a_row_is_called_as_its_file_is_and_belongs_to_the_seed_in_its_name(tmp_path):
    for name in ("My-Method.v2.pt", "other_seed42.pth", "other_seed43.pth", "7.safetensors", "notes.txt"):
        (tmp_path / name).touch()
    assert rows_for(tmp_path) == {
        "model_7": {42: "7.safetensors"},  # a name begins with a letter
        "my_method_v2": {42: "My-Method.v2.pt"},  # without a seed: the suite's first
        "other": {42: "other_seed42.pth", 43: "other_seed43.pth"},
    }
    assert rows_for(tmp_path / "My-Method.v2.pt") == {"my_method_v2": {42: "My-Method.v2.pt"}}


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ([], "there is no such file"),
        (["scrub.pt"], r"scrub\.pt: another row is called scrub already; rename the file"),
        (["retrain.pt"], r"another row is called retrain already"),
        (["a.pt", "A.pth"], r"another row is called a already"),
        (["a_seed7.pt"], r"a_seed7\.pt is of seed 7; the suite has 42, 43"),
        (["seed43.pt"], r"seed43\.pt: a seed stands at the end of a name, as in mine_seed43\.pt"),
        (["a_seed43_last.pt"], r"a_seed43_last\.pt: a seed stands at the end of a name"),
        (["a_seed_43.pt"], r"a_seed_43\.pt: a seed stands at the end of a name"),
    ],
)
def test_rows_that_cannot_be_are_explained(tmp_path, names, message):
    for name in names:
        (tmp_path / name).touch()
    with pytest.raises(UserError, match=f"checkpoint={tmp_path}: .*{message}"):
        rows_for(tmp_path)


def test_a_folder_that_is_called_like_a_file_is_named(tmp_path):
    (tmp_path / "ours.pt").mkdir()
    with pytest.raises(UserError, match=r"ours\.pt: no file that can be read"):
        rows_for(tmp_path)
