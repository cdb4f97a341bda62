"""The tilted target, written out from its definition, and its limits."""

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from method_helpers import FORGET, RETAIN, cross_entropy, gradients_of, load, tiny_model


@pytest.fixture
def model():
    return tiny_model().train()


def unlike(model):
    """Return a copy of ``model`` in eval mode that is confident in the forget class and has rows of other angles."""
    original = copy.deepcopy(model).eval()
    with torch.no_grad():
        original.head.weight.add_(torch.randn_like(original.head.weight))
        original.head.bias[0] += 5
    return original


def started_from(original, **hyperparameters):
    """Return the method after its first step with ``original``: what it remembers is of this model."""
    method = load("trew", **hyperparameters)
    gradients_of(method, copy.deepcopy(original).train())
    return method


def assert_same_gradients(step, wanted):
    """Compare as vectors: in a sum over a whole network the small entries are only rounding."""
    found, wanted = (torch.cat([gradient.flatten() for gradient in each]) for each in (step, wanted))
    assert (found - wanted).norm() < 1e-4 * wanted.norm()


def gradients(loss, model):
    return torch.autograd.grad(loss, list(model.parameters()))


def target(original, beta):
    """Return q (B, classes), class by class, from the definition. The forget class is 0."""
    rows = original.head.weight.detach()
    p = original(FORGET[0]).softmax(1).detach()
    q = torch.zeros_like(p)
    for j in range(1, 10):
        cosine = rows[j] @ rows[0] / (rows[j].norm() * rows[0].norm())
        q[:, j] = p[:, j] * torch.exp(beta * cosine)
    return q / q.sum(1, keepdim=True)


@pytest.mark.parametrize("beta", [3.0, 10.0])
def test_it_teaches_the_original_answer_tilted_by_the_angles_between_the_heads_rows(model, beta):
    original = unlike(model)
    method = started_from(original, beta=beta)
    values, (step,) = gradients_of(method, model)
    retain, forget = model(torch.cat([RETAIN[0], FORGET[0]])).split([len(RETAIN[0]), len(FORGET[0])])
    q = target(original, beta)
    assert (q - target(original, 0.0)).abs().max() > 0.1  # the tilt has an effect here
    distance = (torch.xlogy(q, q) - q * forget.log_softmax(1)).sum(1).mean()
    loss = distance + cross_entropy(retain, RETAIN[1])
    assert values["loss"].item() == pytest.approx(loss.item(), rel=1e-4)
    assert_same_gradients(step, gradients(loss, model))


def test_without_a_tilt_it_is_delete(model):
    """Step 0 is a forget step; delete, at retain_weight 1, adds the same retain loss."""
    original = unlike(model)
    found = gradients_of(started_from(original, beta=0.0), model)
    wanted_method = load("delete", retain_weight=1.0)
    gradients_of(wanted_method, copy.deepcopy(original).train())
    wanted = gradients_of(wanted_method, model)
    assert found[0]["loss"].item() == pytest.approx(wanted[0]["loss"].item(), rel=1e-5)
    assert_same_gradients(found[1][0], wanted[1][0])


def test_between_forget_steps_it_only_repairs(model):
    """A run like `SIZES` has one forget step in nine."""
    values, (step,) = gradients_of(load("trew"), model, step=1)
    assert_same_gradients(step, gradients(cross_entropy(model(RETAIN[0]), RETAIN[1]), model))
    assert "forget_loss" not in values
    assert "forget_loss" in gradients_of(load("trew", forget_pass="always"), model, step=1)[0]


ORIGINAL = unlike(tiny_model())


@settings(max_examples=20)
@given(st.floats(0, 50), st.integers(0, 9))
def test_the_target_is_a_distribution_without_the_own_class_and_a_larger_beta_favours_the_nearest(beta, label):
    labels, rows = torch.full((len(FORGET[0]),), label), ORIGINAL.head.weight.detach()
    cosines = torch.cosine_similarity(rows[:, None], rows, dim=2)
    targets = []
    for tilt in (beta, beta + 5):
        method = load("trew", beta=tilt)
        method.original, method.tilt = ORIGINAL, tilt * cosines
        targets.append(method._targets(FORGET[0], labels))
        torch.testing.assert_close(targets[-1].sum(1), torch.ones(len(labels)))
        assert (targets[-1][:, label] == 0).all()
    nearest = cosines[label].topk(2).indices[1]  # the first is the class itself
    assert (targets[1][:, nearest] >= targets[0][:, nearest] - 1e-6).all()
