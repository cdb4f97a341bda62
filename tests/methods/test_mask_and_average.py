"""The project's own method: each part compared with an independent calculation, and the purpose of the method."""

import copy
from functools import partial

import numpy as np
import pytest
import torch
from method_helpers import CONFIG, FORGET, cross_entropy, load, tiny_model
from project import AS_CHOSEN, ROOT, TINY_PROTOCOL

from unlearning.config.model import method_file
from unlearning.data.batches import TensorData
from unlearning.data.datasets import DataSet, class_split
from unlearning.data.sources import digits
from unlearning.evaluation.cell import evaluate_model
from unlearning.models import build_model
from unlearning.runner.interface import load_method
from unlearning.runner.loop import unlearn
from unlearning.streams import generator, seed_global_streams
from unlearning.training.loop import train_from_scratch

BASELINES = ("retain_finetune", "negative_gradient", "bad_teacher", "scrub")
METHOD = ROOT / "scripts/methods/mask_and_average.py"
OTHERWISE = ROOT / "scripts/methods/ablations/mask_and_average_variants.py"
PLAIN = {"recency": 2.0, "feature_weight": 0.0, "flatness": 0.0}
RETAIN = torch.randn(6, 1, 8, 8, generator=generator(1, "images")), torch.tensor([3, 3, 4, 5, 5, 5])


@pytest.fixture
def model():
    return tiny_model().train()


def apply(method, model, steps):
    """Apply ``method``, and return the final weights of the optimizer and the final weights of the model."""
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    after_optimizer, shown = [], []
    optimizer.register_step_post_hook(lambda *_: after_optimizer.append(vector(model)))
    for step in range(steps):
        method.unlearn_step(model.train(), RETAIN, FORGET, optimizer, step, 0)
        shown.append(vector(model))
    return after_optimizer, shown


def vector(model):
    """Return the weights and running statistics as one vector."""
    return torch.cat([t.flatten().clone() for t in model.state_dict().values() if t.is_floating_point()])


@pytest.mark.parametrize("recency", [0, 1, 2, 3])
def test_the_model_has_the_mean_of_the_optimizers_weights_with_those_of_step_t_counting_as_t_to_the_recency(
    model, recency
):
    """Exactly, step t counts as t (t + 1) ... (t + recency - 1). With recency 0 this is 1, the plain mean."""
    method = load_method(METHOD, PLAIN | {"recency": float(recency)})
    after_optimizer, shown = apply(method, model, 5)
    counts = [np.prod([t + i for i in range(recency)]) for t in range(1, 6)]
    for step in range(1, 6):
        mean = sum(count * weights for count, weights in zip(counts[:step], after_optimizer, strict=False))
        torch.testing.assert_close(shown[step - 1], mean / sum(counts[:step]), rtol=1e-4, atol=1e-5)


def test_the_optimizer_goes_its_own_way_whatever_the_average(model):
    other = copy.deepcopy(model)
    own_way, shown = apply(load_method(METHOD, PLAIN), model, 4)
    without_average, last = apply(load_method(METHOD, PLAIN | {"recency": 1e9}), other, 4)
    for one, two in zip(own_way, without_average, strict=True):
        assert torch.equal(one, two)
    torch.testing.assert_close(last, without_average)
    assert not torch.allclose(shown[-1], own_way[-1], rtol=1e-3)


@pytest.mark.parametrize("flatness", [0.0, 0.4, 1.0])
def test_targets_are_the_original_models_other_classes_made_flatter(model, flatness):
    method = load_method(METHOD, PLAIN | {"flatness": flatness})
    method.begin(model)
    labels = torch.tensor([0, 0, 7, 0])  # the class of each image is left out
    with torch.no_grad():
        probabilities = model.eval()(FORGET[0]).softmax(1)
        model.train()
    wanted = probabilities.scatter(1, labels[:, None], 0)
    wanted = (1 - flatness) * wanted / wanted.sum(1, keepdim=True) + flatness / 9
    wanted = wanted.scatter(1, labels[:, None], 0)
    torch.testing.assert_close(method.targets(FORGET[0], labels), wanted)


