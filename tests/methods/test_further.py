"""The further methods, each compared with its formula, written independently."""

import copy
import math

import pytest
import torch
from method_helpers import FORGET, RETAIN, SIZES, cross_entropy, gradients_of, kl, load, tiny_model
from methods.shared.gradients import add_squared_gradients_of_images
from torch.nn import functional as F

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
    start, measured, *_, end = apply(load("salun"), model, epochs=[0, 1])
    assert torch.equal(measured, start)
    assert torch.equal(end[~is_free], start[~is_free])
    assert (end != start)[is_free].float().mean() > 0.9  # except for dead units


@pytest.mark.parametrize(("kept", "share"), [(0.0, 0.0), (0.25, 0.25), (1.0, 1.0)])
def test_salun_keeps_exactly_the_share_of_the_weights(model, kept, share):
    method = load("salun", kept=kept)
    gradients_of(method, model)
    gradients_of(method, model, epoch=1)
    count = sum(parameter.numel() for parameter in model.parameters())
    assert sum(int(mask.sum()) for mask in method.masks) == int(share * count)
    assert all(mask.shape == parameter.shape for mask, parameter in zip(method.masks, model.parameters(), strict=True))


@pytest.mark.parametrize(("forget_pass", "step"), [("once", 0), ("once", 1), ("always", 1)])
def test_salun_relabels_forget_images_in_forget_steps_and_only_repairs_in_others(model, forget_pass, step):
    method = load("salun", kept=1.0, forget_pass=forget_pass)
    gradients_of(method, model)
    torch.manual_seed(1)
    _, (found,) = gradients_of(method, model.train(), epoch=1, step=step)
    torch.manual_seed(1)
    labels = torch.randint(10, (len(FORGET[0]),))  # of all classes, the own among them
    is_turn = forget_pass == "always" or step == 0
    images, targets = (BOTH, torch.cat([RETAIN[1], labels])) if is_turn else RETAIN
    assert_same_gradients(found, model, cross_entropy(model(images), targets))


def test_salun_measures_for_one_pass_over_the_forget_set(model):
    method = load("salun", sizes=SIZES | {"steps_per_forget_pass": 2})
    assert [len(gradients_of(method, model, step=step)[1]) for step in range(4)] == [0, 0, 1, 1]


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


def squares_of_images(model, images, labels):
    """Return the squared gradient of each image's cross-entropy, computed one by one: (images, weights)."""
    one_by_one = (cross_entropy(model(images[i : i + 1]), labels[i : i + 1]) for i in range(len(images)))
    return torch.stack([flat(gradient(loss, model)).square() for loss in one_by_one])


def test_random_signs_give_the_sum_of_the_images_squared_gradients_without_bias(model):
    """Each of the 2^B choices of signs, the negated half left out, has the same chance: their mean is the sum."""
    model.eval()
    images = torch.cat([RETAIN[0][:2], FORGET[0][:2]])
    labels = torch.tensor([3, 3, 0, 1])
    expected = squares_of_images(model, images, labels).sum(0)
    of_batch = flat(gradient(F.cross_entropy(model(images), labels, reduction="sum"), model)).square()
    assert (of_batch - expected).norm() > 0.1 * expected.norm()  # gradients of the images add up or cancel
    found, draws = [], 0
    while len(found) < 8:  # until each choice has been drawn
        torch.manual_seed(draws)
        signs = 2 * torch.randint_like(torch.zeros(4), 2) - 1
        choice = tuple((signs * signs[0]).tolist())
        if choice not in [done for done, _ in found]:
            torch.manual_seed(draws)
            totals = [torch.zeros_like(parameter) for parameter in model.parameters()]
            add_squared_gradients_of_images(totals, model, F.cross_entropy(model(images), labels, reduction="none"))
            found.append((choice, flat(totals)))
        draws += 1
    assert_same(torch.stack([total for _, total in found]).mean(0), expected)


def test_ssd_measures_the_mean_squared_gradient_of_an_image(model):
    """Mini-batches of different sizes: an image counts as much in a small one as in a large one."""
    method = load("ssd")
    model.eval()
    parts = [(RETAIN[0][:5], RETAIN[1][:5]), (RETAIN[0][5:], RETAIN[1][5:])]
    expected = squares_of_images(model, *RETAIN).mean(0)
    draws = 400
    torch.manual_seed(0)
    for _ in range(draws):
        for part in parts:
            method._add_importances("retain", model, *part)
    assert method.images["retain"] == draws * len(RETAIN[0])
    found = flat(method.totals["retain"]) / method.images["retain"]
    assert found.sum().item() == pytest.approx(expected.sum().item(), rel=0.1)


