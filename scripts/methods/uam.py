"""UAM: Kim et al., "Unlearning-Aware Minimization", NeurIPS 2025."""

import torch
from torch.nn import functional as F

EPSILON = 1e-12


def inner(first, second):
    """Return the inner product of two gradients, each a list with one tensor per parameter."""
    return sum((a * b).sum() for a, b in zip(first, second, strict=True))


class UnlearningMethod:
    """Descend on the retain loss, measured at nearby weights where the forget set is forgotten.

    Each step first climbs the forget loss by ``rho``, takes the retain gradient there, and goes back. It removes the
    part of the gradient that would lower the forget loss again.

    Formula: w_hat = w + rho * g_f / |g_f|; step along (1 - gamma * P_f) g_r(w_hat), where g_f and g_r are the gradients
        of CE(forget) and CE(retain), and P_f is the projection on g_f
    Cost: 3 forwards and 3 backwards per step
    Defaults: gamma 1.0 as in the authors' code; rho is ours, because no value is published
    Deviations: rho is constant; in the authors' code it falls with a cosine over the run, but a method does not know
        how long the run is. The projection is the one in the paper's update, over all weights together; the authors'
        released code for images takes a gamma and does not use it. The forget gradient comes from one forward pass over
        both mini-batches, as in their code. Batch norm's running statistics see the images at both points.
    When to use: when ascent on the forget loss ruins the model: no step ever ascends
    """

    def __init__(self, *, rho, gamma):
        self.rho = rho
        self.gamma = gamma

    def unlearn_step(self, model, retain_batch, forget_batch, optimizer, step, epoch):
        (retain_images, retain_labels), (forget_images, forget_labels) = retain_batch, forget_batch
        parameters = list(model.parameters())
        logits = model(torch.cat([retain_images, forget_images]))[len(retain_images) :]
        forget_loss = F.cross_entropy(logits, forget_labels)
        forget_gradient = torch.autograd.grad(forget_loss, parameters)
        square = inner(forget_gradient, forget_gradient).clamp(min=EPSILON)
        optimizer.zero_grad()
        with torch.no_grad():
            weights = [parameter.clone() for parameter in parameters]
            for parameter, gradient in zip(parameters, forget_gradient, strict=True):
                parameter.add_(self.rho * gradient / square.sqrt())
        loss = F.cross_entropy(model(retain_images), retain_labels)
        loss.backward()
        with torch.no_grad():
            share = self.gamma * inner([p.grad for p in parameters], forget_gradient) / square
            for parameter, weight, gradient in zip(parameters, weights, forget_gradient, strict=True):
                parameter.copy_(weight)
                parameter.grad -= share * gradient
        optimizer.step()
        return {"loss": loss, "forget_loss": forget_loss}
