"""MUNBa: Wu and Harandi, "Machine Unlearning via Nash Bargaining", ICCV 2025."""

import torch
from methods.shared.schedule import is_in_forget_round
from torch.nn import functional as F

EPSILON = 1e-8


def inner(first, second):
    """Return the inner product of two gradients, each a list with one tensor per parameter."""
    return sum((a * b).sum() for a, b in zip(first, second, strict=True))


class UnlearningMethod:
    """Let retaining and forgetting bargain over an update, so that neither gains at the other's cost.

    The Nash bargaining solution for two gradients is the bisector of their directions, so the size of either gradient
    does not matter: a forget loss that explodes does not count more, and a retain loss near zero does not count less.
    They bargain while a pass over the forget set lasts, at the beginning of each epoch; then the retain set is alone.

    Formula: in the first steps of an epoch, one pass over the forget set, the bisector (g_r / |g_r| + g_f / |g_f|) /
        sqrt(2 + 2 cos(g_r, g_f)), of length 1, where g_r is the gradient of CE(retain) and g_f is the gradient of
        CE(forget with random other labels); in the other steps g_r
    Cost: 2 forwards and 4 backwards per bargain (one forward over both mini-batches, and two backwards through it),
        1 and 1 in the other steps
    Source: github.com/JingWu321/MUNBa, Classification/unlearn/MUNBa.py at 7038772: bargains while forget batches last
        (zip_longest), then CE(retain), in each epoch
    Defaults: forget_pass "once", as in the authors' code; "always" bargains in every step
    Deviations: the authors' code clips the bisector, whose norm is sqrt(2), to norm 1; here it is made so. Random
        labels never equal the image's own label. Both mini-batches share one forward pass. The closed form is the
        paper's, written with the cosine; in this form it cannot fail, so the authors' fallback is not needed. Both
        kinds of steps share Adam's moments, where the authors have SGD with momentum.
    When to use: when the two losses differ much in scale and no weight between them fits the whole run. Neither
        gradient ever fades in a bargain, so with "always" the update stays noisy to the end.
    """

    def __init__(self, *, forget_pass, steps_per_epoch, steps_per_forget_pass):
        self.forget_pass = forget_pass
        self.sizes = steps_per_epoch, steps_per_forget_pass

    def unlearn_step(self, model, retain_batch, forget_batch, optimizer, step, epoch):
        if is_in_forget_round(step, *self.sizes, self.forget_pass):
            losses = self._bargain(model, *retain_batch, *forget_batch)
        else:
            optimizer.zero_grad()
            loss = F.cross_entropy(model(retain_batch[0]), retain_batch[1])
            loss.backward()
            losses = {"loss": loss, "retain_loss": loss}
        optimizer.step()
        return losses

    def _bargain(self, model, retain_images, retain_labels, forget_images, forget_labels):
        parameters = list(model.parameters())
        logits = model(torch.cat([retain_images, forget_images]))
        other_labels = (forget_labels + torch.randint_like(forget_labels, 1, logits.shape[1])) % logits.shape[1]
        retain_loss = F.cross_entropy(logits[: len(retain_images)], retain_labels)
        forget_loss = F.cross_entropy(logits[len(retain_images) :], other_labels)
        retain_gradient = torch.autograd.grad(retain_loss, parameters, retain_graph=True)
        forget_gradient = torch.autograd.grad(forget_loss, parameters)
        retain_norm = inner(retain_gradient, retain_gradient).sqrt().clamp(min=EPSILON)
        forget_norm = inner(forget_gradient, forget_gradient).sqrt().clamp(min=EPSILON)
        cosine = inner(retain_gradient, forget_gradient) / (retain_norm * forget_norm)
        scale = (2 + 2 * cosine).clamp(min=EPSILON).rsqrt()
        for parameter, of_retain, of_forget in zip(parameters, retain_gradient, forget_gradient, strict=True):
            parameter.grad = scale * (of_retain / retain_norm + of_forget / forget_norm)
        return {"loss": retain_loss + forget_loss, "retain_loss": retain_loss, "cosine": cosine}