def test_the_loss_of_the_first_step(model):
    method = load_method(METHOD, PLAIN | {"feature_weight": 0.3})
    judge = copy.deepcopy(model)
    before = copy.deepcopy(model)
    values = method.unlearn_step(model, RETAIN, FORGET, torch.optim.SGD(model.parameters(), lr=0.1), 0, 0)
    seen = []
    judge.head.register_forward_pre_hook(lambda _, arguments: seen.append(arguments[0].detach()))
    retain_logits, forget_logits = judge(torch.cat([RETAIN[0], FORGET[0]])).detach().split([6, 4])
    retain_features, forget_features = seen[0].split([6, 4])
    targets = before.eval()(FORGET[0]).detach().softmax(1)[:, 1:]
    targets = targets / targets.sum(1, keepdim=True)
    assert values["retain_loss"].item() == pytest.approx(cross_entropy(retain_logits, RETAIN[1]).item(), rel=1e-4)
    distance = (targets * (targets.log() - forget_logits.log_softmax(1)[:, 1:])).sum(1).mean()
    assert values["forget_loss"].item() == pytest.approx(distance.item(), rel=1e-4)
    goals = torch.zeros_like(forget_features)
    for label in (3, 4, 5):
        mean = retain_features[RETAIN[1] == label].mean(0)
        goals += targets[:, label - 1, None] * mean  # the forget class, 0, is not among the targets
    variance = retain_features.var(0, unbiased=False).mean()
    distance = (forget_features - goals).square().mean() / variance
    assert values["feature_loss"].item() == pytest.approx(distance.item(), rel=1e-3)
    whole = values["retain_loss"] + values["forget_loss"] + 0.3 * values["feature_loss"]
    assert values["loss"].item() == pytest.approx(whole.item())


def test_statistics_remember_classes_that_the_last_batch_lacks_and_stand_a_batch_of_one():
    method = load_method(METHOD, PLAIN)
    first = torch.tensor([[1.0, 2.0], [3.0, 2.0], [10.0, 0.0]]), torch.tensor([1, 1, 2])
    means, variance = method.statistics_of(*first, classes=4)
    assert means.tolist() == [[0, 0], [2, 2], [10, 0], [0, 0]]
    assert variance.item() == pytest.approx(first[0].var(0, unbiased=False).mean().item())
    means, variance = method.statistics_of(torch.tensor([[20.0, 0.0]]), torch.tensor([2]), classes=4)
    assert means[1].tolist() == pytest.approx([2, 2])
    assert means[2].tolist() == pytest.approx([(0.9 * 10 + 0.1 * 20) / (0.9 + 0.1), 0])
    assert variance.item() > 1


def test_the_feature_term_moves_forget_features_to_where_retained_ones_mix(model):
    distances = {}
    for feature_weight in (1e-9, 3.0):  # the first weight only measures, and has no effect
        method = load_method(METHOD, PLAIN | {"feature_weight": feature_weight})
        trained = copy.deepcopy(model)
        optimizer = torch.optim.Adam(trained.parameters(), lr=0.01)
        steps = [method.unlearn_step(trained.train(), RETAIN, FORGET, optimizer, step, 0) for step in range(40)]
        distances[feature_weight] = steps[-1]["feature_loss"].item()
    assert distances[3.0] < 0.5 * distances[1e-9], distances


# --- the variants of docs/own-method.md


def weights_after_two_steps(file, settings):
    torch.manual_seed(0)
    model = tiny_model().train()
    apply(load_method(file, settings), model, 2)
    return vector(model)


