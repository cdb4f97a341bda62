"""The controls that train, scratch and retain_finetune_averaged, and the averaging that methods share."""

import copy

import pytest
import torch
from method_helpers import FORGET, RETAIN, cross_entropy, load, tiny_model

from unlearning.models import initialise


def vector(model):
    """Return the weights and running statistics as one vector."""
    return torch.cat([tensor.flatten().clone() for tensor in model.state_dict().values() if tensor.is_floating_point()])


def run(name, model, steps=4, **hyperparameters):
    """Apply the method for two epochs of ``steps`` / 2, and return the weights after each step and what it returned.

    The weights are those that the optimizer left and those that the model holds at the end of the step.
    """
    method = load(name, **hyperparameters)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    stepped, shown = [], []
    optimizer.register_step_post_hook(lambda *_: stepped.append(vector(model)))
    for epoch in range(2):
        for step in range(steps // 2):
            method.unlearn_step(model.train(), RETAIN, FORGET, optimizer, step, epoch)
            shown.append(vector(model))
    return stepped, shown


def test_scratch_is_training_from_new_weights_and_once_only():
    model = tiny_model().train()
    new = copy.deepcopy(model)
    torch.manual_seed(5)
    _, shown = run("scratch", model)
    torch.manual_seed(5)
    initialise(new)
    optimizer = torch.optim.Adam(new.parameters(), lr=0.01)
    for weights in shown:
        optimizer.zero_grad()
        cross_entropy(new.train()(RETAIN[0]), RETAIN[1]).backward()
        optimizer.step()
        torch.testing.assert_close(weights, vector(new), rtol=1e-3, atol=1e-3)


def test_scratch_keeps_nothing_of_the_original_model():
    one, other = tiny_model(), tiny_model()
    with torch.no_grad():
        for tensor in other.state_dict().values():
            tensor.add_(1)  # weights, running statistics and their counters
    ends = []
    for model in (one, other):
        torch.manual_seed(5)
        ends.append(run("scratch", model)[1][-1])
    assert torch.equal(*ends)
    assert one.state_dict()["features.1.num_batches_tracked"] == other.state_dict()["features.1.num_batches_tracked"]


@pytest.mark.parametrize("name", ["retain_finetune_averaged", "renew_and_distill", "flatten"])
def test_the_average_is_that_of_mask_and_average(name):
    """With recency 2, the weights of step t count as t (t + 1)."""
    stepped, shown = run(name, tiny_model(), recency=2.0)
    counts = [1 * 2, 2 * 3, 3 * 4, 4 * 5]
    for step, held in enumerate(shown, start=1):
        total = sum(count * weights for count, weights in zip(counts[:step], stepped, strict=False))
        torch.testing.assert_close(held, total / sum(counts[:step]), rtol=1e-4, atol=1e-5)


def test_the_optimizer_goes_the_way_of_retain_finetune_whatever_the_average():
    one, other = tiny_model(), tiny_model()
    stepped, shown = run("retain_finetune_averaged", one)
    plain, _ = run("retain_finetune", other)
    for with_average, without in zip(stepped, plain, strict=True):
        assert torch.equal(with_average, without)
    assert not torch.allclose(shown[-1], plain[-1], rtol=1e-3)
