"""SFR-on: Huang et al., "Unified Gradient-Based Machine Unlearning with Remain Geometry Enhancement", NeurIPS 2024."""

import math

import torch
from methods.shared.gradients import add_squared_gradients
from torch.nn import functional as F

EPSILON = 1e-15


class UnlearningMethod:
    """A fast step up the forget loss on salient weights every few steps, between slow steps down the retain loss.

    Retain steps after a forget step undo the damage to the retain set, in place of computing its Hessian. Images that
    are already forgotten weigh less in the forget step. The first epoch leaves the model as it is and adds up the
    squared gradients of both sets, which decide which weights are salient.

    Formula: every forget_every-th step ascends on forget_weight * sum of v_i CE_i(forget), v_i proportional to
        CE_i^-focus and summing to 1, masked by F_forget >= saliency * F_retain and clipped to max_norm; every step
        descends on CE(retain)
    Cost: first epoch 2 forwards and 2 backwards per step, then 1 and 1, and 1 and 1 more in a forget step
    Defaults: authors' code: forget_weight 25, forget_every 5, focus (lambda) 0.5, saliency (gamma) 1, max_norm 7.
        forget_epochs 4 is their 1500 iterations on CIFAR-10.
    Deviations: forget_weight falls with a cosine from epoch to epoch over forget_epochs, and retain steps continue
        after these. The authors' weight falls from iteration to iteration, but a method does not know the number of
        iterations. Both kinds of steps share Adam's moments; the authors use SGD with momentum. So weights outside the
        mask drift in a forget step too, and the large forget gradients shorten the retain steps after them.
    When to use: for random subsets, for which it was made, at little more than the cost of fine-tuning. Needs two
        epochs.
    """

    def __init__(self, *, forget_weight, forget_every, forget_epochs, focus, saliency, max_norm):
        self.forget_weight = forget_weight
        self.forget_every = forget_every
        self.forget_epochs = forget_epochs
        self.focus = focus
        self.saliency = saliency
        self.max_norm = max_norm
        self.retain_squares = None
        self.forget_squares = None
        self.masks = None

    def unlearn_step(self, model, retain_batch, forget_batch, optimizer, step, epoch):
        if epoch == 0:
            losses = self._add_squares(model.eval(), retain_batch, forget_batch)
            model.train()
            return losses
        if self.masks is None:
            pairs = zip(self.retain_squares, self.forget_squares, strict=True)
            self.masks = [of_forget >= self.saliency * of_retain for of_retain, of_forget in pairs]
            self.retain_squares = self.forget_squares = None
        losses = {}
        if epoch <= self.forget_epochs and step % self.forget_every == 0:
            losses["forget_loss"] = self._forget_step(model, *forget_batch, optimizer, epoch)
        optimizer.zero_grad()
        losses["loss"] = F.cross_entropy(model(retain_batch[0]), retain_batch[1])
        losses["loss"].backward()
        optimizer.step()
        return losses

    def _add_squares(self, model, retain_batch, forget_batch):
        if self.forget_squares is None:
            self.retain_squares = [torch.zeros_like(parameter) for parameter in model.parameters()]
            self.forget_squares = [torch.zeros_like(parameter) for parameter in model.parameters()]
        retain_loss = add_squared_gradients(self.retain_squares, model, *retain_batch)
        forget_loss = add_squared_gradients(self.forget_squares, model, *forget_batch)
        return {"loss": retain_loss, "forget_loss": forget_loss}

    def _forget_step(self, model, images, labels, optimizer, epoch):
        decay = (1 + math.cos(math.pi * (epoch - 1) / self.forget_epochs)) / 2
        optimizer.zero_grad()
        losses = F.cross_entropy(model(images), labels, reduction="none")
        weights = 1 / (losses.detach() ** self.focus + EPSILON)
        loss = (weights / weights.sum() * losses).sum()
        (-self.forget_weight * decay * loss).backward()
        for parameter, mask in zip(model.parameters(), self.masks, strict=True):
            parameter.grad *= mask
        torch.nn.utils.clip_grad_norm_(model.parameters(), self.max_norm)
        optimizer.step()
        return loss
