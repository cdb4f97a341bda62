"""SFR-on: Huang et al., "Unified Gradient-Based Machine Unlearning with Remain Geometry Enhancement", NeurIPS 2024."""

import math

import torch
from methods.shared.gradients import add_squared_gradients
from methods.shared.schedule import is_forget_turn, is_measuring
from torch.nn import functional as F

EPSILON = 1e-15


class UnlearningMethod:
    """A fast step up the forget loss on salient weights every few steps, between slow steps down the retain loss.

    Retain steps after a forget step undo the damage to the retain set, in place of computing its Hessian. Images that
    are already forgotten weigh less in the forget step. The run's first steps, one pass over the forget set, leave the
    model as it is and add up the squared gradients of both sets, which decide which weights are salient.

    Formula: forget steps, evenly spread, forget_passes passes over the forget set per epoch, ascend on forget_weight *
        decay * sum of v_i CE_i(forget), v_i proportional to CE_i^-focus and summing to 1, masked by F_forget >=
        saliency * F_retain and clipped to max_norm; decay falls from 1 to 0 with a cosine over forget_epochs; every
        step descends on CE(retain)
    Cost: 2 forwards and 2 backwards per step while measuring, then 1 and 1, and 1 and 1 more in a forget step
    Source: github.com/K1nght/Unified-Unlearning-w-Remain-Geometry, Classification/unlearn/sfron.py at 36bb7f6 (10 % of
        CIFAR-10's images at random)
    Defaults: authors' code: forget_weight 25, focus (lambda) 0.5, saliency (gamma) 1, max_norm 7. Their 1500 iterations
        of 352 an epoch, with every fifth a forget step, are forget_epochs 4.26, and 7.5 passes over the forget set:
        forget_passes 1.76 per epoch.
    Deviations: retain steps continue after forget_epochs; a shorter run ends before the decay does. The authors pass
        over both whole sets to measure, here F_retain is from as many batches as F_forget. Both kinds of steps share
        Adam's moments, at a fixed learning rate; in the authors' code they share SGD's momentum, at one that falls to
        zero. In both, a forget step therefore also moves the weights outside the mask, on by the last retain steps'
        momentum; the paper's formula leaves them. Here the large forget gradients also shorten the retain steps.
        The squares are of whole mini-batches, as theirs, but here those of the forget set are of one class: in mixed
        ones more of the gradients cancel, so that more weights are salient (ssd measures by images for this reason).
    When to use: for random subsets, for which it was made, at little more than the cost of fine-tuning
    """

    def __init__(
        self,
        *,
        forget_weight,
        forget_passes,
        forget_epochs,
        focus,
        saliency,
        max_norm,
        steps_per_epoch,
        steps_per_forget_pass,
    ):
        self.forget_weight = forget_weight
        self.forget_passes = forget_passes
        self.forget_epochs = forget_epochs
        self.focus = focus
        self.saliency = saliency
        self.max_norm = max_norm
        self.sizes = steps_per_epoch, steps_per_forget_pass
        self.retain_squares = None
        self.forget_squares = None
        self.masks = None

    def unlearn_step(self, model, retain_batch, forget_batch, optimizer, step, epoch):
        if is_measuring(step, epoch, *self.sizes):
            losses = self._add_squares(model.eval(), retain_batch, forget_batch)
            model.train()
            return losses
        if self.masks is None:
            pairs = zip(self.retain_squares, self.forget_squares, strict=True)
            self.masks = [of_forget >= self.saliency * of_retain for of_retain, of_forget in pairs]
            self.retain_squares = self.forget_squares = None
        losses = {}
        progress = (epoch + step / self.sizes[0]) / self.forget_epochs
        if progress < 1 and is_forget_turn(step, *self.sizes, passes=self.forget_passes):
            losses["forget_loss"] = self._forget_step(model, *forget_batch, optimizer, progress)
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

    def _forget_step(self, model, images, labels, optimizer, progress):
        decay = (1 + math.cos(math.pi * progress)) / 2
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
