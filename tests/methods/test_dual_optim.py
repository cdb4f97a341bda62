"""Moments of their own for forget steps: the wrapper against two optimizers, for each method that it wraps."""

import copy

import pytest
import torch
from method_helpers import CONFIG, FORGET, RETAIN, SIZES, cross_entropy, load, tiny_model
from methods.shared.moments import exchange_moments
from project import ROOT

from unlearning.runner.interface import load_method

FILE = ROOT / "scripts/methods/dual_optim.py"
WITH_A_STEP_PER_LOSS = ["fanchuan", "scrub", "sfron"]
WITH_ONE_STEP_FOR_BOTH = [
    "bad_teacher",
    "boundary_shrink",
    "delete",
    "neggrad_plus",
    "npo",
    "random_label",
    "salun",
    "trew",
]
STEPS = [(epoch, step) for epoch in (0, 1) for step in range(4)]


def always(name):
    """Return hyperparameters with which every step is a forget turn, of a method that has a choice."""
    return {"forget_pass": "always"} if "forget_pass" in CONFIG["methods"][name].get("hyperparameters", {}) else {}


def wrapped(name, **hyperparameters):
    given = CONFIG["methods"][name].get("hyperparameters", {}) | hyperparameters
    return load_method(FILE, {"method": name} | given, SIZES)


def adam(model):
    return torch.optim.Adam(model.parameters(), lr=0.01)


def run(method, model, optimizer):
    torch.manual_seed(1)
    for epoch, step in STEPS:
        method.unlearn_step(model.train(), RETAIN, FORGET, optimizer, step, epoch)
    return torch.cat([parameter.detach().flatten() for parameter in model.parameters()])


class Several:
    """In place of an optimizer: it steps with ``optimizers`` in turn, or only counts the steps if there are none."""

    def __init__(self, model, optimizers=()):
        self.model, self.optimizers, self.steps = model, list(optimizers), 0

    def zero_grad(self):
        self.model.zero_grad()

    def step(self):
        self.steps += 1
        if self.optimizers:
            self.optimizers.pop(0).step()


def steps_in(method, model, *arguments):
    """Return how many steps a call of ``unlearn_step`` would take."""
    method, model = copy.deepcopy((method, model))
    counting = Several(model)
    with torch.random.fork_rng():
        method.unlearn_step(model, RETAIN, FORGET, counting, *arguments)
    return counting.steps


@pytest.mark.parametrize("name", WITH_A_STEP_PER_LOSS)
def test_a_method_with_a_step_per_loss_is_stepped_as_by_two_optimizers(name):
    """In these, the first of two steps is the forget step, and an only step is a retain step."""
    method, model = load(name), tiny_model().train()
    of_forget, of_retain = adam(model), adam(model)
    torch.manual_seed(1)
    counts = []
    for epoch, step in STEPS:
        counts.append(steps_in(method, model.train(), step, epoch))
        optimizers = [of_forget, of_retain] if counts[-1] == 2 else [of_retain]
        method.unlearn_step(model, RETAIN, FORGET, Several(model, optimizers), step, epoch)
    assert 2 in counts
    expected = torch.cat([parameter.detach().flatten() for parameter in model.parameters()])
    model = tiny_model()
    assert torch.equal(run(wrapped(name), model, adam(model)), expected)
    model = tiny_model()
    assert not torch.allclose(run(load(name), model, adam(model)), expected, atol=1e-3)


def test_a_sum_of_two_losses_becomes_a_forget_step_and_a_retain_step():
    """Random labels: two optimizers, and each loss written out."""
    model = tiny_model().train()
    of_forget, of_retain = adam(model), adam(model)
    torch.manual_seed(1)
    for _ in STEPS:
        labels = torch.randint(1, 10, (len(FORGET[0]),))  # the forget class is 0
        for optimizer, images, wanted in ((of_forget, FORGET[0], labels), (of_retain, *RETAIN)):
            optimizer.zero_grad()
            cross_entropy(model(images), wanted).backward()
            optimizer.step()
    expected = torch.cat([parameter.detach().flatten() for parameter in model.parameters()])
    model = tiny_model()
    assert torch.allclose(
        run(wrapped("random_label", **always("random_label")), model, adam(model)), expected, atol=2e-3
    )


