"""A control: fine-tune on the retain set, and average the weights as mask_and_average does."""

import torch
from methods.shared.averaging import begin_average, show_average, weights_of
from torch.nn import functional as F


class UnlearningMethod:
    """Cross-entropy on the retain batch; the model holds the average of the weights that the optimizer went through.

    It is the control of the averaging: what mask_and_average gains over this row, it gains by its losses. What this row
    gains over retain_finetune, every other method could gain as well. As in mask_and_average, the optimizer works on
    weights of its own.

    Formula: CE(retain); the model's weights: average += (weights - average) * (1 + recency) / (steps + recency)
    Cost: 1 forward and 1 backward per step
    Source: this project's own control. The average is the polynomial-decay average of Shamir and Zhang, "Stochastic
        Gradient Descent for Non-smooth Optimization", ICML 2013 (not verified), with recency as its parameter
    Defaults: recency 2.0 as in mask_and_average
    Deviations: the weights of the model are an average, and not the weights that the optimizer steps on; the
        optimizer's settings are as given
    When to use: never in place of a method; compare mask_and_average with it, and it with retain_finetune
    """

    def __init__(self, *, recency):
        self.recency = recency
        self.weights = self.average = None
        self.steps = 0

    def unlearn_step(self, model, retain_batch, forget_batch, optimizer, step, epoch):
        shown = weights_of(model)
        if self.average is None:
            self.weights, self.average = begin_average(shown)
        torch._foreach_copy_(shown, self.weights)
        images, labels = retain_batch
        optimizer.zero_grad()
        loss = F.cross_entropy(model(images), labels)
        loss.backward()
        optimizer.step()
        self.steps += 1
        show_average(shown, self.weights, self.average, self.steps, self.recency)
        return {"loss": loss}
