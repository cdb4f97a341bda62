"""Flatten what the model says of forget images, and distill the original model on retained ones: for the score alone.

What it reaches, and what it costs, is in docs/on-trial.md.
"""

import copy
import math

import torch
from methods.shared.answers import answer_loss
from methods.shared.averaging import begin_average, show_average, weights_of
from torch.nn import functional as F

TINY = 1e-6
"""Added to a variance, so that its root has a derivative where it is 0."""


class UnlearningMethod:
    """Give forget images the same answer for every other class, and retained images the original model's answers.

    The attack of the benchmark scores an image by its largest probability, and the score rewards members that have a
    smaller one than unseen images. A flat answer has the smallest that there is. Training makes members flatter than
    unseen images only after what both have in common is flat. The usual divergence to the flat answer hardly pulls at
    an image that is nearly flat; the standard deviation of its logits pulls at every image alike, down to about the
    root of TINY. The original model's answers, as in renew_and_distill, and the average of the weights, as in
    mask_and_average, are meant to keep retain_acc.

    Formula: CE(retain) + temperature^2 * KL(p || q) on retain images, with p and q the softmax of the original model's
        and of the model's logits, divided by temperature, over the retained classes alone; + forget_weight * (-log(1 -
        the label's probability) + shape) on forget images; shape, over the logits of the other classes: "spread", their
        standard deviation, or "kl", KL(uniform || softmax); the model's weights: average += (weights - average) *
        (1 + recency) / (steps + recency)
    Cost: 3 forwards and 2 backwards per step (1 of the forwards is the original model's)
    Source: this project's own (docs/on-trial.md). Flat answers for forget images are in several methods, as a
        divergence; the standard deviation has no source that we know of.
    Defaults: shape "spread", forget_weight 1.0; temperature 4.0 (that of SCRUB's code), recency 8.0
    Deviations: the weights of the model are an average, and not the weights that the optimizer steps on
    When to use: to see how far unlearn_score can be raised without erasing more; never to unlearn.
    """

    def __init__(self, *, shape="spread", forget_weight=1.0, temperature=4.0, recency=8.0):
        if shape not in ("spread", "kl"):
            raise ValueError(f"shape is {shape!r}; write spread or kl")
        self.shape = shape
        self.forget_weight = forget_weight
        self.temperature = temperature
        self.recency = recency
        self.original = self.weights = self.average = None
        self.steps = 0

    def unlearn_step(self, model, retain_batch, forget_batch, optimizer, step, epoch):
        if self.original is None:
            self.original = copy.deepcopy(model).eval()
            self.weights, self.average = begin_average(weights_of(model))
        (images, labels), (forget_images, forget_labels) = retain_batch, forget_batch
        shown = weights_of(model)
        torch._foreach_copy_(shown, self.weights)
        optimizer.zero_grad()
        logits, forget_logits = model(torch.cat([images, forget_images])).split([len(images), len(forget_images)])
        retain_loss = F.cross_entropy(logits, labels)
        with torch.no_grad():
            original_logits = self.original(images)
        of_answers = answer_loss(logits, original_logits, forget_labels, self.temperature)
        forget_loss = self.forget_loss(forget_logits, forget_labels)
        loss = retain_loss + of_answers + self.forget_weight * forget_loss
        loss.backward()
        optimizer.step()
        self.steps += 1
        show_average(shown, self.weights, self.average, self.steps, self.recency)
        return {"loss": loss, "retain_loss": retain_loss, "answer_loss": of_answers, "forget_loss": forget_loss}

    def forget_loss(self, logits, labels):
        """Return the mean over forget images, with logits (B, classes), of the label's part and of the shape's."""
        own = F.one_hot(labels, logits.shape[1]).bool()
        others = logits[~own].view(len(logits), -1)
        label_part = F.softplus(logits[own] - others.logsumexp(dim=1)).mean()
        if self.shape == "kl":
            shape_part = others.logsumexp(dim=1) - others.mean(dim=1) - math.log(others.shape[1])
        else:
            shape_part = (others.var(dim=1, correction=min(1, others.shape[1] - 1)) + TINY).sqrt()
        return label_part + shape_part.mean()
