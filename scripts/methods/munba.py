"""MUNBa: Wu and Harandi, "Machine Unlearning via Nash Bargaining", ICCV 2025."""

import torch
from torch.nn import functional as F

EPSILON = 1e-8


def inner(first, second):
    """Return the inner product of two gradients, each a list with one tensor a parameter."""
    return sum((a * b).sum() for a, b in zip(first, second, strict=True))


class UnlearningMethod:
    """Let retaining and forgetting bargain over each update: neither may gain at the other's cost.

    The Nash bargaining solution for two gradients is the bisector of their directions, so it does not matter how
    large either is: a forget loss that explodes, or a retain loss near zero, is not heard louder or lower.

    Formula: (g_r / |g_r| + g_f / |g_f|) / sqrt(1 + cos(g_r, g_f)), g_r the gradient of CE(retain), g_f that of
        CE(forget with random other labels)
    Cost: 2 forwards and 4 backwards a step (one forward over both mini-batches, and two backwards through it)
    Defaults: none to choose
    Deviations: the authors' code clips the update's norm to 1; it is always sqrt(2), and Adam divides a constant
        factor out. Random labels leave out the image's own. The closed form is the paper's, written with the
        cosine; in that form it has no failure for which the authors keep a fallback.
    When to use: where the two losses differ much in scale and no weight between them fits all of the run. Neither
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
