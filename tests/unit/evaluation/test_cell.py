"""Evaluation of a model: the right images in the right mode, and the metrics of a model that memorised."""

import copy
from functools import partial

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from unlearning.data.batches import TensorData, augment
from unlearning.data.datasets import DataSet, class_split
from unlearning.evaluation import metrics, sample
from unlearning.evaluation import relearning as relearning_module
from unlearning.evaluation.cell import evaluate_model
from unlearning.evaluation.erasure import erasure
from unlearning.evaluation.probe import probe_accuracy
from unlearning.evaluation.relearning import (
    KEPT,
    accuracies_before,
    fresh_model,
    least_retained,
    relearned,
    relearning,
    relearning_sample,
    reset_head_row,
    retain_relearned_accuracy,
)
from unlearning.models import Classifier
from unlearning.runner.interface import load_method
from unlearning.streams import generator
from unlearning.training.loop import train_from_scratch

PROTOCOL = {
    "batch_size": 16,
    "crop_padding": 1,
    "flip": False,
    "precision": "float32",
    "pretrain": {"epochs": 40, "learning_rate": 0.05, "momentum": 0.9, "weight_decay": 5e-4, "evaluate_every": 40},
    "relearn": {"images": 20, "batch_size": 16, "epochs": 15, "learning_rate": 0.0005},
}
FORGET = 1


@pytest.fixture(scope="module")
def data():
    """Return 3 classes of noisy patterns: few enough to be memorised, noisy enough to differ from unseen patterns."""
    patterns = np.random.default_rng(9).integers(0, 2, (3, 8, 8, 1)) * 40
    rng = np.random.default_rng(0)

    def part(count):
        labels = np.arange(count) % 3
        images = 60 + patterns[labels] + rng.normal(0, 60, (count, 8, 8, 1))
        return images.clip(0, 255).astype(np.uint8), labels

    return TensorData.on("cpu", DataSet(*part(120), *part(600), classes=3), 8, "pad", "channels")


@pytest.fixture(scope="module")
def split(data):
    return class_split(data.train_labels.numpy(), data.test_labels.numpy(), FORGET)


def train(data, train, test):
    # Without augmentation, so that the model memorises.
    settings = {"width": 0.25, "protocol": PROTOCOL | {"crop_padding": 0}}
    return train_from_scratch("resnet20", data, settings, 1, train, test)[0]


@pytest.fixture(scope="module")
def original(data):
    return train(data, np.arange(120), np.arange(600))


@pytest.fixture(scope="module")
def oracle(data, split):
    return train(data, split["retain_train"], split["retain_test"])


@pytest.fixture(scope="module")
def masked(original, data, split):
    """Return the control head_mask, made by the method itself."""
    model = copy.deepcopy(original)
    method = load_method("scripts/methods/head_mask.py", {"shift": 1000.0})
    batch = (torch.zeros(2, 1, 8, 8), torch.tensor([FORGET, FORGET]))
    for step in range(3):  # the change is made once, even with several calls
        method.unlearn_step(model, None, batch, None, step, 0)
    return model


def evaluated(model, data, split):
    outcome, found, _, _ = evaluate_model(model, data, split, PROTOCOL, seed=1)
    assert outcome.status == "ok"
    return found


def test_a_model_that_memorised_shows_the_trace_and_the_oracle_does_not(original, oracle, data, split):
    of_original, of_oracle = (evaluated(model, data, split) for model in (original, oracle))
    for attack in ("forget_mia_auc", "forget_mia_auc_loss", "forget_mia_auc_entropy"):
        assert of_original[attack] > 0.65
        assert of_oracle[attack] == pytest.approx(0.5, abs=0.15)  # standard error .05
    assert of_original["forget_train_acc"] > 0.95 > of_original["forget_acc"] > 0.5
    assert of_oracle["forget_train_acc"] == of_oracle["forget_acc"] == 0
    assert of_original["probe_acc"] > of_oracle["probe_acc"] + 0.03


