"""SSD: Foster et al., "Fast Machine Unlearning without Retraining through Selective Synaptic Dampening", AAAI 2024."""

import torch
from methods.shared.gradients import add_squared_gradients_of_images
from methods.shared.schedule import is_measuring
from torch.nn import functional as F

LEAST_STEPS = 50
"""Of measuring: a small forget set is passed over several times, so that the noise of the random signs averages out."""


class UnlearningMethod:
    """Shrink, once, the weights that matter far more to the forget set than to all data. No training.

    The first steps leave the model as it is and add up every weight's importance (the diagonal of the empirical Fisher
    information) on both sets: one pass over the forget set, or 50 steps if these are more. The next step dampens; later
    steps do nothing.

    Formula: w *= min(dampening * F_all / F_forget, 1) where F_forget > selection * F_all; F is the mean squared
        gradient of an image's CE, and F_all = s * F_forget + (1 - s) * F_retain with the forget set's share s of the
        images
    Cost: 2 forwards and 2 backwards per step of measuring, then none
    Source: github.com/if-loops/selective-synaptic-dampening, src/ssd.py at cdfdc0e for the formula, and
        src/forget_full_class_main.py for alpha 10, lambda 1 and batches of 64. A comment there names alpha 50, lambda
        0.1 for faces.
    Defaults: dampening (lambda) 1.0 is the authors'; selection (alpha) 5.0 is ours. F_all is at least s * F_forget, so
        that a weight can only be selected if selection * s < 1. The authors' 10 therefore selects nothing with 10
        balanced classes, where 5 selects F_forget > 9 * F_retain. In their benchmarks, 10 selects F_forget > 19 *
        F_retain (20 classes) and 11 * F_retain (100 classes).
    Deviations: importance is measured per image, as in the paper's formula, and estimated without bias from one
        backward pass of a mini-batch with random signs. The authors' code squares the gradients of whole mini-batches,
        which come class by class, because its set is not shuffled; in shuffled mini-batches, gradients of different
        classes would cancel. 50 steps see a part of a large retain set. Images are augmented.
    When to use: when there is no time to train, and in sequences of requests; the threshold decides between nothing
        forgotten and a ruined model, and the right value differs from model to model. Needs a step after the measuring:
        two epochs, if an epoch has 50 steps or fewer. With a forget set of more than 1 / selection of all images it
        does nothing.
    """

    def __init__(self, *, selection, dampening, retain_images, forget_images, steps_per_epoch, steps_per_forget_pass):
        self.selection = selection
        self.dampening = dampening
        self.share = forget_images / (forget_images + retain_images)
        self.sizes = steps_per_epoch, steps_per_forget_pass
        self.totals = {}
        self.images = {"retain": 0, "forget": 0}

    def unlearn_step(self, model, retain_batch, forget_batch, optimizer, step, epoch):
        if is_measuring(step, epoch, *self.sizes, least=LEAST_STEPS):
            model.eval()
            loss = self._add_importances("retain", model, *retain_batch)
            forget_loss = self._add_importances("forget", model, *forget_batch)
            model.train()
            return {"loss": loss, "forget_loss": forget_loss}
        if self.totals:
            self._dampen(model)
            self.totals = {}
        return {"loss": 0.0}

    def _add_importances(self, name, model, images, labels):
        if name not in self.totals:
            self.totals[name] = [torch.zeros_like(parameter) for parameter in model.parameters()]
        losses = F.cross_entropy(model(images), labels, reduction="none")
        add_squared_gradients_of_images(self.totals[name], model, losses)
        self.images[name] += len(images)
        return losses.mean()

    @torch.no_grad()
    def _dampen(self, model):
        totals = zip(self.totals["retain"], self.totals["forget"], strict=True)
        for parameter, (of_retain, of_forget) in zip(model.parameters(), totals, strict=True):
            of_retain, of_forget = of_retain / self.images["retain"], of_forget / self.images["forget"]
            of_all = self.share * of_forget + (1 - self.share) * of_retain
            is_selected = of_forget > self.selection * of_all
            factor = (self.dampening * of_all / of_forget).clamp(max=1)
            parameter.mul_(torch.where(is_selected, factor, 1.0))
