"""MSG and CT, which change weights once and then fine-tune: each compared with its formula, written independently."""

import copy
import math

import pytest
import torch
from method_helpers import FORGET, RETAIN, SIZES, batch, cross_entropy, load, tiny_model
from torch import nn

TWO_MEASURING = SIZES | {"steps_per_forget_pass": 2}
SECOND = batch(6, 5, 3), batch(4, 0, 4)


class Still(torch.optim.SGD):
    """An optimizer that moves nothing, so that only what the method itself does to the weights is seen."""

    def step(self):
        pass


def convolutions(model):
    return {name: part.weight for name, part in model.named_modules() if isinstance(part, nn.Conv2d)}


def differences_of_gradients(model, *pairs):
    """Return for each convolution the sum over pairs of batches of grad CE(retain) - grad CE(forget), in eval mode."""
    judge = copy.deepcopy(model).eval()
    weights = list(convolutions(judge).values())
    total = [torch.zeros_like(weight) for weight in weights]
    for pair in pairs:
        for sign, (images, labels) in zip((1, -1), pair, strict=True):
            gradients = torch.autograd.grad(cross_entropy(judge(images), labels), weights)
            total = [one + sign * another for one, another in zip(total, gradients, strict=True)]
    return total


def measured(model, **hyperparameters):
    """Return an MSG that has measured two pairs of batches and drawn weights anew, in ``model``."""
    method = load("msg", TWO_MEASURING, **hyperparameters)
    optimizer = Still(model.parameters(), lr=0.0)
    before = copy.deepcopy(model.state_dict())
    for step, pair in enumerate(((RETAIN, FORGET), SECOND)):
        method.unlearn_step(model.train(), *pair, optimizer, step, 0)
        assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    method.unlearn_step(model.train(), RETAIN, FORGET, optimizer, 2, 0)
    return method


@pytest.mark.parametrize("fresh_share", [0.1, 0.3])
def test_msg_draws_the_weights_with_the_smallest_differences_of_gradients_anew(fresh_share):
    model = tiny_model()
    original = copy.deepcopy(model)
    gradients = differences_of_gradients(model, (RETAIN, FORGET), SECOND)
    torch.manual_seed(3)
    measured(model, fresh_share=fresh_share)
    standardised = []
    for name, gradient in zip(convolutions(model), gradients, strict=True):
        old, new = convolutions(original)[name], convolutions(model)[name]
        is_fresh = old != new
        assert is_fresh.sum() == round(fresh_share * old.numel()), name
        assert gradient[is_fresh].abs().max() <= gradient[~is_fresh].abs().min() * (1 + 1e-3) + 1e-9, name
        outputs, inputs, height, width = new.shape
        if inputs != outputs:  # elsewhere fan-in and fan-out are the same
            standardised.append(new[is_fresh].detach() / math.sqrt(2 / (outputs * height * width)))
    assert torch.cat(standardised).std().item() == pytest.approx(1, abs=0.15)
    for name, parameter in model.named_parameters():
        if name.removesuffix(".weight") not in convolutions(model):
            assert torch.equal(parameter, original.get_parameter(name)), name


def test_msg_then_fine_tunes_and_slows_the_other_weights_of_convolutions_down():
    original = tiny_model()
    model = copy.deepcopy(original)
    method = measured(model)
    plain = copy.deepcopy(model)
    before = copy.deepcopy(model)
    optimizer = torch.optim.Adam(plain.parameters(), lr=0.01)
    cross_entropy(plain.train()(RETAIN[0]), RETAIN[1]).backward()
    optimizer.step()
    method.unlearn_step(model.train(), RETAIN, FORGET, torch.optim.Adam(model.parameters(), lr=0.01), 3, 0)
    for name, weight in model.named_parameters():
        is_convolution = name.removesuffix(".weight") in convolutions(model)
        start, full = before.get_parameter(name), plain.get_parameter(name) - before.get_parameter(name)
        is_fresh = start != original.get_parameter(name)
        wanted = torch.where(is_fresh, full, 0.1 * full) if is_convolution else full
        # Adam's first step is +- the learning rate, whatever the gradient; of one that is 0 but for rounding, any sign.
        is_same = (weight - start - wanted).abs() < 1e-5
        assert is_same.float().mean() > 0.98, name


def test_msg_without_slowing_down_is_fine_tuning():
    one, other = tiny_model(), tiny_model()
    method = measured(one, fresh_share=0.0, rest_speed=1.0)
    measured(other, fresh_share=0.0)
    for step in (3, 4):
        for model, applied in ((one, method), (other, load("retain_finetune"))):
            optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
            applied.unlearn_step(model.train(), RETAIN, FORGET, optimizer, step, 0)
    for value, wanted in zip(one.state_dict().values(), other.state_dict().values(), strict=True):
        assert torch.equal(value, wanted)


def test_ct_makes_the_model_see_each_image_transposed_and_does_so_once():
    model = tiny_model().train()
    original = copy.deepcopy(model)
    images = torch.cat([RETAIN[0], FORGET[0]])
    method = load("ct")
    with torch.no_grad():
        mirrored, straight = original(images.transpose(2, 3)), original(images)
    assert not torch.allclose(mirrored, straight, atol=0.1)
    for epoch, step in ((0, 0), (0, 1), (1, 0)):
        loss = method.unlearn_step(model, RETAIN, FORGET, Still(model.parameters(), lr=0.0), step, epoch)["loss"]
        torch.testing.assert_close(model(images), mirrored, rtol=1e-3, atol=1e-3)
    wanted = cross_entropy(original(RETAIN[0].transpose(2, 3)), RETAIN[1])
    assert loss.item() == pytest.approx(wanted.item(), rel=1e-3)


def test_ct_then_fine_tunes():
    model, other = tiny_model(), tiny_model()
    with torch.no_grad():
        for weight in convolutions(other).values():
            weight.copy_(torch.einsum("oiyx->oixy", weight).clone())
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    load("ct").unlearn_step(model.train(), RETAIN, FORGET, optimizer, 0, 0)
    start = copy.deepcopy(other)
    loss = cross_entropy(other.train()(RETAIN[0]), RETAIN[1])
    for name, gradient in zip(
        dict(other.named_parameters()), torch.autograd.grad(loss, list(other.parameters())), strict=True
    ):
        wanted = start.get_parameter(name) - 0.1 * gradient
        torch.testing.assert_close(model.get_parameter(name), wanted, rtol=1e-3, atol=1e-3)