def ssd_in_full(model, sizes, **hyperparameters):
    """Let SSD measure one step, with the importances in place of their estimates, and dampen; return both weights."""
    method = load("ssd", sizes=sizes, **hyperparameters)
    _, steps = gradients_of(method, model)
    assert steps == []
    for name, batch in (("retain", RETAIN), ("forget", FORGET)):
        shapes = [parameter.shape for parameter in model.parameters()]
        parts = squares_of_images(model.eval(), *batch).sum(0).split([shape.numel() for shape in shapes])
        method.totals[name] = [part.view(shape) for part, shape in zip(parts, shapes, strict=True)]
    start, dampened, later = apply(method, model, epochs=[1])
    assert torch.equal(later, dampened)
    return start, dampened


@pytest.mark.parametrize(("selection", "dampening"), [(5, 1.0), (3, 0.1), (0.5, 2.0)])
def test_ssd_dampens_once_by_the_ratio_of_importances(model, selection, dampening):
    of_retain, of_forget = (squares_of_images(model.eval(), *batch).mean(0) for batch in (RETAIN, FORGET))
    sizes = SIZES | {"retain_images": 90, "forget_images": 10}
    start, dampened = ssd_in_full(model, sizes, selection=selection, dampening=dampening)
    of_all = 0.1 * of_forget + 0.9 * of_retain
    is_selected = of_forget > selection * of_all
    assert 0 < is_selected.sum() < len(start)
    expected = torch.where(is_selected, start * (dampening * of_all / of_forget).clamp(max=1), start)
    torch.testing.assert_close(dampened, expected, rtol=1e-3, atol=1e-6)
    if dampening == 1:
        assert (dampened.abs() >= 0.1 * start.abs() * 0.999).all()  # the forget set's share is the least factor


@pytest.mark.parametrize(("retain_images", "changes"), [(90, False), (190, True)])
def test_ssd_selects_nothing_if_selection_times_the_forget_sets_share_is_one(model, retain_images, changes):
    """The authors' 10 with 10 balanced classes, and with 20."""
    sizes = SIZES | {"retain_images": retain_images, "forget_images": 10}
    start, dampened = ssd_in_full(model, sizes, selection=10.0)
    assert torch.equal(dampened, start) != changes


@pytest.mark.parametrize("name", ["ssd", "fisher_forgetting"])
@pytest.mark.parametrize(("steps_per_epoch", "of_forget", "measured"), [(9, 1, 9), (200, 10, 50), (200, 80, 80)])
def test_what_does_not_train_measures_for_a_pass_over_the_forget_set_and_fifty_steps_at_least(
    model, name, steps_per_epoch, of_forget, measured
):
    method = load(name, sizes=SIZES | {"steps_per_epoch": steps_per_epoch, "steps_per_forget_pass": of_forget})
    optimizer = torch.optim.Adam(model.parameters())
    start, place = flat(model.parameters()).detach(), (measured - 1, 0)
    method.unlearn_step(model.train(), RETAIN, FORGET, optimizer, *place)
    assert torch.equal(flat(model.parameters()), start)
    place = (0, 1) if measured == steps_per_epoch else (measured, 0)
    method.unlearn_step(model.train(), RETAIN, FORGET, optimizer, *place)
    assert not torch.equal(flat(model.parameters()), start)


def noise_of_fisher_forgetting(model, fisher, draws=60, **hyperparameters):
    """Return the mean and the variance of each changed weight, per parameter, for a given Fisher information."""
    results = []
    for _ in range(draws):
        method, copied = load("fisher_forgetting", **hyperparameters), copy.deepcopy(model)
        method.fisher, method.images = [part.clone() * 7 for part in fisher], 7
        apply(method, copied, epochs=[1])
        results.append([parameter.detach() for parameter in copied.parameters()])
    return [(torch.stack(draw).mean(0), torch.stack(draw).var(0)) for draw in zip(*results, strict=True)]


