"""Fanchuan: the winner in Triantafillou et al., "Are We Making Progress in Unlearning?", 2024."""

import torch
from torch.nn import functional as F


class UnlearningMethod:
    """First make the model clueless on forget images, then keep their outputs equally close to all retain outputs.

    It won the NeurIPS 2023 unlearning challenge. While ``epoch < forget_epochs``, every step begins with a forget step:
    towards the uniform distribution in the first epoch, with a contrastive loss in later epochs. Every step also has a
    retain step, which repairs the model.

    Formula: first epoch KL(uniform || model) on forget images, then the mean of -log softmax(z_f z_r^T / temperature)
        over all pairs of a forget and a retain image, where z are their logits and z_r is constant; each followed by
        CE(retain)
    Cost: 2 forwards and 2 backwards per step in the first epoch, then 3 and 3, and 1 and 1 after forget_epochs
    Defaults: temperature 1.15 as in the winning code; forget_epochs 9 is the code's one pass of the first kind and 8
        passes of the second
    Deviations: forget and retain steps alternate one by one; the code passes over the whole forget set and then over
        the whole, larger, retain set, so there are far more forget steps here. All steps share the fixed learning rate
        and Adam's moments; the code has one SGD per kind, with a learning rate that falls to zero in the forget rounds.
    When to use: for random subsets, against attacks that compare many unlearned models with many retrained models: it
        was made for this. For a whole class, "clueless" is further from a retrained model than delete's target.
    """

    def __init__(self, *, temperature, forget_epochs):
        self.temperature = temperature
        self.forget_epochs = forget_epochs

    def unlearn_step(self, model, retain_batch, forget_batch, optimizer, step, epoch):
        losses = {}
        if epoch == 0:
            losses["uniform_loss"] = self._descend(self._uniform_loss(model, forget_batch[0]), optimizer)
        elif epoch < self.forget_epochs:
            loss = self._contrastive_loss(model, retain_batch[0], forget_batch[0])
            losses["contrastive_loss"] = self._descend(loss, optimizer)
        losses["loss"] = self._descend(F.cross_entropy(model(retain_batch[0]), retain_batch[1]), optimizer)
        return losses

    def _uniform_loss(self, model, images):
        log_probabilities = F.log_softmax(model(images), dim=1)
        uniform = torch.full_like(log_probabilities, 1 / log_probabilities.shape[1])
        return F.kl_div(log_probabilities, uniform, reduction="batchmean")

    def _contrastive_loss(self, model, retain_images, forget_images):
        logits = model(torch.cat([retain_images, forget_images]))
        retain_logits, forget_logits = logits[: len(retain_images)].detach(), logits[len(retain_images) :]
        return -F.log_softmax(forget_logits @ retain_logits.T / self.temperature, dim=1).mean()

    def _descend(self, loss, optimizer):
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss
