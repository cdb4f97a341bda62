"""The baselines, each compared with its formula, written independently."""

import copy

import pytest
import torch
from method_helpers import FORGET, RETAIN, assert_same_gradients, cross_entropy, gradients_of, kl, load, tiny_model


def test_retain_finetune_is_cross_entropy_on_the_retain_batch():
    model = tiny_model().train()
    values, (step,) = gradients_of(load("retain_finetune"), model)
    loss = cross_entropy(model(RETAIN[0]), RETAIN[1])
    assert values["loss"].item() == pytest.approx(loss.item(), rel=1e-4)
    assert_same_gradients(step, model, loss)


def test_negative_gradient_subtracts_half_of_the_forget_loss():
    model = tiny_model().train()
    values, (step,) = gradients_of(load("negative_gradient"), model)
    loss = cross_entropy(model(RETAIN[0]), RETAIN[1]) - 0.5 * cross_entropy(model(FORGET[0]), FORGET[1])
    assert values["loss"].item() == pytest.approx(loss.item(), rel=1e-4)
    assert_same_gradients(step, model, loss)


def test_bad_teacher_follows_each_teacher_on_its_half_of_one_forward_pass():
    model = tiny_model().train()
    original = copy.deepcopy(model).eval()
    method = load("bad_teacher")
    torch.manual_seed(1)
    values, (step,) = gradients_of(method, model)
    # The incompetent teacher is a network that this test does not know: take it from the method.
    incompetent = method.incompetent
    assert not torch.equal(incompetent.head.weight, original.head.weight)
    with torch.no_grad():
        targets = torch.cat([original(RETAIN[0]), incompetent(FORGET[0])])
    loss = kl(targets, model(torch.cat([RETAIN[0], FORGET[0]])), temperature=1)
    assert values["loss"].item() == pytest.approx(loss.item(), rel=1e-4)
    assert_same_gradients(step, model, loss)
    assert not method.competent.training
    assert not incompetent.training


@pytest.mark.parametrize("epoch", [0, 1])
def test_scrub_begins_with_a_max_step_of_its_own(epoch):
    model = tiny_model().train()
    with torch.no_grad():
        teacher = copy.deepcopy(model).eval()
        model.head.weight.add_(0.1 * torch.randn_like(model.head.weight))
    method = load("scrub")
    method.teacher = teacher
    values, (max_step, min_step) = gradients_of(method, model, epoch)
    max_loss = -16 * kl(teacher(FORGET[0]).detach(), model(FORGET[0]), temperature=4)
    assert values["max_loss"].item() == pytest.approx(max_loss.item(), rel=1e-3)
    assert_same_gradients(max_step, model, max_loss)
    logits = model(RETAIN[0])
    distance = 16 * kl(teacher(RETAIN[0]).detach(), logits, temperature=4)
    assert_same_gradients(min_step, model, 0.99 * cross_entropy(logits, RETAIN[1]) + 0.01 * distance)


def test_scrub_only_repairs_from_its_third_epoch():
    values, steps = gradients_of(load("scrub"), tiny_model().train(), epoch=2)
    assert len(steps) == 1
    assert "max_loss" not in values


def test_teachers_stay_as_they_were():
    for name, teachers in {"bad_teacher": ("competent", "incompetent"), "scrub": ("teacher",)}.items():
        model, method = tiny_model(), load(name)
        optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
        before = None
        for step in range(3):
            model.train()
            method.unlearn_step(model, RETAIN, FORGET, optimizer, step, 0)
            states = [copy.deepcopy(getattr(method, teacher).state_dict()) for teacher in teachers]
            assert before is None or str(states) == str(before)
            before = states
