"""Fisher forgetting: Golatkar et al., "Eternal Sunshine of the Spotless Net", CVPR 2020."""

import torch
from torch.nn import functional as F


class UnlearningMethod:
    """Hide the forget set under noise: much noise on weights that the retain set does not need, little on others.

    The first epoch leaves the model as it is and measures the diagonal of the retain set's Fisher information; the next
    step adds the noise; later steps do nothing. A mini-batch of b images with labels drawn from the model's own softmax
    gives b * gradient^2, whose expectation is the Fisher information: gradients of single images are not needed,
    because they have mean zero under these labels.

    Formula: w += sqrt(alpha / max(F, floor)) * N(0, 1), where F is the diagonal of the Fisher information on the retain
        set
    Cost: first epoch 1 forward and 1 backward per step, then none
    Defaults: alpha 1e-6 as in adaptations of the authors' code; floor 1e-3 is their limit of 1000 on 1 / F
    Deviations: one label is drawn per image; the authors' code sums over all classes. The special cases of their code
        are left out: it averages the variance over a layer's inputs, multiplies it by 10 in batch norm and the head,
        and sets the forget class's weights in the head to zero. Images are augmented.
    When to use: as the classic reference, with a guarantee in the quadratic approximation of the loss. In deep
        networks, noise that hides one class costs the other classes much accuracy; alpha trades one for the other.
        Needs two epochs.
    """

    def __init__(self, *, alpha, floor):
        self.alpha = alpha
        self.floor = floor
        self.fisher = None
        self.batches = 0

    def unlearn_step(self, model, retain_batch, forget_batch, optimizer, step, epoch):
        if epoch == 0:
            loss = self._add_to_fisher(model.eval(), retain_batch[0])
            model.train()
            return {"loss": loss}
        if self.fisher is not None:
            self._add_noise(model)
            self.fisher = None
        return {"loss": 0.0}

    def _add_to_fisher(self, model, images):
        if self.fisher is None:
            self.fisher = [torch.zeros_like(parameter) for parameter in model.parameters()]
        logits = model(images)
        labels = torch.multinomial(F.softmax(logits.detach().float(), dim=1), 1).squeeze(1)
        loss = F.cross_entropy(logits, labels)
        gradients = torch.autograd.grad(loss, list(model.parameters()))
        for total, gradient in zip(self.fisher, gradients, strict=True):
            total += len(images) * gradient.square()
        self.batches += 1
        return loss

    @torch.no_grad()
    def _add_noise(self, model):
        for parameter, total in zip(model.parameters(), self.fisher, strict=True):
            variance = self.alpha / (total / self.batches).clamp(min=self.floor)
            parameter.add_(variance.sqrt() * torch.randn_like(parameter))
