"""Draw weights anew, and teach the model what the original says of retained images, the class masked: our own method.

Why, and what it reached, is in docs/on-trial.md.
"""

import copy

import torch
from methods.shared.answers import answer_loss
from methods.shared.averaging import begin_average, show_average, weights_of
from torch import nn
from torch.nn import functional as F

from unlearning.models import initialise


class UnlearningMethod:
    """Draw the layers anew, and distill the original model, without the class, from retained images alone.

    What a model's answers do not show is still in its weights, and a few steps bring it back. A student with fresh
    weights that learns from the answers gets only what the answers show: the original model's answers to retained
    images, with the class crossed out. The student never sees a forget image. The answers teach it in a few epochs what
    the original model learned in many, because each tells how near an image is to all the classes, not only its label.
    The steps of the optimizer never shrink, so the model holds the average of its weights, as in mask_and_average.

    Formula: at the first step, weights and running statistics of the last round(fresh_share * n) of n layers as in a
        new model; then CE(retain) + temperature^2 * KL(p || q) on retain images, with p and q the softmax of the
        original model's and of the model's logits, divided by temperature, over the retained classes alone; the model's
        weights: average += (weights - average) * (1 + recency) / (steps + recency)
    Cost: 2 forwards and 1 backward per step (1 of the forwards is the original model's)
    Source: this project's own (docs/on-trial.md). To distill an unlearned model into one with damaged weights is
        UNDO: Lee et al., "Distillation Robustifies Unlearning", NeurIPS 2025, arXiv 2506.06278, and
        github.com/AddieFoote/distillation-robustify-unlearning, src/tools/partial_distill_langarith.py at edbf111
    Defaults: fresh_share 1.0, temperature 4.0 (that of SCRUB's code), recency 8.0
    Deviations: from UNDO: the unlearned model is the original one with the class masked, so nothing is unlearned first;
        layers are drawn anew as a whole, where UNDO mixes (1 - alpha) * weights + alpha * 0.1 * noise in every matrix;
        temperature 4, not 1; the weights are averaged
    When to use: where nothing of the class may be left, and retain_acc may cost something: with fresh_share 1.0, what
        is left can only have come through the answers. The budget must be enough to train the model: on few images, or
        in few steps, keep the first layers with a smaller fresh_share.
    """

    def __init__(self, *, fresh_share=1.0, temperature=4.0, recency=8.0):
        self.fresh_share = fresh_share
        self.temperature = temperature
        self.recency = recency
        self.original = self.weights = self.average = None
        self.steps = 0

    def unlearn_step(self, model, retain_batch, forget_batch, optimizer, step, epoch):
        if self.original is None:
            self.begin(model)
        (images, labels), (_, forget_labels) = retain_batch, forget_batch
        shown = weights_of(model)
        torch._foreach_copy_(shown, self.weights)
        optimizer.zero_grad()
        logits = model(images)
        with torch.no_grad():
            original_logits = self.original(images)
        retain_loss = F.cross_entropy(logits, labels)
        of_answers = answer_loss(logits, original_logits, forget_labels, self.temperature)
        loss = retain_loss + of_answers
        loss.backward()
        optimizer.step()
        self.steps += 1
        show_average(shown, self.weights, self.average, self.steps, self.recency)
        return {"loss": loss, "retain_loss": retain_loss, "answer_loss": of_answers}

    def begin(self, model):
        """Keep the original model, draw the last layers anew, and start the optimizer's weights and their average."""
        self.original = copy.deepcopy(model).eval()
        layers = [module for module in model.modules() if list(module.parameters(recurse=False))]
        kept = len(layers) - round(self.fresh_share * len(layers))
        initialise(nn.ModuleList(layers[kept:]))
        self.weights, self.average = begin_average(weights_of(model))
