"""Carried checkpoints: the record there compared with the record here."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from project import merged

from unlearning.errors import UserError
from unlearning.models import build_model
from unlearning.training.checkpoints import digest_of_weights, save_checkpoint
from unlearning.workflow.carrying import carried_checkpoint, carried_logits

CELLS = "results/resnet20-digits-class0/seed1"


CPU = torch.device("cpu")
WEIGHTS = build_model("resnet20", 10, 1, 0.25).state_dict()
RECORD = {
    "model": "resnet20",
    "dataset": "digits",
    "forget_class": "0",
    "seed": "1",
    "method": "scrub",
    "width": 0.25,
    "classes": 10,
    "channels": 1,
    "data": "0123456789abcdef",
    "images": {"classes": 10, "fit": "resize", "image_size": 8, "normalisation": "channels"},
    "normalisation": {"mean": [78.0], "std": [95.5]},
    "protocol": {"batch_size": 64, "precision": "tf32", "pretrain": {"epochs": 2, "learning_rate": 0.05}},
    "hyperparameters": {"temperature": 4.0},
    "unlearning_protocol": {"batch_size": 64, "precision": "tf32", "unlearn": {"epochs": 1, "batch_norm": "train"}},
    "method_code": ["89abcdef01234567"],
    "original": "76543210fedcba98",
}
OUTPUT = f"{CELLS}/scrub/unlearned.pt"


@pytest.fixture
def elsewhere(tmp_path):
    """Return a function that writes scrub's checkpoint into another copy's results, and returns that copy."""

    def write(record, **content):
        path = tmp_path / OUTPUT
        save_checkpoint(path, WEIGHTS, record | {"computed_in": "float32", "versions": {"torch": "2.11.0"}})
        if content:
            torch.save(torch.load(path, weights_only=True) | content, path)
        return str(tmp_path)

    return write


def carry(folder, wanted):
    return carried_checkpoint(folder, Path(OUTPUT), wanted, CPU)


def test_a_checkpoint_with_an_equal_record_is_taken(elsewhere, capsys):
    for folder in (elsewhere(RECORD), f"{elsewhere(RECORD)}/results"):  # the project, or only its results
        carried = carry(folder, RECORD)
        assert all(torch.equal(tensor, WEIGHTS[name]) for name, tensor in carried.model.state_dict().items())
        assert carried.record == RECORD | {
            "computed_in": "float32",
            "versions": {"torch": "2.11.0"},
            "carried": {"lacks": []},
        }
        assert carried.cost["carried"] == "unknown"  # the commit
    printed = capsys.readouterr().out
    assert "carried: the training was done elsewhere, with torch 2.11.0" in printed
    assert "carried without its cost" in printed
    assert carry(None, RECORD) is None


EQUAL_ALL_THE_SAME = [
    {"width": 0.25, "hyperparameters": {"temperature": 4}},  # equal numbers
    {"normalisation": {"mean": [78.0000001], "std": [95.5]}},  # follows from the data
    {"unlearning_protocol": RECORD["unlearning_protocol"] | {"precision": "float32"}},  # computed on a CPU there
    {"protocol": RECORD["protocol"] | {"precision": "float32"}},  # the initial weights are compared
]


@pytest.mark.parametrize("changes", EQUAL_ALL_THE_SAME)
def test_what_means_the_same_is_equal(elsewhere, changes):
    assert carry(elsewhere(RECORD), RECORD | changes) is not None


def differing(value):
    """Return values of the same kind, each with a difference in one place, and the path of that place."""
    if isinstance(value, dict):
        for key, its in value.items():
            for path, other in differing(its):
                yield [key, *path], value | {key: other}
    elif isinstance(value, list):
        yield [], [*value, value[0]]
    else:
        yield [], value + 1 if isinstance(value, (int, float)) else f"{value}x"


FIELDS = [
    (".".join(path), changed)
    for path, changed in differing({key: its for key, its in RECORD.items() if key != "normalisation"})
    if path[-1] != "precision"
]


@pytest.mark.parametrize(("field", "wanted"), FIELDS, ids=[field for field, _ in FIELDS])
def test_one_field_that_differs_is_named_and_nothing_is_taken(elsewhere, capsys, field, wanted):
    named = field.replace("hyperparameters.temperature", "hyperparameters")
    for recorded, asked in ((RECORD, wanted), (wanted, RECORD)):
        assert carry(elsewhere(recorded), asked) is None
        (line,) = capsys.readouterr().out.splitlines()
        assert re.fullmatch(rf"not carried: .*/unlearned\.pt: {re.escape(named)} is .* there, .* here", line), line


@pytest.mark.parametrize("part", ["protocol.pretrain", "unlearning_protocol.unlearn", "images"])
def test_a_setting_that_only_the_record_there_has_is_named(elsewhere, capsys, part):
    """As a least number of steps, which a protocol without it does not name."""
    name, *within = part.split(".")
    further = {"least_steps": 390}
    recorded = RECORD | {name: merged(RECORD[name], {within[0]: further} if within else further)}
    assert carry(elsewhere(recorded), RECORD) is None
    assert f"unlearned.pt: {part}.least_steps is 390 there, not set here" in capsys.readouterr().out


OTHER_FILE = {"data": "another file", "content": "the same images"}


@pytest.mark.parametrize(
    ("there", "is_taken"),
    [
        ({}, True),
        ({"normalisation": {"mean": [78.001], "std": [95.5]}}, True),
        ({"normalisation": {"mean": [60.0], "std": [95.5]}}, False),  # stored with a border that is drawn here
        ({"content": "other images"}, False),
    ],
)
def test_another_file_has_the_same_data_if_a_model_is_given_the_same_numbers(elsewhere, capsys, there, is_taken):
    wanted = RECORD | {"content": "the same images"}
    taken = carry(elsewhere(RECORD | OTHER_FILE | there), wanted)
    assert (taken is not None) == is_taken
    assert is_taken or 'data is "another file" there' in capsys.readouterr().out


@pytest.mark.parametrize("there", ["bfloat16", "float32"])
def test_another_precision_is_named(elsewhere, capsys, there):
    recorded = RECORD | {"unlearning_protocol": RECORD["unlearning_protocol"] | {"precision": there}}
    folder = elsewhere(recorded)
    path = f"{folder}/{OUTPUT}"
    content = torch.load(path, weights_only=True)
    content["made_by"]["computed_in"] = there if there == "bfloat16" else "tf32"  # as on a GPU
    wanted = RECORD | {"unlearning_protocol": RECORD["unlearning_protocol"] | {"precision": "tf32"}}
    torch.save(content, path)
    taken = carry(folder, wanted)
    assert taken is None
    assert f"precision is {there} there, tf32 here" in capsys.readouterr().out


@pytest.mark.parametrize("field", [field for field in RECORD if field != "normalisation"])
def test_a_record_of_todays_format_may_lack_nothing(elsewhere, capsys, field):
    folder = elsewhere({key: its for key, its in RECORD.items() if key != field})
    if field in ("model", "width", "classes", "channels"):
        assert carry(folder, RECORD) is None
    else:
        assert carry(folder, RECORD) is None
        assert f"it does not say {field}" in capsys.readouterr().out


OF_FORMAT_2 = {
    key: its for key, its in RECORD.items() if key not in ("data", "images", "normalisation", "method_code", "original")
} | {"protocol": merged(RECORD["protocol"], {"pretrain": {"evaluate_every": 4}})}


def test_what_an_older_format_lacks_is_named(elsewhere, capsys):
    carried = carry(elsewhere(OF_FORMAT_2, format=2), RECORD)
    assert carried.record["carried"]["lacks"][:2] == ["data", "images.classes"]
    assert carried.record["images"] == RECORD["images"]
    printed = capsys.readouterr().out
    assert (
        "does not record data, images.classes, images.fit, images.image_size, images.normalisation, method_code, "
        in printed
    )
    assert carry(elsewhere(OF_FORMAT_2 | {"width": 0.5}, format=2), RECORD) is None


@pytest.mark.parametrize("is_same", [True, False])
def test_with_which_weights_an_older_unlearning_began_is_seen_by_what_lies_beside_it(elsewhere, is_same, capsys):
    folder = elsewhere(OF_FORMAT_2, format=2)
    original = {
        key: OF_FORMAT_2[key] for key in ("model", "dataset", "seed", "width", "classes", "channels", "protocol")
    }
    save_checkpoint(f"{folder}/results/resnet20-digits/seed1/pretrained.pt", WEIGHTS, original)
    begun = digest_of_weights(WEIGHTS) if is_same else "0000000000000000"
    carried = carry(folder, RECORD | {"original": begun})
    assert (carried is not None) == is_same
    if is_same:
        assert "original" not in carried.record["carried"]["lacks"]
    else:
        assert "original is " in capsys.readouterr().out


def test_a_cell_that_failed_there_is_tried_here(tmp_path, capsys):
    save_checkpoint(tmp_path / OUTPUT, None, RECORD | {"outcome": {"status": "failed"}})
    assert carry(str(tmp_path), RECORD) is None
    assert "its cell failed there" in capsys.readouterr().out


def test_logits_of_a_shadow_model_are_taken_under_the_same_conditions(tmp_path, capsys):
    output = Path("results/resnet20-digits-class0/shadow0/scrub/logits.npz")
    (tmp_path / output).parent.mkdir(parents=True)
    logits = np.arange(6.0).reshape(2, 3)
    np.savez(tmp_path / output, logits=logits, made_by=np.array(json.dumps(RECORD | {"computed_in": "float32"})))
    assert np.array_equal(carried_logits(str(tmp_path), output, RECORD, CPU), logits)
    assert carried_logits(str(tmp_path), output, RECORD | {"seed": "2"}, CPU) is None
    assert 'seed is "1" there, "2" here' in capsys.readouterr().out
    assert carried_logits(None, output, RECORD, CPU) is None
    shadow = RECORD | {"content": "the same images", "shadow": "0"}
    np.savez(tmp_path / output, logits=logits, made_by=np.array(json.dumps(shadow | OTHER_FILE)))
    assert carried_logits(str(tmp_path), output, shadow, CPU) is None  # rows are images by their places in the file
    np.savez(tmp_path / output, failure=np.array("why"), made_by=np.array(json.dumps(RECORD)))
    assert carried_logits(str(tmp_path), output, RECORD, CPU) is None


def test_a_damaged_cost_is_named(elsewhere):
    folder = elsewhere(RECORD)
    cost = f"{folder}/{CELLS}/scrub/cost.json"
    with open(cost, "w") as file:
        file.write("{")
    with pytest.raises(UserError, match=r"cost\.json: damaged"):
        carry(folder, RECORD)
