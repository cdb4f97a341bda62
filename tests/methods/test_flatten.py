"""flatten: its loss from the definitions, and that the spread pulls at every forget image alike."""

import copy

import pytest
import torch
from method_helpers import FORGET, RETAIN, assert_same_gradients, cross_entropy, gradients_of, kl, load, tiny_model


def shape_of(logits, shape):
    """Return how far the logits (B, classes) are from flat, image by image."""
    if shape == "spread":
        distances = logits - logits.mean(1, keepdim=True)
        return (distances.square().sum(1) / (logits.shape[1] - 1)).sqrt()
    flat = torch.full_like(logits, 1 / logits.shape[1])
    return (flat * (flat.log() - torch.softmax(logits, 1).log())).sum(1)


@pytest.mark.parametrize(("shape", "forget_weight"), [("spread", 1.0), ("kl", 2.0)])
def test_the_loss_is_that_of_labels_answers_and_flat_answers_to_forget_images(shape, forget_weight):
    model = tiny_model().train()
    original = copy.deepcopy(model).eval()
    method = load("flatten", shape=shape, forget_weight=forget_weight)
    returned, steps = gradients_of(method, model)
    (images, labels), (forget_images, _) = RETAIN, FORGET
    logits = model(torch.cat([images, forget_images]))
    retained, forgotten = logits[: len(images)], logits[len(images) :]
    answers = 16 * kl(original(images).detach()[:, 1:], retained[:, 1:], 4.0)  # the class 0 is forgotten
    named = -(1 - torch.softmax(forgotten, 1)[:, 0]).log().mean()
    expected = cross_entropy(retained, labels) + answers
    expected = expected + forget_weight * (named + shape_of(forgotten[:, 1:], shape).mean())
    torch.testing.assert_close(returned["loss"], expected, rtol=1e-4, atol=1e-5)
    assert_same_gradients(steps[0], model, expected)


def test_the_spread_pulls_at_a_nearly_flat_image_as_at_any_other():
    pulls = {}
    for shape in ("spread", "kl"):
        logits = torch.tensor([[-9.0, 0.1, -0.1, 0.0], [-9.0, 2.0, -2.0, 0.0]], requires_grad=True)
        loss = load("flatten", shape=shape).forget_loss(logits, torch.zeros(2, dtype=torch.int64))
        (gradient,) = torch.autograd.grad(loss, logits)
        pulls[shape] = gradient[:, 1:].norm(dim=1)
    nearly_flat, other = pulls["spread"]
    assert float(nearly_flat / other) == pytest.approx(1, abs=0.01)
    nearly_flat, other = pulls["kl"]
    assert float(nearly_flat / other) < 0.1


@pytest.mark.parametrize("classes", [2, 4])
def test_a_flat_answer_gives_a_finite_gradient_also_with_one_other_class(classes):
    logits = torch.zeros(2, classes, requires_grad=True)
    loss = load("flatten").forget_loss(logits, torch.tensor([0, 1]))
    (gradient,) = torch.autograd.grad(loss, logits)
    assert bool(gradient.isfinite().all())
    assert bool((gradient[[0, 1], [0, 1]] > 0).all())  # away from each image's own label


def test_an_unknown_shape_is_named():
    with pytest.raises(ValueError, match="shape is 'KL'; write spread or kl"):
        load("flatten", shape="KL")
