"""The further methods, each compared with its formula, written independently."""

import copy
import math

import pytest
import torch
from method_helpers import FORGET, RETAIN, SIZES, cross_entropy, gradients_of, kl, load, tiny_model

BOTH = torch.cat([RETAIN[0], FORGET[0]])


@pytest.fixture
def model():
    return tiny_model().train()


@pytest.fixture
def original(model):
    """Return a copy of the model in eval mode, confident in the forget class, and move the model away from the copy."""
    original = copy.deepcopy(model).eval()
    with torch.no_grad():
        original.head.bias[0] += 5
        model.head.weight.add_(torch.randn_like(model.head.weight))
    return original


def logits_of(model):
    """Return the logits of the retain and of the forget images, from one forward pass."""
    return model(BOTH).split([len(RETAIN[0]), len(FORGET[0])])


def gradient(loss, model):
    return torch.autograd.grad(loss, list(model.parameters()))


def flat(gradients):
    return torch.cat([one.flatten() for one in gradients])


def assert_same(found, wanted):
    """Compare as vectors, because in a sum over a whole network the small entries are only rounding."""
    assert (found - wanted).norm() < 1e-4 * wanted.norm()


def assert_same_gradients(step, model, loss):
    assert_same(flat(step), flat(gradient(loss, model)))


def apply(method, model, epochs, learning_rate=0.001):
    """Apply two steps in each of ``epochs``, and return the weights before the first step and after each step."""
    optimizer = torch.optim.Adam(model.parameters(), lr=learning_rate)
    weights = [flat(model.parameters()).detach()]
    for epoch in epochs:
        for step in range(2):
            method.unlearn_step(model.train(), RETAIN, FORGET, optimizer, step, epoch)
            weights.append(flat(model.parameters()).detach())
    return weights


def drawn_labels(seed=1):
    """Return random other labels for the forget images, which are all of class 0, drawn as the methods draw them."""
    torch.manual_seed(seed)
    return torch.randint(1, 10, (len(FORGET[0]),))


@pytest.mark.parametrize(
    ("name", "weight"),
    [("random_label", 1), ("munba", 1), ("delete", 3), ("npo", 3), ("neggrad_plus", 0.95), ("fanchuan", 1)],
)
@pytest.mark.parametrize("epoch", [0, 1])
def test_a_step_that_is_no_forget_step_is_the_weighted_retain_loss_alone(model, name, weight, epoch):
    hyperparameters = {"retain_weight": 3.0} if weight == 3 else {"beta": 0.95} if weight == 0.95 else {}
    method = load(name, forget_pass="once", **hyperparameters)  # nosec B106: not a password
    repair = cross_entropy(model(RETAIN[0]), RETAIN[1])
    for number in range(1, 9):
        values, (step,) = gradients_of(method, model, epoch, number)
        assert values["loss"].item() == pytest.approx(weight * repair.item(), rel=1e-3)
        assert_same(flat(step), flat(gradient(weight * cross_entropy(model(RETAIN[0]), RETAIN[1]), model)))


@pytest.mark.parametrize("name", ["random_label", "munba", "delete", "npo", "neggrad_plus", "fanchuan"])
@pytest.mark.parametrize("forget_pass", ["once", "always"])
def test_the_last_of_nine_steps_sees_forget_images_only_if_that_is_always(model, name, forget_pass):
    seen = []
    with model.register_forward_pre_hook(lambda _, inputs: seen.append(len(inputs[0]))):
        gradients_of(load(name, forget_pass=forget_pass), model, epoch=1, step=8)
    assert (sum(seen) > len(RETAIN[0])) == (forget_pass == "always")


def test_random_label_trains_on_other_labels(model):
    labels = drawn_labels()
    torch.manual_seed(1)
    values, (step,) = gradients_of(load("random_label"), model)
    loss = sum(map(cross_entropy, logits_of(model), (RETAIN[1], labels)))
    assert values["loss"].item() == pytest.approx(loss.item(), rel=1e-4)
    assert_same_gradients(step, model, loss)


def test_random_other_labels_are_each_other_class_and_never_the_own():
    module = load("random_label").unlearn_step.__globals__
    labels = torch.arange(5).repeat(200)
    drawn = module["random_other_labels"](labels, 5)
    pairs = {(int(a), int(b)) for a, b in zip(labels, drawn, strict=True)}
    assert pairs == {(a, b) for a in range(5) for b in range(5) if a != b}