def test_masking_the_head_gives_a_good_score_and_erases_nothing(original, oracle, masked, data, split):
    of_original, of_oracle, of_mask = (evaluated(model, data, split) for model in (original, oracle, masked))
    assert of_mask["unlearn_score"] > of_original["unlearn_score"] + 0.3
    assert of_mask["unlearn_score"] > of_oracle["unlearn_score"] - 0.03
    assert of_mask["forget_acc"] == 0
    assert of_mask["probe_acc"] == of_original["probe_acc"]
    assert of_mask["forget_mia_auc_loss"] > 0.65
    changed = [
        name for name, tensor in masked.state_dict().items() if not torch.equal(tensor, original.state_dict()[name])
    ]
    assert changed == ["head.bias"]
    assert (original.head.bias - masked.head.bias)[FORGET].item() == pytest.approx(1000)


def by_hand(model, data, part, chosen):
    """Return features and logits in eval mode, using only the model from the code under test."""
    images = getattr(data, f"{part}_images")[chosen]
    with torch.no_grad():
        features = copy.deepcopy(model).eval().embed(data.normalisation.apply(images))
        return features, model.head(features)


def test_every_metric_is_of_the_right_images_in_eval_mode(original, data, split):
    """Retain and forget set, training and test images: each metric is computed again from the model."""
    model = copy.deepcopy(original).train()  # batch statistics would give other answers
    found = evaluated(model, data, split)
    assert model.training
    logits, labels, features = {}, {}, {}
    for name in ("retain_train", "forget_train", "retain_test", "forget_test"):
        part = name.split("_")[1]
        features[name], logits[name] = by_hand(model, data, part, split[name])
        labels[name] = getattr(data, f"{part}_labels")[split[name]]
    right = {name: (logits[name].argmax(1) == labels[name]).double() for name in logits}
    expected = {
        "retain_acc": right["retain_test"].mean(),
        "forget_acc": right["forget_test"].mean(),
        "retain_train_acc": right["retain_train"].mean(),
        "forget_train_acc": right["forget_train"].mean(),
        "test_acc": torch.cat([right["retain_test"], right["forget_test"]]).mean(),
    }
    for name, value in expected.items():
        assert found[name] == pytest.approx(value.item()), name
    assert len(set(expected.values())) == 5  # so that a mix-up would show
    members, others = (F.softmax(logits[name], 1).max(1).values for name in ("forget_train", "forget_test"))
    pairs = (members[:, None] > others).double() + 0.5 * (members[:, None] == others)
    assert found["forget_mia_auc"] == pytest.approx(pairs.mean().item(), abs=0.002)
    test = torch.cat([features["retain_test"], features["forget_test"]])
    is_forget = np.arange(600) >= 400
    assert found["probe_acc"] == pytest.approx(probe_accuracy(test, torch.from_numpy(is_forget)))


def test_members_are_augmented_as_in_training_and_alike_for_every_model(original, oracle, data, split):
    images = augment(data.train_images[split["forget_train"]], PROTOCOL, generator(1, "augmented members"))
    assert not torch.equal(images, data.train_images[split["forget_train"]])
    for model in (original, oracle):
        with torch.no_grad():
            members = copy.deepcopy(model).eval()(data.normalisation.apply(images))
        _, others = by_hand(model, data, "test", split["forget_test"])
        expected = metrics.membership_auc(*(metrics.confidence(logits.numpy()) for logits in (members, others)))
        assert evaluated(model, data, split)["forget_mia_auc_augmented"] == pytest.approx(expected, abs=0.002)


def test_the_kept_scores_suffice_for_a_new_attack(original, data, split):
    _, found, scores, _ = evaluate_model(original, data, split, PROTOCOL, seed=1)
    assert {name: values.shape for name, values in scores.items()} == {
        "member_logits": (40, 3),
        "augmented_member_logits": (40, 3),
        "non_member_logits": (200, 3),
    }
    again = metrics.attacks(
        scores["member_logits"], scores["augmented_member_logits"], scores["non_member_logits"], FORGET
    )
    assert again.items() <= found.items()


