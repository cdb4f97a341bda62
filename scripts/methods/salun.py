"""SalUn: Fan et al., "Empowering Machine Unlearning via Gradient-based Weight Saliency", ICLR 2024."""

import torch
from torch.nn import functional as F


class UnlearningMethod:
    """Relabel forget images at random, but change only the weights that are salient for the forget set.

    The first epoch leaves the model as it is and adds up the gradients of the forget set at the original weights. After
    it, only the share ``kept`` of all weights with the largest sums may change; every other weight stays fixed.

    Formula: CE over retain images and randomly relabelled forget images; gradient * [|sum of forget gradients| is among
        the largest kept * n of all n weights]
    Cost: first epoch 1 forward and 1 backward per step, then 2 forwards and 2 backwards
    Defaults: kept 0.5 as in the paper
    Deviations: the saliency is summed over the first epoch, that is over several passes of a small forget set, with a
        new augmentation in each. Labels are drawn as in random_label. Gradients are masked before the optimizer's step.
        The optimizer has made no step before the mask, so Adam's moments of the other weights are zero and stay zero,
        and these weights do not change, to the last bit. Running statistics of batch norm are not weights and continue
        to change.
    When to use: when random_label forgets but costs too much retain accuracy. One epoch of the budget goes into the
        mask, so the method needs at least two.
    """

    def __init__(self, *, kept):
        self.kept = kept
        self.gradients = None
        self.masks = None

    def unlearn_step(self, model, retain_batch, forget_batch, optimizer, step, epoch):
        if epoch == 0:
            loss = self._add_gradients(model.eval(), *forget_batch)
            model.train()
            return {"loss": loss}
        if self.masks is None:
            self.masks, self.gradients = self._most_salient(), None
        (retain_images, retain_labels), (forget_images, forget_labels) = retain_batch, forget_batch
        optimizer.zero_grad()
        logits = model(torch.cat([retain_images, forget_images]))
        other_labels = (forget_labels + torch.randint_like(forget_labels, 1, logits.shape[1])) % logits.shape[1]
        loss = F.cross_entropy(logits, torch.cat([retain_labels, other_labels]))
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
        magnitudes = torch.cat([gradient.abs().flatten() for gradient in self.gradients]).sort(descending=True).values
        threshold = magnitudes[int(self.kept * len(magnitudes))]
        return [gradient.abs() > threshold for gradient in self.gradients]
