"""Training from scratch, prediction, and checkpoints."""

import math
import pickle

import numpy as np
import pytest
import torch

from unlearning.data.batches import TensorData
from unlearning.data.datasets import DataSet, class_split
from unlearning.errors import UserError
from unlearning.evaluation.cell import evaluate_model
from unlearning.models import build_model
from unlearning.training.checkpoints import digest_of_weights, load_checkpoint, save_checkpoint
from unlearning.training.loop import train_from_scratch
from unlearning.training.prediction import predict_logits

SETTINGS = {
    "width": 0.25,
    "protocol": {
        "batch_size": 8,
        "crop_padding": 1,
        "flip": False,
        "precision": "float32",
        "pretrain": {
            "epochs": 4,
            "learning_rate": 0.05,
            "momentum": 0.9,
            "weight_decay": 5e-4,
            "evaluate_every": 3,
        },
    },
}


@pytest.fixture
def data():
    """Return 3 classes that differ in brightness, so that a few epochs are enough to tell them apart."""
    rng = np.random.default_rng(0)

    def part(count):
        labels = np.arange(count) % 3
        images = (labels * 90)[:, None, None, None] + rng.integers(0, 40, (count, 8, 8, 1))
        return images.astype(np.uint8), labels.astype(np.int64)

    return TensorData.on("cpu", DataSet(*part(192), *part(24), classes=3), 8, "pad", "channels")


def train(data, seed=1, train_on=range(192), test_on=range(24)):
    return train_from_scratch("resnet20", data, SETTINGS, seed, np.array(train_on), np.array(test_on))


def test_training_learns_and_writes_its_history(data):
    model, history = train(data)
    assert [row["epoch"] for row in history] == [0, 1, 2, 3]
    expected = [0.05 * (1 + math.cos(math.pi * epoch / 4)) / 2 for epoch in range(4)]  # cosine annealing to 0
    assert [row["lr"] for row in history] == pytest.approx(expected)
    # Evaluated every third epoch and after the last.
    assert [row["test_accuracy"] is not None for row in history] == [False, False, True, True]
    assert history[-1]["train_loss"] < history[0]["train_loss"]
    predictions = predict_logits(model, data.test_images, data.normalisation).argmax(1)
    assert history[-1]["test_accuracy"] == pytest.approx((predictions == data.test_labels).float().mean().item())
    assert history[-1]["test_accuracy"] > 0.9


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(data):
    (first, _), (second, _), (third, _) = train(data), train(data), train(data, seed=2)
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))
    assert not torch.equal(first.head.weight, third.head.weight)


def test_the_oracle_never_sees_the_forget_class(data):
    split = class_split(data.train_labels.numpy(), data.test_labels.numpy(), 1)
    model, history = train(data, train_on=split["retain_train"], test_on=split["retain_test"])
    _, result, *_ = evaluate_model(model, data, split, SETTINGS["protocol"], seed=1)
    assert result["forget_acc"] == 0
    assert history[-1]["test_accuracy"] == pytest.approx(result["retain_acc"])


def test_prediction_is_in_eval_mode_without_augmentation_and_restores_the_mode(data):
    model = build_model("mobilenetv2", 3, 1, 0.25).train()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    logits = predict_logits(model, data.test_images, data.normalisation)
    assert model.training
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    one_by_one = torch.cat([predict_logits(model, image[None], data.normalisation) for image in data.test_images])
    torch.testing.assert_close(logits, one_by_one, rtol=1e-3, atol=1e-4)


RECORD = {"model": "resnet20", "width": 0.25, "classes": 3, "channels": 1, "seed": 1, "method": "original"}


def test_a_checkpoint_comes_back_with_what_made_it(tmp_path):
    model = build_model("resnet20", 3, 1, 0.25)
    save_checkpoint(tmp_path / "m.pt", model.state_dict(), RECORD)
    loaded, record = load_checkpoint(tmp_path / "m.pt", "cpu", {"seed": 1, "method": "original"})
    assert record == RECORD
    assert all(
        torch.equal(a, b) for a, b in zip(model.state_dict().values(), loaded.state_dict().values(), strict=True)
    )
    assert loaded.features[0].weight.is_contiguous(memory_format=torch.channels_last)
    assert [path.name for path in tmp_path.iterdir()] == ["m.pt"]


def test_the_checkpoint_of_a_cell_that_failed_holds_no_model_and_says_why(tmp_path):
    save_checkpoint(tmp_path / "m.pt", None, RECORD | {"outcome": {"status": "failed", "reason": "why"}})
    model, record = load_checkpoint(tmp_path / "m.pt", "cpu", {})
    assert model is None
    assert record["outcome"] == {"status": "failed", "reason": "why"}


def test_a_checkpoint_that_would_run_code_is_refused(tmp_path):
    class Payload:
        def __reduce__(self):
            return (open, (str(tmp_path / "planted"), "w"))

    torch.save({"state_dict": {}, "made_by": Payload()}, tmp_path / "evil.pt", pickle_module=pickle)
    with pytest.raises(UserError, match=r"evil\.pt: not the checkpoint that is needed"):
        load_checkpoint(tmp_path / "evil.pt", "cpu", {})
    assert not (tmp_path / "planted").exists()


