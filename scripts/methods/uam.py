"""UAM: Kim et al., "Unlearning-Aware Minimization", NeurIPS 2025."""

import torch
from torch.nn import functional as F

EPSILON = 1e-12


def inner(first, second):
    """Return the inner product of two gradients, each a list with one tensor per parameter."""
    return sum((a * b).sum() for a, b in zip(first, second, strict=True))


class UnlearningMethod:
    """Descend on the retain loss, measured at nearby weights where the forget set is forgotten.

    Each step first climbs the forget loss by ``rho``, takes the retain gradient there, and goes back. With ``gamma``,
    the step leaves out the gradient's component along the forget gradient.

    Formula: w_hat = w + rho * g_f / |g_f|; step along (1 - gamma * P_f) g_r(w_hat), where g_f and g_r are the gradients
        of CE(forget) and CE(retain), and P_f is the projection on g_f
    Cost: 3 forwards and 3 backwards per step
    Source: github.com/Harry24k/machine-unlearning-pytorch, torchunlearn/optim/minimizer.py at 405bab1 for the step;
        torchunlearn/unlearn/easymode.py at 1cf67eb for rho 0.1 and gamma 0.0, the values of its ready-made call. The
        values of the published results are not in the code. The paper's text was not at hand: which projection it
        means, and its values, are not verified.
    Defaults: rho 0.1 and gamma 0.0 are the authors' code. Its step takes a gamma and never uses it, so that gamma 0.0
        is the code at any gamma.
    Deviations: rho is constant; in the authors' code it falls with a cosine to zero over the run, but a method does
        not know how long the run is. The projection (gamma above 0) is over all weights together and removes the
        component whatever its sign: where the inner product of g_r and g_f is positive the step would lower the forget
        loss again, but where it is negative the step would have raised it, which helps to forget. A function in the
        authors' file (reverse_proj_v1_on_v2, never called) acts where it is negative alone. As in their code, every
        step climbs on a forget mini-batch, and the forget gradient comes from one forward pass over both mini-batches.
        Batch norm's running statistics see the images at both points.
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