def represented(model, data, split):
    return sample.unpack(evaluate_model(model, data, split, PROTOCOL, seed=1)[3])


def test_the_kept_features_are_those_of_the_sample(original, data, split, monkeypatch):
    """Also where the sample is only a part of the images, in several batches."""
    monkeypatch.setattr(sample, "LARGEST_PART", 30)
    monkeypatch.setattr("unlearning.training.prediction.PREDICTION_BATCH", 7)
    found = represented(original, data, split)
    sides = {part: part.split("_")[1] for part in sample.PARTS}
    labels = {part: getattr(data, f"{side}_labels").numpy()[split[part]] for part, side in sides.items()}
    for part, places in sample.places_of_sample(labels).items():
        features, logits = by_hand(original, data, sides[part], split[part][places])
        assert len(places) == 30
        np.testing.assert_allclose(found.features[part], features, rtol=1e-3, atol=1e-5)
        np.testing.assert_allclose(found.logits(part), logits, atol=0.02)
        assert list(found.labels[part]) == list(labels[part][places])


def test_no_measure_of_erasure_is_taken_in_by_a_masked_logit(original, oracle, masked, data, split):
    """The control has the original's values where the oracle's are other values."""
    models = [represented(model, data, split) for model in (original, oracle, masked)]
    of_original, of_oracle, of_mask = (erasure(model, models[1], models[0]) for model in models)
    from_the_features = {"prototype_acc_10", "class_mean_acc", "few_shot_probe_acc", "forget_logit_auc", "residue_rank"}
    for name in from_the_features:
        assert of_mask[name] == pytest.approx(of_original[name], abs=1e-9), name
    for name in ("prototype_acc_10", "class_mean_acc", "forget_logit_auc"):
        assert of_mask[name] > of_oracle[name] + 0.1, name
    # Of all classes, not of the forget class alone: for so small a model, which one is higher depends on the processor.
    assert of_mask["few_shot_probe_acc"] != of_oracle["few_shot_probe_acc"]
    assert of_oracle["routing_tv"] == 0 < of_mask["routing_tv"] < of_original["routing_tv"]


def test_a_model_with_logits_that_are_not_finite_has_diverged(original, data, split):
    model = copy.deepcopy(original)
    with torch.no_grad():
        model.head.bias[0] = float("nan")
    outcome, found, scores, features = evaluate_model(model, data, split, PROTOCOL, seed=1)
    assert (outcome.status, outcome.reason) == ("diverged", "the model's logits are not finite")
    assert found == scores == features == {}


def test_one_test_image_of_the_forget_class_is_enough_for_an_evaluation(original, data, split):
    found = evaluated(original, data, split | {"forget_test": split["forget_test"][:1]})
    assert found["probe_acc"] is None
    assert found["forget_mia_auc_se"] is None
    assert 0 <= found["forget_mia_auc"] <= 1


# --- relearning


def epochs_to(model, data, split, target, least_kept=0.0, **settings):
    protocol = PROTOCOL | {"relearn": PROTOCOL["relearn"] | settings}
    return relearned(copy.deepcopy(model), data, split, protocol, target, least_kept, seed=1).epochs


def without_row(model):
    """Return a copy of a model whose head has the mean of the rows 0 and 2 as its row 1, the forget class's."""
    reset, head = copy.deepcopy(model), model.head
    with torch.no_grad():
        reset.head.weight[1] = (head.weight[0] + head.weight[2]) / 2
        reset.head.bias[1] = (head.bias[0] + head.bias[2]) / 2
    return reset