def test_salun_moves_the_half_with_the_largest_forget_gradients_and_nothing_else(model):
    saliency = flat(gradient(cross_entropy(model.eval()(FORGET[0]), FORGET[1]), model)).abs()
    is_free = saliency > saliency.median()
    start, *first_epoch, end, _ = apply(load("salun"), model, epochs=[0, 1])
    assert all(torch.equal(weights, start) for weights in first_epoch)
    assert torch.equal(end[~is_free], start[~is_free])
    assert (end != start)[is_free].float().mean() > 0.9  # except for dead units


def test_boundary_shrink_labels_a_forget_image_with_the_class_across_the_boundary(model):
    method = load("boundary_shrink")
    method.original = torch.nn.Sequential(
        torch.nn.Flatten(), torch.nn.Linear(64, 10)
    )  # small enough to be written out in full
    weight, bias = (parameter.detach() for parameter in method.original[1].parameters())
    images = FORGET[0].flatten(1)
    ascent = ((images @ weight.T + bias).softmax(1) - torch.eye(10)[0]) @ weight  # the forget class is 0
    here, nearest, opposite = (
        1 + ((images + bound * ascent.sign()) @ weight.T + bias)[:, 1:].argmax(1) for bound in (0, 0.4, -0.4)
    )
    assert not torch.equal(nearest, here)
    assert not torch.equal(nearest, opposite)
    values, (step,) = gradients_of(method, model)
    retain, forget = logits_of(model)
    loss = cross_entropy(forget, nearest) + cross_entropy(retain, RETAIN[1])
    assert values["loss"].item() == pytest.approx(loss.item(), rel=1e-4)
    assert_same_gradients(step, model, loss)


def test_unsir_impairs_with_noise_that_the_model_takes_for_no_forget_image_and_then_repairs(model):
    method, original = load("unsir"), copy.deepcopy(model).eval()
    _, (step,) = gradients_of(method, model)
    assert method.noise.shape == FORGET[0].shape
    before = cross_entropy(original(torch.randn_like(method.noise)), FORGET[1])
    assert cross_entropy(original(method.noise), FORGET[1]) > before + 1
    loss = cross_entropy(model(torch.cat([RETAIN[0], method.noise])), torch.cat([RETAIN[1], FORGET[1]]))
    assert_same_gradients(step, model, loss)
    _, (step,) = gradients_of(method, model, epoch=1)
    assert_same_gradients(step, model, cross_entropy(model(RETAIN[0]), RETAIN[1]))


def test_ssd_dampens_once_by_the_ratio_of_importances(model):
    of_retain, of_forget = (
        flat(gradient(cross_entropy(model.eval()(images), labels), model)).square()
        for images, labels in (RETAIN, FORGET)
    )
    start, *first_epoch, dampened, later = apply(load("ssd"), model, epochs=[0, 1])
    assert all(torch.equal(weights, start) for weights in first_epoch)
    is_selected = of_forget > 10 * of_retain
    assert 0 < is_selected.sum() < len(start) / 2
    expected = torch.where(is_selected, start * of_retain / of_forget, start)
    torch.testing.assert_close(dampened, expected, rtol=1e-3, atol=1e-6)
    assert torch.equal(later, dampened)


def test_fisher_forgetting_adds_noise_once_by_the_inverse_root_of_the_fisher_information(model):
    method = load("fisher_forgetting")
    start = flat(model.parameters()).detach()
    method.fisher, method.batches = [torch.full_like(parameter, 0.08) for parameter in model.parameters()], 2
    method.fisher[-1].zero_()  # the head's bias: ten weights without any effect
    _, noisy, later = apply(method, model, epochs=[1])
    noise = noisy - start
    assert noise[:-10].std().item() == pytest.approx(math.sqrt(1e-6 / 0.04), rel=0.05)
    assert 0.01 < noise[-10:].std().item() < 0.1  # the root of 1e-6 / 1e-3 is 0.03
    assert torch.equal(later, noisy)


def test_fisher_forgetting_estimates_the_fisher_information(model):
    """For the head's bias it is the mean of p (1 - p): the gradient is p minus the indicator of the drawn class."""
    method = load("fisher_forgetting")
    with torch.no_grad():
        model.head.weight.mul_(0.1)  # an unsure model
        probabilities = model.eval()(RETAIN[0]).softmax(1)
    draws = 300
    for _ in range(draws):
        method._add_to_fisher(model, RETAIN[0])
    expected = (probabilities * (1 - probabilities)).mean(0).sum()
    assert method.fisher[-1].sum().item() / draws == pytest.approx(expected.item(), rel=0.2)


