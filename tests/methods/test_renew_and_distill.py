"""renew_and_distill: what it keeps, what it learns from, and that it never sees a forget image."""

import copy

import pytest
import torch
from method_helpers import FORGET, RETAIN, assert_same_gradients, cross_entropy, gradients_of, kl, load, tiny_model


def layers_of(model):
    return [module for module in model.modules() if list(module.parameters(recurse=False))]


@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_the_loss_is_that_of_the_labels_and_of_the_originals_answers_over_the_retained_classes(temperature):
    model = tiny_model().train()
    original = copy.deepcopy(model).eval()
    method = load("renew_and_distill", temperature=temperature)
    method.begin(model)
    returned, steps = gradients_of(method, model)
    images, labels = RETAIN
    logits = model(images)
    divergence = kl(original(images).detach()[:, 1:], logits[:, 1:], temperature)  # the class 0 is forgotten
    expected = cross_entropy(logits, labels) + temperature**2 * divergence
    torch.testing.assert_close(returned["loss"], expected)
    assert_same_gradients(steps[0], model, expected)


def test_the_last_layers_are_new_and_the_first_are_the_originals():
    model = tiny_model()
    with torch.no_grad():
        for tensor in model.parameters():
            tensor.fill_(7)
    method = load("renew_and_distill", fresh_share=0.5)
    torch.manual_seed(3)
    method.begin(model)
    are_old = [bool((layer.weight == 7).all()) for layer in layers_of(model)]
    half = len(are_old) // 2
    assert sorted(are_old, reverse=True) == are_old
    assert sum(are_old) in (half, half + len(are_old) % 2)
    deepest = [layer for layer in layers_of(model) if isinstance(layer, torch.nn.Conv2d)][-1].weight
    expected = (2 / (deepest.shape[0] * 9)) ** 0.5  # Kaiming normal, fan-out
    assert float(deepest.detach().std()) == pytest.approx(expected, rel=0.1)


def test_with_all_layers_new_the_original_is_known_from_its_answers_alone():
    """Two originals with the same answers and other weights: the inner channels of the last block change places."""
    one = tiny_model().train()
    other = copy.deepcopy(one)
    first, norm, _, second, _ = other.features[-1].residual
    with torch.no_grad():
        first.weight.copy_(first.weight.flip(0))
        second.weight.copy_(second.weight.flip(1))
    assert bool((norm.weight == 1).all())  # as those of a new model, so they need not change places
    ends = []
    for model in (one, other):
        method = load("renew_and_distill")
        torch.manual_seed(5)
        optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
        for step in range(3):
            method.unlearn_step(model.train(), RETAIN, FORGET, optimizer, step, 0)
        ends.append(model.state_dict())
    for name, tensor in ends[0].items():
        torch.testing.assert_close(tensor, ends[1][name], rtol=1e-3, atol=1e-3)


def test_it_never_sees_a_forget_image():
    ends = []
    for images in (FORGET[0], torch.full_like(FORGET[0], torch.nan)):
        model, method = tiny_model(), load("renew_and_distill")
        torch.manual_seed(5)
        optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
        for step in range(3):
            method.unlearn_step(model.train(), RETAIN, (images, FORGET[1]), optimizer, step, 0)
        ends.append(model.state_dict())
    assert all(torch.equal(tensor, ends[1][name]) for name, tensor in ends[0].items())