@pytest.mark.parametrize("reset_head", [True, False])
def test_fisher_forgetting_adds_noise_by_the_authors_numbers(model, reset_head):
    """Expected variances by hand, for F = 1e-2 or 0 and alpha 1e-4; the forget class is 0."""
    fisher = [torch.full_like(parameter, 0.01) for parameter in model.parameters()]
    fisher[0].zero_()  # the first convolution: the limit of 1 / F
    fisher[3][:, 0] = 0  # a later one, of one of its four inputs: the mean over the inputs
    fisher[-2][1] = 0  # the head, of one class
    found = noise_of_fisher_forgetting(model, fisher, alpha=1e-4, reset_head=reset_head)
    old = list(model.parameters())
    assert found[0][1].mean().item() == pytest.approx(1e-4 * 1e3, rel=0.2)
    assert fisher[3].shape[1] == 4
    assert found[3][1].mean().item() == pytest.approx(1e-4 * (1000 + 3 * 100) / 4, rel=0.1)
    assert found[3][1][:, 0].mean().item() == pytest.approx(found[3][1][:, 1].mean().item(), rel=0.2)
    assert old[1].ndim == 1
    assert found[1][1].mean().item() == pytest.approx(10 * 1e-4 * 100, rel=0.4)  # batch norm
    head_mean, head_variance = found[-2]
    assert head_variance[1:].mean().item() == pytest.approx(10 * 1e-4 * 100, rel=0.1)  # limited to 100 in the head
    assert (head_mean[1:] - old[-2][1:]).abs().max() < 5 * math.sqrt(0.1 / 60)
    if reset_head:
        assert head_variance[0].mean().item() == pytest.approx(10 * 1e-4, rel=0.3)
        assert head_mean[0].abs().max() < 5 * math.sqrt(1e-3 / 60)
        assert found[-1][1][0].item() == pytest.approx(10 * 1e-4, rel=0.7)
    else:
        assert head_variance[0].mean().item() == pytest.approx(0.1, rel=0.3)
        assert (head_mean[0] - old[-2][0]).abs().max() < 5 * math.sqrt(0.1 / 60)


def test_fisher_forgetting_adds_noise_once(model):
    _, measured, *_, noisy, later = apply(load("fisher_forgetting"), model, epochs=[0, 1])
    assert not torch.equal(noisy, measured)
    assert torch.equal(later, noisy)


def test_fisher_forgetting_estimates_the_fisher_information(model):
    """For the head's bias it is the mean of p (1 - p): the gradient is p minus the indicator of the drawn class."""
    method = load("fisher_forgetting")
    with torch.no_grad():
        model.head.weight.mul_(0.1)  # an unsure model
        probabilities = model.eval()(RETAIN[0]).softmax(1)
    torch.manual_seed(0)
    for _ in range(300):
        method._add_to_fisher(model, RETAIN[0])
    expected = (probabilities * (1 - probabilities)).mean(0).sum()
    assert method.fisher[-1].sum().item() / method.images == pytest.approx(expected.item(), rel=0.1)


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


@pytest.mark.parametrize(("rho", "gamma"), [(0.1, 0.0), (0.5, 1.0), (0.5, 0.3)])
@pytest.mark.parametrize("retain_label", [3, 0])
def test_uam_descends_from_where_the_forget_set_is_forgotten(model, rho, gamma, retain_label):
    """The projection removes the component along the forget gradient, whatever its sign."""
    method = load("uam", rho=rho, gamma=gamma)
    retain = (RETAIN[0], torch.full_like(RETAIN[1], retain_label))
    steps, start = [], flat(model.parameters()).detach()

    class Optimizer(torch.optim.SGD):
        def step(self):
            steps.append(flat([parameter.grad for parameter in model.parameters()]))

    method.unlearn_step(model, retain, FORGET, Optimizer(model.parameters(), lr=0.0), 0, 0)
    assert torch.equal(flat(model.parameters()).detach(), start)
    ascent = flat(gradient(cross_entropy(logits_of(model)[1], FORGET[1]), model))
    direction = ascent / ascent.norm()
    there = copy.deepcopy(model)
    torch.nn.utils.vector_to_parameters(start + rho * direction, there.parameters())
    descent = flat(gradient(cross_entropy(there(retain[0]), retain[1]), there))
    if gamma:
        assert (descent @ direction > 0) == (retain_label == 0)  # both signs are tried
    assert_same(steps[0], descent - gamma * (descent @ direction) * direction)


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