def test_the_file_of_variants_is_the_method_as_long_as_nothing_is_switched():
    settings = CONFIG["methods"]["mask_and_average"]["hyperparameters"]
    method = weights_after_two_steps(METHOD, settings)
    assert torch.equal(weights_after_two_steps(OTHERWISE, settings), method)
    norms = [{"batch_norm": value} for value in ("frozen", "apart", "retained")]
    switches = (*norms, {"retain": "both"}, {"retain": "teacher"})
    for switch in (*switches, {"mixing": 0.5}, {"of_class": 1.0}, {"sharpness": 2.0}):
        assert not torch.equal(weights_after_two_steps(OTHERWISE, settings | switch), method), switch


def test_the_method_reads_features_behind_the_dropout_and_a_variant_before_it():
    model = build_model("mobilenetv2", 10, 1, 0.25).train()  # the only model with a dropout
    features = model.embed(RETAIN[0])
    settings = CONFIG["methods"]["mask_and_average"]["hyperparameters"]
    behind, _ = load_method(METHOD, settings).predict(model, RETAIN[0])
    kept = behind != 0
    assert 0 < kept.sum() < (features != 0).sum()
    torch.testing.assert_close(behind[kept], features[kept] / (1 - model.dropout.p))
    variant = load_method(OTHERWISE, settings | {"before_dropout": True})
    torch.manual_seed(0)
    before, logits = variant.predict(model, RETAIN[0])
    torch.testing.assert_close(before, features)
    torch.manual_seed(0)
    torch.testing.assert_close(logits, model(RETAIN[0]))
    in_passes = load_method(OTHERWISE, settings | {"before_dropout": True, "batch_norm": "apart"})
    before, _ = in_passes.predict(model, RETAIN[0], FORGET[0])
    torch.testing.assert_close(before, torch.cat([features, model.embed(FORGET[0])]))


# --- the purpose of the method


PROTOCOL = TINY_PROTOCOL | {
    "batch_size": 32,
    "precision": "float32",
    "pretrain": TINY_PROTOCOL["pretrain"] | {"epochs": 12, "evaluate_every": 12},
    "unlearn": {"epochs": 3, "learning_rate": 0.003} | AS_CHOSEN,
}


def scores_of(seed):
    """Return unlearn_score of both settings and of the baselines: digits of 8 x 8, a narrow ResNet-20."""
    arrays = digits()
    images = {name: array[..., None] for name, array in arrays.items() if name.endswith("images")}
    labels = {name: array.astype(np.int64) for name, array in arrays.items() if name.endswith("labels")}
    data = TensorData.on("cpu", DataSet(**images, **labels, classes=10), 8, "resize", "channels")
    split = class_split(labels["train_labels"], labels["test_labels"], 0)
    everything = np.arange(len(labels["train_labels"])), np.arange(len(labels["test_labels"]))
    original, _ = train_from_scratch("resnet20", data, {"width": 0.25, "protocol": PROTOCOL}, seed, *everything)
    scores = {}
    for name in (*BASELINES, "mask_and_average", "mask_and_average_score"):
        model = copy.deepcopy(original)
        retain, forget = (
            data.train_batches(split[f"{part}_train"], PROTOCOL, generator(seed, part)) for part in ("retain", "forget")
        )
        file = ROOT / method_file(name, CONFIG["methods"][name].get("file"))
        seed_global_streams(seed, name)
        assert unlearn(model, partial(load, name), file, retain, forget, PROTOCOL["unlearn"]).outcome.status == "ok"
        scores[name] = evaluate_model(model, data, split, PROTOCOL, seed)[1]["unlearn_score"]
    return scores


@pytest.mark.slow
def test_no_baseline_scores_higher_on_the_mean_of_three_seeds_beyond_the_noise():
    """Another kind of processor rounds differently, and moves the means of so small a benchmark by about .01."""
    runs = [scores_of(seed) for seed in (42, 43, 44)]
    means = {name: np.mean([run[name] for run in runs]) for name in runs[0]}
    best = max(means[name] for name in BASELINES)
    assert means["mask_and_average"] > best - 0.02, means
    assert means["mask_and_average_score"] > best - 0.02, means