@pytest.mark.parametrize("spoil", [lambda b: b[: len(b) // 2], lambda b: b"", lambda b: b"not a zip file" * 9])
def test_a_damaged_checkpoint_is_named_in_one_line(tmp_path, spoil):
    path = tmp_path / "m.pt"
    save_checkpoint(path, build_model("resnet20", 3, 1, 0.25).state_dict(), RECORD)
    path.write_bytes(spoil(path.read_bytes()))
    with pytest.raises(UserError, match=r"m\.pt: not the checkpoint that is needed") as caught:
        load_checkpoint(path, "cpu", {})
    assert "\n" not in str(caught.value)


def test_another_architectures_weights_are_refused(tmp_path):
    save_checkpoint(tmp_path / "m.pt", build_model("resnet20", 3, 1, 0.5).state_dict(), RECORD)
    with pytest.raises(UserError, match=r"m\.pt: not the checkpoint that is needed"):
        load_checkpoint(tmp_path / "m.pt", "cpu", {})


def test_a_record_that_contradicts_or_lacks_what_is_expected_is_refused(tmp_path):
    path = tmp_path / "m.pt"
    save_checkpoint(path, build_model("resnet20", 3, 1, 0.25).state_dict(), RECORD)
    with pytest.raises(UserError, match="it was made with method original, not scrub"):
        load_checkpoint(path, "cpu", {"method": "scrub"})
    with pytest.raises(UserError, match="it does not say with which forget_class it was made"):
        load_checkpoint(path, "cpu", {"forget_class": "0"})


OLDER = {key: value for key, value in RECORD.items() if key != "method"}
OF_FORMAT_2 = {
    "original": OLDER,
    "retrain": OLDER | {"forget_class": "0"},
    "scrub": OLDER | {"forget_class": "0", "method": "scrub"},
}


@pytest.mark.parametrize("is_of", OF_FORMAT_2)
@pytest.mark.parametrize("wanted", OF_FORMAT_2)
def test_a_checkpoint_of_an_older_format_is_of_one_row_alone_although_it_may_not_name_it(tmp_path, is_of, wanted):
    """An oracle that was copied over scrub's file is not shown as scrub."""
    content = {"format": 2, "state_dict": build_model("resnet20", 3, 1, 0.25).state_dict()}
    torch.save(content | {"made_by": OF_FORMAT_2[is_of]}, tmp_path / "m.pt")
    if is_of == wanted:
        assert load_checkpoint(tmp_path / "m.pt", "cpu", {"method": wanted})[0] is not None
    else:
        with pytest.raises(UserError, match=f"it was made with method {is_of}, not {wanted}"):
            load_checkpoint(tmp_path / "m.pt", "cpu", {"method": wanted})


def test_what_is_noted_during_a_training_changes_no_weight(data):
    """So evaluate_every is not one of the settings that determine a training."""
    pretrain = SETTINGS["protocol"]["pretrain"] | {"evaluate_every": 1}
    often = SETTINGS | {"protocol": SETTINGS["protocol"] | {"pretrain": pretrain}}
    (first, _), (second, history) = (
        train_from_scratch("mobilenetv2", data, its, 1, np.arange(192), np.arange(24)) for its in (SETTINGS, often)
    )
    assert all(row["test_accuracy"] is not None for row in history)
    states = first.state_dict(), second.state_dict()
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


@pytest.mark.parametrize(("least_steps", "epochs"), [(0, 4), (96, 4), (97, 5), (240, 10)])
def test_a_training_takes_as_many_epochs_as_its_least_steps_need(data, least_steps, epochs):
    """An epoch is 24 steps here; the learning rate falls to 0 over all of them."""
    pretrain = SETTINGS["protocol"]["pretrain"] | {"least_steps": least_steps}
    protocol = SETTINGS["protocol"] | {"pretrain": pretrain}
    _, history = train_from_scratch(
        "mobilenetv2", data, SETTINGS | {"protocol": protocol}, 1, np.arange(192), np.arange(24)
    )
    assert len(history) == epochs
    assert history[-1]["lr"] == pytest.approx(0.05 * (1 + math.cos(math.pi * (epochs - 1) / epochs)) / 2)


def test_the_digest_of_weights_depends_on_names_and_values_alone():
    state = build_model("resnet20", 3, 1, 0.25).state_dict()
    digest = digest_of_weights(state)
    assert digest_of_weights(dict(reversed(list(state.items())))) == digest
    assert digest_of_weights({name: tensor.clone().contiguous() for name, tensor in state.items()}) == digest
    name = next(iter(state))
    assert digest_of_weights(state | {name: state[name] + 1}) != digest
    assert digest_of_weights({("x" if key == name else key): its for key, its in state.items()}) != digest