def trajectory(model, data, split, epochs):
    """Return (forget_acc, retain_acc) of the test images after 0, 1, ... epochs of fine-tuning, written out plainly."""
    model, settings = copy.deepcopy(model).eval(), PROTOCOL["relearn"]
    sample = relearning_sample(split, data, settings["images"], generator(1, "relearning sample"))
    batches = data.train_batches(sample, PROTOCOL | settings, generator(1, "relearning batches"))
    optimizer = torch.optim.Adam(model.parameters(), lr=settings["learning_rate"])
    found = []
    for _ in range(epochs):
        found.append(tuple(share_right(model, data, split[name]) for name in ("forget_test", "retain_test")))
        for images, labels in batches.epoch():
            model.zero_grad()
            torch.nn.CrossEntropyLoss()(model(images), labels).backward()
            optimizer.step()
    return found


def share_right(model, data, chosen):
    with torch.no_grad():
        answers = model(data.normalisation.apply(data.test_images[chosen])).argmax(dim=1)
    return (answers == data.test_labels[chosen]).double().mean().item()


def first(steps, target, least_kept, limit):
    back = [epoch for epoch, (forget, retain) in enumerate(steps) if forget >= target and retain >= least_kept]
    return min([*back, limit])


def suppressed(model, by):
    """Return a copy whose logit of the forget class is lower."""
    lower = copy.deepcopy(model).eval()
    with torch.no_grad():
        lower.head.bias[FORGET] -= by
    return lower


def test_the_accuracies_before_are_those_of_the_evaluation_to_the_last_digit(original, oracle, data, split):
    for model in (original, oracle):
        expected = evaluated(model, data, split)
        found = accuracies_before(model, data, split)
        assert found == {name: expected[name] for name in ("forget_acc", "retain_acc")}


def test_a_model_that_diverged_has_no_accuracies_before(original, data, split):
    assert accuracies_before(suppressed(original, float("nan")), data, split) is None
    assert accuracies_before(suppressed(original, float("inf")), data, split) is None


def test_the_epochs_of_both_starts_are_those_of_a_fine_tuning_written_out(original, data, split):
    of_original = evaluated(original, data, split)
    # Half of it is then no whole number of images: which side of the target a share falls on is not left to rounding.
    of_original |= {"forget_acc": of_original["forget_acc"] + 0.001}
    model, limit = suppressed(original, 8.0), PROTOCOL["relearn"]["epochs"]
    before = copy.deepcopy(model.state_dict())
    assert share_right(model, data, split["retain_test"]) > of_original["retain_acc"]  # it takes none for the class
    starts = {"reset": without_row(model), "as_is": model}
    steps = {start: trajectory(its, data, split, limit) for start, its in starts.items()}
    least = KEPT * of_original["retain_acc"]
    expected = {name: first(its, of_original["forget_acc"] / 2, least, limit) for name, its in steps.items()}
    found = relearning(model, data, split, PROTOCOL, of_original, seed=1)
    for start, its in steps.items():
        curve = found["curves"][f"relearn_epochs_{start}"]
        assert len(curve) == min(expected[start] + 1, limit)
        assert curve == pytest.approx([forget for forget, _ in its[: len(curve)]])
    assert {name: its for name, its in found.items() if name != "curves"} == {
        "relearn_epochs": min(expected.values()),
        "relearn_epochs_reset": expected["reset"],
        "relearn_epochs_as_is": expected["as_is"],
    }
    assert len({0, limit, *expected.values()}) == 4  # so that a mix-up would show
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


def test_the_class_is_back_only_while_the_retained_accuracy_holds(oracle, data, split):
    """In the epoch in which the forget class reaches the target, a demand just above what is kept is not met."""
    model, target, limit = without_row(oracle), 0.14, 15
    steps = trajectory(model, data, split, limit)
    epoch = first(steps, target, 0, limit)
    kept = steps[epoch][1]
    assert epochs_to(model, data, split, target, kept - 1e-4) == epoch
    assert epochs_to(model, data, split, target, kept + 1e-4) == first(steps, target, kept + 1e-4, limit) > epoch


