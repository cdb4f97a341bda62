"""MUNBa: Wu and Harandi, "Machine Unlearning via Nash Bargaining", ICCV 2025."""

import torch
from torch.nn import functional as F

EPSILON = 1e-8


def inner(first, second):
    """Return the inner product of two gradients, each a list with one tensor per parameter."""
    return sum((a * b).sum() for a, b in zip(first, second, strict=True))


class UnlearningMethod:
    """Let retaining and forgetting bargain over each update, so that neither gains at the other's cost.

    The Nash bargaining solution for two gradients is the bisector of their directions, so the size of either gradient
    does not matter: a forget loss that explodes does not count more, and a retain loss near zero does not count less.

    Formula: (g_r / |g_r| + g_f / |g_f|) / sqrt(1 + cos(g_r, g_f)), where g_r is the gradient of CE(retain) and g_f is
        the gradient of CE(forget with random other labels)
    Cost: 2 forwards and 4 backwards per step (one forward over both mini-batches, and two backwards through it)
    Defaults: none to choose
    Deviations: the authors' code clips the update's norm to 1; here the norm is always sqrt(2), and Adam divides out a
        constant factor. Random labels never equal the image's own label. The closed form is the paper's, written with
        the cosine; in this form it cannot fail, so the authors' fallback is not needed.
    When to use: when the two losses differ much in scale and no weight between them fits the whole run. Neither
        gradient ever fades, so the update stays noisy to the end.
    """

    def unlearn_step(self, model, retain_batch, forget_batch, optimizer, step, epoch):
        (retain_images, retain_labels), (forget_images, forget_labels) = retain_batch, forget_batch
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
        scale = (1 + cosine).clamp(min=EPSILON).rsqrt()
        for parameter, of_retain, of_forget in zip(parameters, retain_gradient, forget_gradient, strict=True):
            parameter.grad = scale * (of_retain / retain_norm + of_forget / forget_norm)
        optimizer.step()
        return {"loss": retain_loss + forget_loss, "retain_loss": retain_loss, "cosine": cosine}
