"""Fanchuan: the winner in Triantafillou et al., "Are We Making Progress in Unlearning?", 2024."""

import torch
from methods.shared.schedule import is_in_forget_round
from torch.nn import functional as F


class UnlearningMethod:
    """First make the model clueless on forget images, then keep their outputs equally close to all retain outputs.

    It won the NeurIPS 2023 unlearning challenge. While ``epoch < forget_epochs``, an epoch begins with a pass over the
    forget set: towards the uniform distribution in the first epoch, with a contrastive loss in later epochs. Every step
    also has a retain step, which repairs the model.

    Formula: first epoch KL(uniform || model) on forget images, then the mean of -log softmax(z_f z_r^T / temperature)
        over all pairs of a forget and a retain image, where z are their logits and z_r is constant; each followed by
        CE(retain), which is alone in the rest of the epoch
    Cost: 1 forward and 1 backward per step; 2 and 2 in a forget step of the first epoch, 3 and 3 in a later one
    Source: github.com/xcadet/deepunlearn, munl/unlearning/kgltop1.py at 6830ff6, a port that names the original values:
        one pass of the first kind, then 8 times a pass of the second kind over the forget set and one of repair over
        the retain set. The winner's description (kaggle.com/c/neurips-2023-machine-unlearning/discussion/458721)
        agrees; the notebook itself was not verified.
    Defaults: temperature 1.15 and forget_epochs 9 (one pass of the first kind, 8 of the second) as there; forget_pass
        "once", as there; "always" takes a forget step in every step of these epochs
    Deviations: while the pass over the forget set lasts, each forget step is followed by a retain step; in the code the
        retain steps come after it, and the first pass has none. In a contrastive step both mini-batches share one
        forward pass. All steps share the fixed learning rate and Adam's moments; the code has one SGD per kind, with a
        learning rate that falls to zero in the forget rounds. A method does not know how long the run is: one shorter
        than forget_epochs ends during them, though with the repair in the rest of its last epoch.
    When to use: for random subsets, against attacks that compare many unlearned models with many retrained models: it
        was made for this. For a whole class, "clueless" is further from a retrained model than delete's target.
    """

    def __init__(self, *, temperature, forget_epochs, forget_pass, steps_per_epoch, steps_per_forget_pass):
        self.temperature = temperature
        self.forget_epochs = forget_epochs
        self.forget_pass = forget_pass
        self.sizes = steps_per_epoch, steps_per_forget_pass

    def unlearn_step(self, model, retain_batch, forget_batch, optimizer, step, epoch):
        losses = {}
        if epoch < self.forget_epochs and is_in_forget_round(step, *self.sizes, self.forget_pass):
            losses = self._forget_step(model, retain_batch[0], forget_batch[0], optimizer, epoch)
        losses["loss"] = self._descend(F.cross_entropy(model(retain_batch[0]), retain_batch[1]), optimizer)
        return losses

    def _forget_step(self, model, retain_images, forget_images, optimizer, epoch):
        if epoch == 0:
            return {"uniform_loss": self._descend(self._uniform_loss(model, forget_images), optimizer)}
        loss = self._contrastive_loss(model, retain_images, forget_images)
        return {"contrastive_loss": self._descend(loss, optimizer)}

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