def test_the_demand_is_of_the_start_of_the_original_or_of_chance(original, oracle, data, split):
    of_oracle = share_right(copy.deepcopy(oracle).eval(), data, split["retain_test"])
    names_one_class = suppressed(original, -1000.0)
    assert least_retained(oracle, data, split, 0.99) == pytest.approx(KEPT * of_oracle)
    assert least_retained(oracle, data, split, 0.7) == pytest.approx(KEPT * 0.7)
    assert least_retained(names_one_class, data, split, 0.7) == pytest.approx(KEPT / 3)


def test_the_retained_accuracy_is_judged_on_a_fixed_part_of_many_images(oracle, data, split, monkeypatch):
    """Of ten images, so many tenths are right; the demand is the same each time, as the images are."""
    monkeypatch.setattr(relearning_module, "RETAINED_IMAGES", 10)
    demand = least_retained(oracle, data, split, 1.0)
    tenths = demand / KEPT * 10
    assert tenths == pytest.approx(round(tenths))
    assert demand == least_retained(oracle, data, split, 1.0)
    assert demand != KEPT * share_right(copy.deepcopy(oracle).eval(), data, split["retain_test"])


def test_a_model_that_names_every_image_the_forget_class_has_not_got_it_back(original, data, split):
    model = suppressed(original, -1000.0)
    assert share_right(model, data, split["forget_test"]) == 1
    assert share_right(model, data, split["retain_test"]) == 0
    found = relearning(model, data, split, PROTOCOL, evaluated(original, data, split), seed=1)
    assert found["relearn_epochs_as_is"] == PROTOCOL["relearn"]["epochs"]


def test_what_was_never_gone_takes_no_epoch_as_it_is(original, data, split):
    found = relearning(original, data, split, PROTOCOL, evaluated(original, data, split), seed=1)
    assert found["relearn_epochs"] == found["relearn_epochs_as_is"] == 0 < found["relearn_epochs_reset"]


def test_a_masked_class_comes_back_sooner_than_one_that_was_never_seen(original, oracle, masked, data, split):
    of_original = evaluated(original, data, split)
    of_mask, of_oracle = (relearning(model, data, split, PROTOCOL, of_original, seed=1) for model in (masked, oracle))
    assert 1 <= of_mask["relearn_epochs"] < of_oracle["relearn_epochs"]
    # No fine-tuning lifts a bias of -1000: from the model as it is, a mask looks like an erased class.
    assert of_mask["relearn_epochs_as_is"] == PROTOCOL["relearn"]["epochs"]


def test_the_reset_row_is_the_mean_of_the_others_and_nothing_else_changes(original):
    model, expected = copy.deepcopy(original), without_row(original).state_dict()
    reset_head_row(model, FORGET)
    for name, tensor in model.state_dict().items():
        torch.testing.assert_close(tensor, expected[name])


def test_the_limit_stands_for_that_many_or_more(oracle, data, split):
    assert epochs_to(oracle, data, split, target=1.1, epochs=3) == 3
    assert epochs_to(oracle, data, split, target=1.1, epochs=1) == 1


def test_the_epochs_are_counted_until_the_target_is_reached(oracle, data, split):
    count = partial(epochs_to, oracle, data, split, learning_rate=0.003)
    epochs = count(target=0.4, epochs=100)
    assert 1 < epochs < 100
    assert count(target=0.4, epochs=epochs + 1) == epochs  # the limit was not reached
    assert count(target=0.4, epochs=epochs) == epochs
    assert count(target=0.2, epochs=100) <= epochs


