"""SalUn: Fan et al., "Empowering Machine Unlearning via Gradient-based Weight Saliency", ICLR 2024."""

import torch
from methods.shared.schedule import is_forget_turn, is_measuring
from torch.nn import functional as F


class UnlearningMethod:
    """Relabel forget images at random, but change only the weights that are salient for the forget set.

    The first steps, one pass over the forget set, leave the model as it is and add up the gradients of the forget set
    at the original weights. After it, only the share ``kept`` of all weights with the largest sums may change; every
    other weight stays fixed.

    Formula: CE over retain images and, in forget steps, randomly relabelled forget images; gradient * [|sum of forget
        gradients| is among the largest kept * n of all n weights]
    Cost: 1 forward and 1 backward per step of measuring, then 1 and 1, and 1 and 1 more in a forget step
    Source: github.com/OPTML-Group/Unlearn-Saliency, Classification/README.md at a6e89fd for kept 0.5 (with_0.5.pt);
        Classification/generate_mask.py for the mask, Classification/unlearn/RL.py for labels and passes
    Defaults: kept 0.5 and forget_pass once are the authors': one pass over the forget set per epoch. With forget_pass
        always, every step is a forget step.
    Deviations: an epoch's forget steps are spread evenly, and both sets share a step there; the authors' code passes
        over the forget set first (CIFAR-10) or mixes both sets (CIFAR-100). New labels are drawn from all classes, the
        own among them, as in their code; the paper's formula excludes the own. Images are augmented while measuring,
        too. Gradients are masked before the optimizer's step. The optimizer has made no step before the mask, so Adam's
        moments of the other weights are zero and stay zero, and these weights do not change, to the last bit. Running
        statistics of batch norm are not weights and continue to change.
    When to use: when random_label forgets but costs too much retain accuracy
    """

    def __init__(self, *, kept, forget_pass, steps_per_epoch, steps_per_forget_pass):
        self.kept = kept
        self.forget_pass = forget_pass
        self.sizes = steps_per_epoch, steps_per_forget_pass
        self.gradients = None
        self.masks = None

    def unlearn_step(self, model, retain_batch, forget_batch, optimizer, step, epoch):
        if is_measuring(step, epoch, *self.sizes):
            loss = self._add_gradients(model.eval(), *forget_batch)
            model.train()
            return {"loss": loss}
        if self.masks is None:
            self.masks, self.gradients = self._most_salient(), None
        images, labels = retain_batch
        if is_forget_turn(step, *self.sizes, self.forget_pass):
            new_labels = torch.randint_like(forget_batch[1], model.head.out_features)
            images, labels = torch.cat([images, forget_batch[0]]), torch.cat([labels, new_labels])
        optimizer.zero_grad()
        loss = F.cross_entropy(model(images), labels)
        loss.backward()
        for parameter, mask in zip(model.parameters(), self.masks, strict=True):
            parameter.grad *= mask
        optimizer.step()
        return {"loss": loss}

    def _add_gradients(self, model, images, labels):
        if self.gradients is None:
            self.gradients = [torch.zeros_like(parameter) for parameter in model.parameters()]
        loss = F.cross_entropy(model(images), labels)
        for total, gradient in zip(self.gradients, torch.autograd.grad(loss, list(model.parameters())), strict=True):
            total += gradient
        return loss

    def _most_salient(self):
        """Return a mask for each parameter: True for exactly int(kept * n) of all n weights."""
        magnitudes = torch.cat([gradient.abs().flatten() for gradient in self.gradients])
        mask = torch.zeros_like(magnitudes, dtype=torch.bool)
        mask[magnitudes.argsort(descending=True)[: int(self.kept * len(magnitudes))]] = True
        parts = mask.split([gradient.numel() for gradient in self.gradients])
        return [part.view_as(gradient).clone() for part, gradient in zip(parts, self.gradients, strict=True)]