def counts_of(method, model):
    """Return the steps counted in the moments of forget steps and in the optimizer's own, after each call."""
    optimizer, counts = adam(model), []
    for epoch, step in STEPS:
        values = method.unlearn_step(model.train(), RETAIN, FORGET, optimizer, step, epoch)
        assert torch.as_tensor(values["loss"]).isfinite()
        assert torch.as_tensor(values.get("forget_loss", 0.0)).isfinite()
        own, others = (int(moments.get("step", 0)) for moments in first_moments(method, optimizer, model))
        counts.append((others, own))
    return counts


def recorded_passes(model):
    """Return a list to which each training pass of ``model`` will add its number of images."""
    passes = []
    model.register_forward_pre_hook(lambda seen, given: passes.append(len(given[0])) if seen.training else None)
    return passes


@pytest.mark.parametrize("name", WITH_ONE_STEP_FOR_BOTH)
def test_every_other_method_takes_a_forget_step_and_then_a_retain_step(name):
    model = tiny_model()
    passes = recorded_passes(model)
    counts = counts_of(wrapped(name, **always(name)), model)
    steps = counts[-1][0]
    assert steps == len(STEPS) or (name == "salun" and 0 < steps < len(STEPS))  # salun measures first
    assert counts == [(0, 0)] * (len(STEPS) - steps) + [(n, n) for n in range(1, steps + 1)]
    assert passes == steps * [len(FORGET[0]), len(RETAIN[0])]


def test_between_forget_turns_it_takes_a_retain_step_alone():
    """A run like `SIZES` has one forget turn in nine steps; here each epoch has four."""
    model = tiny_model()
    passes = recorded_passes(model)
    counts = counts_of(wrapped("trew", forget_pass="once"), model)
    assert counts == [(1, 1), (1, 2), (1, 3), (1, 4), (2, 5), (2, 6), (2, 7), (2, 8)]
    assert passes == 2 * [len(FORGET[0]), *4 * [len(RETAIN[0])]]


def first_moments(method, optimizer, model):
    """Return the optimizer's own moments of the first parameter, and those of the forget steps."""
    moments = method.forget_moments
    return optimizer.state.get(next(model.parameters()), {}), moments[0] if moments else {}


def test_in_salun_only_the_masked_weights_move_in_both_steps():
    model, method = tiny_model(), wrapped("salun")
    before = copy.deepcopy(model)
    run(method, model, adam(model))
    moved = [a != b for a, b in zip(model.parameters(), before.parameters(), strict=True)]
    assert all(not (change & ~mask).any() for change, mask in zip(moved, method.masks, strict=True))
    assert any(change.any() for change in moved)


def test_what_it_wraps_is_named_and_nothing_that_it_remembers_is_named_as_its_own():
    with pytest.raises(
        ValueError, match=r"method is 'munba'; write one of bad_teacher, boundary_shrink, .*trew$"
    ) as said:
        load_method(FILE, {"method": "munba"}, SIZES)
    assert "\n" not in str(said.value)
    for name in WITH_A_STEP_PER_LOSS + WITH_ONE_STEP_FOR_BOTH:
        assert name in str(said.value)
        assert not vars(load(name)).keys() & {"method", "turns", "forget_moments"}


def test_hyperparameters_are_those_of_the_wrapped_method():
    with pytest.raises(TypeError, match="shift"):
        wrapped("scrub", shift=1)


def test_exchanged_twice_all_moments_are_where_they_were():
    model, others = tiny_model(), []
    optimizer = adam(model)
    model(RETAIN[0]).sum().backward()
    optimizer.step()
    own = {parameter: dict(state) for parameter, state in optimizer.state.items()}
    exchange_moments(optimizer, others)
    assert all(state == {} for state in optimizer.state.values())
    optimizer.step()  # starts anew
    assert {int(state["step"]) for state in optimizer.state.values()} == {1}
    exchange_moments(optimizer, others)
    for parameter, state in own.items():
        assert all(optimizer.state[parameter][name] is value for name, value in state.items())
    assert len(others) == len(own)
    assert all(other["exp_avg"] is not optimizer.state[p]["exp_avg"] for p, other in zip(own, others, strict=True))
