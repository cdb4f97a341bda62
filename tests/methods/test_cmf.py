"""The head of class means: what it is, that it is what the saved weights answer, and what is trained under it."""

import copy

import pytest
import torch
from method_helpers import FORGET, RETAIN, batch, cross_entropy, load, tiny_model

from unlearning.models import build_model

SIZES = {"retain_images": 54, "forget_images": 6, "steps_per_epoch": 9, "steps_per_forget_pass": 1}
MIXED = (batch(40, 0, 3)[0], 1 + torch.arange(40) % 9)
"""A retain batch of all nine classes. 50 images per class are 13 such batches: here all 9 of an epoch are measured."""


@pytest.fixture
def model():
    model = tiny_model().train()
    torch.nn.init.normal_(model.head.bias)  # as after a training
    return model


def unlearned(model, steps=range(9), epochs=(0, 1), **hyperparameters):
    """Apply the method with Adam, and return it."""
    method = load("cmf", sizes=SIZES, **hyperparameters)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for epoch in epochs:
        for step in steps:
            method.unlearn_step(model, MIXED, FORGET, optimizer, step, epoch)
    return method


def unit(vectors):
    return vectors / vectors.norm(dim=-1, keepdim=True)


def head_by_definition(model):
    """Return (m, rows): the mean of all training images and class directions, class by class, in eval mode."""
    with torch.no_grad():
        retain, forget = (unit(model.eval().embed(images)) for images, _ in (MIXED, FORGET))
        m = 0.9 * retain.mean(0) + 0.1 * forget.mean(0)  # 6 of 60 images are to be forgotten
        rows = []
        for label in range(10):
            mean = (retain[MIXED[1] == label] if label else forget).mean(0)
            rows.append(unit(mean - (mean @ m) / (m @ m) * m))
    return m, torch.stack(rows)


def test_at_the_end_of_an_epoch_the_head_is_made_of_the_class_means_of_the_weights_as_they_are_then(model):
    method = unlearned(model)
    m, rows = head_by_definition(model)
    torch.testing.assert_close(method.mean, m, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(method.rows, rows, rtol=1e-3, atol=1e-4)
    assert method.measured == []  # no image is kept for the next epoch


@pytest.mark.parametrize("temperature", [1.0, 10.0])
def test_the_saved_weights_alone_give_the_methods_answers(model, temperature):
    method = unlearned(model, temperature=temperature)
    fresh = build_model("resnet20", 10, 1, width=0.25).eval()
    fresh.load_state_dict(model.state_dict())
    images = batch(500, 0, 9)[0]
    with torch.no_grad():
        centred = unit(fresh.embed(images)) - method.mean
        by_method, by_weights = temperature * unit(centred) @ method.rows.T, fresh(images)
    assert torch.equal(by_method.argmax(1), by_weights.argmax(1))
    assert len(by_weights.argmax(1).unique()) > 2
    # Only the length of the logits differs, by the length of an image's features.
    torch.testing.assert_close(unit(by_method), unit(by_weights), rtol=1e-3, atol=1e-4)
    assert by_weights.norm(dim=1).mean() == pytest.approx(by_method.norm(dim=1).mean(), rel=0.5)


def test_the_first_steps_measure_and_leave_the_model_as_it_is(model):
    before = copy.deepcopy(model.state_dict())
    values = load("cmf", sizes=SIZES).unlearn_step(model, RETAIN, FORGET, None, 0, 0)
    assert values["loss"].item() == pytest.approx(cross_entropy(model.eval()(RETAIN[0]), RETAIN[1]).item(), rel=1e-4)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_a_short_last_batch_does_not_make_it_measure_longer(model):
    method = load("cmf", sizes=SIZES)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    method.unlearn_step(model, batch(500, 3, 4), FORGET, optimizer, 0, 0)  # 50 images per class at once
    before = copy.deepcopy(model.features.state_dict())
    method.unlearn_step(model, RETAIN, FORGET, optimizer, 1, 0)
    assert any(not torch.equal(value, before[name]) for name, value in model.features.state_dict().items())


@pytest.mark.parametrize(("step", "forgets"), [(0, True), (1, False)])
def test_the_features_are_trained_under_a_head_that_stays(model, step, forgets):
    method = unlearned(model, epochs=(0,))
    head = model.head.weight.detach().clone()
    recorded = []

    class Optimizer(torch.optim.SGD):
        def step(self):
            recorded.append([p.grad for p in model.parameters()])

    torch.manual_seed(1)
    drawn = torch.randint(1, 10, (len(FORGET[0]),))
    torch.manual_seed(1)
    method.unlearn_step(model.train(), MIXED, FORGET, Optimizer(model.parameters(), lr=0.0), step, 1)
    images = torch.cat([MIXED[0], FORGET[0]]) if forgets else MIXED[0]
    labels = torch.cat([MIXED[1], drawn]) if forgets else MIXED[1]
    logits = unit(unit(model.train().embed(images)) - method.mean) @ method.rows.T
    weights = [p for name, p in model.named_parameters() if not name.startswith("head")]
    wanted = torch.autograd.grad(cross_entropy(logits, labels), weights)
    norm = torch.stack([gradient.norm() for gradient in wanted]).norm()
    *found, of_rows, of_bias = recorded[0]
    assert (of_rows, of_bias) == (None, None)
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, other * min(1, 1 / norm), rtol=1e-3, atol=1e-5)
    assert torch.equal(model.head.weight, head)


def test_a_class_without_images_gets_no_row(model):
    method = load("cmf", sizes=SIZES | {"steps_per_epoch": 1})
    method.unlearn_step(model, RETAIN, FORGET, None, 0, 0)  # only the classes 3 and 0
    assert (method.rows.norm(dim=1) > 0).tolist() == [label in (0, 3) for label in range(10)]
