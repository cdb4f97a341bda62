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


class Two:
    """Two optimizers: the first of two steps in a call of ``unlearn_step`` is the forget step."""

    def __init__(self, model, forgets):
        self.of_forget, self.of_retain, self.forgets = adam(model), adam(model), forgets
        self.turn = None

    def unlearn_step(self, method, *arguments, epoch, step):
        self.next = [self.of_forget, self.of_retain] if self.forgets(epoch, step) else [self.of_retain]
        method.unlearn_step(*arguments, self, step, epoch)
        return self.next == []

    def zero_grad(self):
        self.of_retain.zero_grad()

    def step(self):
        self.next.pop(0).step()


FORGETS = {
    "fanchuan": lambda epoch, step: True,
    "scrub": lambda epoch, step: epoch < 2,
    "sfron": lambda epoch, step: epoch == 1 and step % 2 == 0,
}
"""When each takes a forget step, with sfron's forget_every at 2."""


@pytest.mark.parametrize("name", WITH_A_STEP_PER_LOSS)
def test_a_method_with_a_step_per_loss_is_stepped_as_by_two_optimizers(name):
    settings = {"forget_every": 2} if name == "sfron" else {}
    method, model = load(name, **settings), tiny_model()
    two = Two(model, FORGETS[name])
    torch.manual_seed(1)
    for epoch, step in STEPS:
        done = two.unlearn_step(method, model.train(), RETAIN, FORGET, epoch=epoch, step=step)
        assert done or (name, epoch) == ("sfron", 0)  # sfron's first epoch takes no step
    expected = torch.cat([parameter.detach().flatten() for parameter in model.parameters()])
    model = tiny_model()
    assert torch.equal(run(wrapped(name, **settings), model, adam(model)), expected)
    model = tiny_model()
    assert not torch.allclose(run(load(name, **settings), model, adam(model)), expected, atol=1e-3)


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
    assert torch.allclose(run(wrapped("random_label"), model, adam(model)), expected, atol=2e-3)


@pytest.mark.parametrize("name", WITH_ONE_STEP_FOR_BOTH)
def test_every_other_method_takes_a_forget_step_and_a_retain_step_in_a_forget_turn(name):
    """The moments tell: each kind of steps is counted in its own, and only forget steps come from forget images."""
    method, model, images = wrapped(name, **({"forget_pass": "once"} if name == "trew" else {})), tiny_model(), []
    optimizer = adam(model)
    model.register_forward_pre_hook(lambda seen, given: images.append(len(given[0])) if seen.training else None)
    counts = []
    for epoch, step in STEPS:
        values = method.unlearn_step(model.train(), RETAIN, FORGET, optimizer, step, epoch)
        assert torch.as_tensor(values["loss"]).isfinite()
        own, forgets = (int(moments.get("step", 0)) for moments in first_moments(method, optimizer, model))
        counts.append((forgets, own))
    if name == "trew":  # one forget turn in the steps 0 to 3, in each of two epochs
        assert counts == [(1, 1), (1, 2), (1, 3), (1, 4), (2, 5), (2, 6), (2, 7), (2, 8)]
        assert images == 2 * [len(FORGET[0]), *4 * [len(RETAIN[0])]]
    elif name == "salun":  # its first epoch only measures
        assert counts == 4 * [(0, 0)] + [(n, n) for n in (1, 2, 3, 4)]
    else:
        assert counts == [(n, n) for n in range(1, 9)]
        assert images == 8 * [len(FORGET[0]), len(RETAIN[0])]


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