@pytest.mark.parametrize(("epoch", "share"), [(0, 1.0), (5, 0.5), (10, 0.0), (15, 0.0)])
def test_l1_sparse_pulls_weights_to_zero_less_and_less(model, epoch, share):
    values, (step,) = gradients_of(load("l1_sparse"), model, epoch)
    size = sum(parameter.abs().sum() for parameter in model.parameters())
    loss = cross_entropy(model(RETAIN[0]), RETAIN[1]) + 1e-5 * share * size
    assert values["loss"].item() == pytest.approx(loss.item(), rel=1e-4)
    assert_same_gradients(step, model, loss)


def test_npo_is_the_negative_part_of_a_preference_loss(model, original):
    method = load("npo")
    method.original = copy.deepcopy(original)
    values, (step,) = gradients_of(method, model)
    retain, forget = logits_of(model)
    with torch.no_grad():
        reference = original(FORGET[0]).softmax(1)[:, 0]
    ratio = forget.softmax(1)[:, 0] / reference
    loss = 2 / 0.1 * torch.log(1 + ratio**0.1).mean() + cross_entropy(retain, RETAIN[1])
    assert values["loss"].item() == pytest.approx(loss.item(), rel=1e-4)
    assert_same_gradients(step, model, loss)


def test_neggrad_plus_weighs_descent_against_ascent(model):
    values, (step,) = gradients_of(load("neggrad_plus", beta=0.9), model)
    retain, forget = logits_of(model)
    loss = 0.9 * cross_entropy(retain, RETAIN[1]) - 0.1 * cross_entropy(forget, FORGET[1])
    assert values["loss"].item() == pytest.approx(loss.item(), rel=1e-4)
    assert_same_gradients(step, model, loss)


def test_delete_follows_the_original_model_among_the_other_classes(model, original):
    method = load("delete")
    method.original = copy.deepcopy(original)
    values, (step,) = gradients_of(method, model)
    retain, forget = logits_of(model)
    with torch.no_grad():
        others = original(FORGET[0]).softmax(1)[:, 1:]  # the forget class is 0
        target = others / others.sum(1, keepdim=True)
    distance = (target * (target.log() - forget.log_softmax(1)[:, 1:])).sum(1).mean()
    loss = distance + cross_entropy(retain, RETAIN[1])
    assert values["loss"].item() == pytest.approx(loss.item(), rel=1e-4)
    assert_same_gradients(step, model, loss)


def test_delete_without_a_retain_weight_moves_the_weights_in_forget_steps_alone(model):
    method, optimizer = load("delete", retain_weight=0.0), torch.optim.Adam(model.parameters(), lr=0.001)
    weights = []
    for step in (0, 1, 8):
        method.unlearn_step(model, RETAIN, FORGET, optimizer, step, 0)
        weights.append(copy.deepcopy(model.state_dict()))
    assert all(torch.equal(first, second) for later in weights[1:] for first, second in zip_states(weights[0], later))


def zip_states(first, second):
    return zip(first.values(), second.values(), strict=True)


def test_munba_solves_the_bargaining_game(model):
    """The update is G alpha with G^T G alpha = 1 / alpha, the condition in the paper, clipped to norm 1."""
    labels = drawn_labels()
    torch.manual_seed(1)
    _, (step,) = gradients_of(load("munba"), model)
    assert flat(step).norm().item() == pytest.approx(1, rel=1e-4)
    step = [2**0.5 * gradient for gradient in step]
    retain, forget = logits_of(model)
    losses = (cross_entropy(retain, RETAIN[1]), cross_entropy(forget, labels))
    both = torch.stack(
        [flat(torch.autograd.grad(loss, list(model.parameters()), retain_graph=True)) for loss in losses]
    )
    alpha = torch.linalg.lstsq(both.T, flat(step)[:, None]).solution[:, 0]
    assert_same(both.T @ alpha, flat(step))
    torch.testing.assert_close(both @ both.T @ alpha, 1 / alpha, rtol=1e-3, atol=1e-5)


def test_sfron_ascends_on_salient_weights_and_then_descends_on_the_retain_loss(model):
    method = load("sfron", forget_epochs=4.0)
    of_retain, of_forget = (
        flat(gradient(cross_entropy(model.eval()(images), labels), model)).square()
        for images, labels in (RETAIN, FORGET)
    )
    _, no_step = gradients_of(method, model, epoch=0)
    assert no_step == []
    _, (forget_step, retain_step) = gradients_of(method, model.train(), epoch=1)
    losses = -model(FORGET[0]).log_softmax(1)[:, 0]
    weights = losses.detach() ** -0.5
    ascent = -25 * flat(gradient((weights * losses).sum() / weights.sum(), model)) * (of_forget >= of_retain)
    ascent *= (1 + math.sqrt(0.5)) / 2  # a quarter of the run: the cosine of 45 degrees
    assert ascent.norm() > 7
    assert_same(flat(forget_step), ascent * 7 / ascent.norm())
    assert_same_gradients(retain_step, model, cross_entropy(model(RETAIN[0]), RETAIN[1]))


