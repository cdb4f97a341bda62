"""Fisher forgetting: Golatkar et al., "Eternal Sunshine of the Spotless Net", CVPR 2020."""

import torch
from methods.shared.gradients import add_squared_gradients_of_images
from methods.shared.schedule import is_measuring
from torch.nn import functional as F

LEAST_STEPS = 50
"""Of measuring, because the noise depends on the inverse of what is measured."""
LIMIT, LIMIT_IN_HEAD = 1e3, 1e2
"""The largest 1 / F, before the factor alpha."""
TINY = 1e-8
FACTOR = 10
"""Of the variance in the head, and in all biases and batch norms."""
RESET_VARIANCE = 1e-4
"""Of the forget class's row in the head, before the factor 10."""


class UnlearningMethod:
    """Hide the forget set under noise: much noise on weights that the retain set does not need, little on others.

    The first steps leave the model as it is and measure the diagonal of the retain set's Fisher information; the next
    step replaces the forget class's row of the head by noise, and adds noise to all other weights; later steps do
    nothing.

    Formula: w += sqrt(v) * N(0, 1) with v = alpha * min(1 / F, 1000), where F is the diagonal of the Fisher information
        on the retain set; v is averaged over the inputs of a layer. In the head the limit is 100. In the head, biases
        and batch norm v is multiplied by 10. With reset_head the head's row and bias of the forget class are
        sqrt(10 * 1e-4) * N(0, 1).
    Cost: 1 forward and 1 backward per step of measuring, then none
    Source: github.com/AdityaGolatkar/SelectiveForgetting, Forgetting.ipynb at 4c02825: hessian and get_mean_var, with
        alpha 1e-6. A port with the same numbers: github.com/if-loops/selective-synaptic-dampening,
        src/forget_full_class_strategies.py at cdfdc0e.
    Defaults: authors' code: alpha 1e-6, and all other numbers. Their curves for single alphas reach from 1e-8 to 1e-5.
    Deviations: the Fisher information is estimated from 50 mini-batches (one pass over the forget set, if that has
        more), with one label per image drawn from the model's softmax; the authors' code takes all retain images and
        sums over all classes. Images are augmented. What their code does by the number of rows (as many as classes) is
        done here in the head alone.
    When to use: as the classic reference, with a guarantee in the quadratic approximation of the loss. It is the reset
        row that makes the model answer no more with the forget class, at alpha 1e-6 that alone; in deep networks,
        noise that hides one class costs the other classes much accuracy, and alpha trades one for the other. Needs a
        step after the measuring: two epochs, if an epoch has 50 steps or fewer.
    """

    def __init__(self, *, alpha, reset_head, steps_per_epoch, steps_per_forget_pass):
        self.alpha = alpha
        self.reset_head = reset_head
        self.sizes = steps_per_epoch, steps_per_forget_pass
        self.fisher = None
        self.images = 0

    def unlearn_step(self, model, retain_batch, forget_batch, optimizer, step, epoch):
        if is_measuring(step, epoch, *self.sizes, least=LEAST_STEPS):
            loss = self._add_to_fisher(model.eval(), retain_batch[0])
            model.train()
            return {"loss": loss}
        if self.fisher is not None:
            self._add_noise(model, forget_batch[1].unique())
            self.fisher = None
        return {"loss": 0.0}

    def _add_to_fisher(self, model, images):
        if self.fisher is None:
            self.fisher = [torch.zeros_like(parameter) for parameter in model.parameters()]
        logits = model(images)
        labels = torch.multinomial(F.softmax(logits.detach().float(), dim=1), 1).squeeze(1)
        losses = F.cross_entropy(logits, labels, reduction="none")
        add_squared_gradients_of_images(self.fisher, model, losses)
        self.images += len(images)
        return losses.mean()

    @torch.no_grad()
    def _add_noise(self, model, forget_classes):
        head = list(model.head.parameters())
        for parameter, total in zip(model.parameters(), self.fisher, strict=True):
            is_head = any(parameter is of_head for of_head in head)
            variance = self.alpha * (1 / (total / self.images + TINY)).clamp(max=LIMIT_IN_HEAD if is_head else LIMIT)
            if parameter.ndim > 1:
                variance = variance.mean(dim=1, keepdim=True).expand_as(parameter).clone()
            if is_head and self.reset_head:
                parameter[forget_classes] = 0
                variance[forget_classes] = RESET_VARIANCE
            if is_head or parameter.ndim == 1:
                variance *= FACTOR
            parameter.add_(variance.sqrt() * torch.randn_like(parameter))
