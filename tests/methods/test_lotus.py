"""LoTUS, compared with its formula, written independently."""

import copy
import math

import pytest
import torch
from method_helpers import FORGET, RETAIN, SIZES, assert_same_gradients, gradients_of, load, tiny_model

ALPHA = 2.0


@pytest.fixture
def model():
    return tiny_model().train()


@pytest.fixture
def original(model):
    """Return a copy of the model in eval mode, and move the model away from the copy."""
    original = copy.deepcopy(model).eval()
    with torch.no_grad():
        model.head.weight.add_(torch.randn_like(model.head.weight))
    return original


def gumbel_noise(shape):
    return -torch.empty(shape).exponential_().log()


def targets_of(original, temperature):
    """Return the targets of the retain and the forget images, with noise drawn in this order."""
    with torch.no_grad():
        noisy = original(RETAIN[0]) + gumbel_noise((len(RETAIN[0]), 10))
        if temperature is None:
            return torch.eye(10)[noisy.argmax(1)]
        flat = ((original(FORGET[0]) + gumbel_noise((len(FORGET[0]), 10))) / temperature).softmax(1)
    return torch.cat([torch.eye(10)[noisy.argmax(1)], flat])


def prepared(original, right, **hyperparameters):
    """Return a LoTUS in whose last epoch these forget images were right."""
    method = load("lotus", alpha=ALPHA, **hyperparameters)
    method.original, method.are_right = copy.deepcopy(original), [torch.tensor(right)]
    return method


@pytest.mark.parametrize("right", [[1.0, 1.0, 1.0], [1.0, 0.0, 0.0, 0.0], [0.0, 0.0]])
def test_targets_are_drawn_for_retain_images_and_flatter_for_forget_images_the_more_of_them_are_right(
    model, original, right
):
    method = prepared(original, right)
    torch.manual_seed(1)
    values, (step,) = gradients_of(method, model)
    share = sum(right) / len(right)
    torch.manual_seed(1)
    targets = targets_of(original, math.exp(ALPHA * share))
    loss = -(targets * model(torch.cat([RETAIN[0], FORGET[0]])).log_softmax(1)).sum(1).mean()
    assert values["loss"].item() == pytest.approx(loss.item(), rel=1e-4)
    assert values["forget_accuracy"].item() == pytest.approx(share)
    assert_same_gradients(step, model, loss)


def test_steps_without_a_forget_turn_see_retain_images_alone(model, original):
    method = prepared(original, [1.0])
    gradients_of(method, model)
    torch.manual_seed(1)
    _, (step,) = gradients_of(method, model, step=1)
    torch.manual_seed(1)
    targets = targets_of(original, None)
    assert_same_gradients(step, model, -(targets * model(RETAIN[0]).log_softmax(1)).sum(1).mean())


def test_always_is_a_forget_turn_in_every_step(model, original):
    method = prepared(original, [0.0, 1.0], forget_pass="always")
    gradients_of(method, model)
    torch.manual_seed(1)
    _, (step,) = gradients_of(method, model, step=1)
    torch.manual_seed(1)
    targets = targets_of(original, math.exp(ALPHA / 2))
    logits = model(torch.cat([RETAIN[0], FORGET[0]]))
    assert_same_gradients(step, model, -(targets * logits.log_softmax(1)).sum(1).mean())


def test_the_accuracy_is_the_originals_at_first_and_then_that_of_the_last_pass_of_an_epoch(model):
    """Of four steps the last two measure: all images are right until step 2 and none after step 3."""
    method = load("lotus", SIZES | {"steps_per_epoch": 4, "steps_per_forget_pass": 2})
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-6)

    def accuracy_in_step(step, epoch, names_the_class):
        with torch.no_grad():
            model.head.bias[0] = 1e4 if names_the_class else -1e4
        values = method.unlearn_step(model.train(), RETAIN, FORGET, optimizer, step, epoch)
        return values["forget_accuracy"].item()

    assert [accuracy_in_step(step, 0, step < 3) for step in range(4)] == [1, 1, 1, 1]
    assert [accuracy_in_step(step, 1, False) for step in range(4)] == [0.5] * 4
    assert accuracy_in_step(0, 2, True) == 0
    assert not any(part.training for part in method.original.modules())