def test_sfron_forgets_less_and_less_from_step_to_step(model):
    """After 12 of 18 steps the cosine is that of 120 degrees, so that a quarter of the weight is left."""
    method = load("sfron", forget_weight=4.0, forget_epochs=2.0, forget_passes=9.0, saliency=0.0, max_norm=1e9)
    gradients_of(method, model, epoch=0)
    _, (forget_step, _) = gradients_of(method, model.train(), epoch=1, step=3)
    losses = -model(FORGET[0]).log_softmax(1)[:, 0]
    weights = losses.detach() ** -0.5
    assert_same(flat(forget_step), -flat(gradient((weights * losses).sum() / weights.sum(), model)))


def test_sfron_measures_for_one_pass_over_the_forget_set_and_spreads_its_forget_steps(model):
    """With 2 passes of 1 of 9 steps: forget steps in steps 0 and 5; and with 1.3 epochs: only 0 in the second."""
    method = load("sfron", forget_epochs=1.3, forget_passes=2.0)
    first, second = (
        [len(gradients_of(method, model.train(), epoch, step)[1]) for step in range(9)] for epoch in (0, 1)
    )
    assert first == [0, 1, 1, 1, 1, 2, 1, 1, 1]
    assert second == [2, 1, 1, 1, 1, 1, 1, 1, 1]


def test_uam_descends_from_where_the_forget_set_is_forgotten(model):
    start = flat(model.parameters()).detach()
    _, (step,) = gradients_of(load("uam"), model)
    assert torch.equal(flat(model.parameters()).detach(), start)
    ascent = gradient(cross_entropy(logits_of(model)[1], FORGET[1]), model)
    direction = flat(ascent) / flat(ascent).norm()
    there = copy.deepcopy(model)
    torch.nn.utils.vector_to_parameters(start + 0.5 * direction, there.parameters())
    descent = flat(gradient(cross_entropy(there(RETAIN[0]), RETAIN[1]), there))
    assert_same(flat(step), descent - (descent @ direction) * direction)
    assert abs(flat(step) @ direction) < 1e-4 * descent.norm()


def test_fanchuan_forgets_towards_uniform_then_by_contrast_and_then_only_repairs(model):
    repair = cross_entropy(model(RETAIN[0]), RETAIN[1])
    values, (forget_step, retain_step) = gradients_of(load("fanchuan"), model, epoch=0)
    uniform_loss = -math.log(10) - model(FORGET[0]).log_softmax(1).mean()
    assert values["uniform_loss"].item() == pytest.approx(uniform_loss.item(), rel=1e-3)
    assert_same_gradients(forget_step, model, uniform_loss)
    assert_same_gradients(retain_step, model, repair)
    values, (forget_step, _) = gradients_of(load("fanchuan"), model, epoch=8)
    retain, forget = logits_of(model)
    pairs = torch.einsum("fc,rc->fr", forget, retain.detach()) / 1.15
    assert_same_gradients(forget_step, model, -pairs.log_softmax(1).mean())
    assert len(gradients_of(load("fanchuan"), model, epoch=9)[1]) == 1


@pytest.mark.parametrize("epoch", [0, 1])
def test_scrub_authors_begins_an_epoch_with_max_steps_and_goes_on_with_min_steps(model, original, epoch):
    method = load("scrub_authors", sizes=SIZES | {"steps_per_forget_pass": 2})
    method.teacher = copy.deepcopy(original)
    steps = [gradients_of(method, model, epoch, step) for step in range(3)]
    assert [set(values) - {"loss"} for values, _ in steps] == [{"max_loss"}, {"max_loss"}, {"min_loss"}]
    (forget_targets, retain_targets) = (original(batch[0]).detach() for batch in (FORGET, RETAIN))
    assert_same_gradients(steps[1][1][0], model, -16 * kl(forget_targets, model(FORGET[0]), temperature=4))
    logits = model(RETAIN[0])
    loss = 0.99 * cross_entropy(logits, RETAIN[1]) + 0.001 * 16 * kl(retain_targets, logits, temperature=4)
    assert steps[2][0]["min_loss"].item() == pytest.approx(loss.item(), rel=1e-3)
    assert_same_gradients(steps[2][1][0], model, loss)


def test_scrub_authors_only_repairs_from_its_third_epoch(model):
    values, _ = gradients_of(load("scrub_authors"), model, epoch=2)
    assert set(values) == {"loss", "min_loss"}