def test_the_relearning_sample_has_as_many_images_of_each_class(data, split, monkeypatch):
    sample = relearning_sample(split, data, 10, generator(1, "any"))
    assert np.bincount(data.train_labels[sample]).tolist() == [10, 10, 10]
    assert len(set(sample)) == 30
    assert np.isin(sample, [*split["forget_train"], *split["retain_train"]]).all()
    assert (sample == relearning_sample(split, data, 10, generator(1, "any"))).all()
    assert (sample != relearning_sample(split, data, 10, generator(2, "any"))).any()
    monkeypatch.setattr(relearning_module, "LARGEST_RETAINED_SAMPLE", 8)
    sample = relearning_sample(split, data, 10, generator(1, "any"))
    counts = np.bincount(data.train_labels[sample])
    assert counts[FORGET] == 10
    assert sorted(counts) == [4, 4, 10]


@pytest.fixture
def seen(monkeypatch):
    """Return a list that collects (whether in training mode, number of images) of each call of a model."""
    calls, forward = [], Classifier.forward
    monkeypatch.setattr(
        Classifier, "forward", lambda self, x: calls.append((self.training, len(x))) or forward(self, x)
    )
    return calls


def test_relearning_sees_the_sample_once_an_epoch_in_eval_mode(oracle, data, split, seen):
    epochs_to(oracle, data, split, target=1.1, epochs=2, images=10)
    assert sum(size for _, size in seen) == 30
    assert not any(training for training, _ in seen)
    seen.clear()
    epochs_to(oracle, data, split, target=1.1, epochs=2, images=10_000)  # all images of the forget class
    assert sum(size for _, size in seen) == 3 * len(split["forget_train"])


def fresh(data, split, seed=1):
    record = {"model": "resnet20", "classes": 3, "channels": 1, "width": 0.25}
    return fresh_model(record, data, split, PROTOCOL, seed)


def test_a_fresh_model_is_the_same_for_a_seed_and_another_for_another(data, split):
    models = [fresh(data, split, seed).state_dict() for seed in (1, 1, 2)]
    torch.rand(3)  # it has a random stream of its own
    models.append(fresh(data, split).state_dict())
    weight = [model["features.0.weight"] for model in models]
    assert torch.equal(weight[0], weight[1])
    assert torch.equal(weight[0], weight[3])
    assert not torch.equal(weight[0], weight[2])


def test_the_batch_norms_of_a_fresh_model_have_the_statistics_of_the_sample(data, split):
    model = fresh(data, split)
    sample = relearning_sample(split, data, PROTOCOL["relearn"]["images"], generator(1, "relearning sample"))
    with torch.no_grad():
        seen = model.features[0](data.normalisation.apply(data.train_images[sample]))
    torch.testing.assert_close(model.features[1].running_mean, seen.mean(dim=(0, 2, 3)))
    torch.testing.assert_close(model.features[1].running_var, seen.var(dim=(0, 2, 3)))
    assert not model.training


def test_retained_images_alone_are_seen_once_and_teach_no_forget_class(oracle, data, split, seen):
    assert retain_relearned_accuracy(oracle, data, split, PROTOCOL, seed=1) == 0
    assert sum(size for _, size in seen) == 80
    assert {size for _, size in seen} == {PROTOCOL["batch_size"]}
    assert not any(training for training, _ in seen)


def test_what_retained_images_bring_back_is_that_of_a_fine_tuning_written_out(original, data, split):
    model = suppressed(original, 1.0)
    before = copy.deepcopy(model.state_dict())
    found = retain_relearned_accuracy(model, data, split, PROTOCOL, seed=1)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    tuned = model.eval()
    optimizer = torch.optim.Adam(tuned.parameters(), lr=PROTOCOL["relearn"]["learning_rate"])
    order = generator(1, "retain relearning batches")
    for images, labels in data.train_batches(split["retain_train"], PROTOCOL, order).epoch():
        tuned.zero_grad()
        F.cross_entropy(tuned(images), labels).backward()
        optimizer.step()
    assert found == pytest.approx(share_right(tuned, data, split["forget_test"]))
    assert 0 < found < share_right(suppressed(original, 0.0), data, split["forget_test"])
