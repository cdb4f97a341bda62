"""NPO: Zhang et al., "Negative Preference Optimization", COLM 2024."""

import copy

import torch
from torch.nn import functional as F


class UnlearningMethod:
    """Make the forget labels less likely than in the original model, with a push that fades as this succeeds.

    Gradient ascent never stops pushing. Here the weight of an image falls from 1 to 0 as the probability of its label
    falls below the original model's probability.

    Formula: -2 / beta * mean of log sigmoid(-beta * (log p(y|x) - log p_original(y|x))) over forget images
        + retain_weight * CE(retain)
    Cost: 3 forwards and 2 backwards per step (1 of the forwards is the original model's)
    Defaults: beta 0.1 and retain_weight 1.0 as in the authors' code of NPO+RT
    Deviations: made for language models; here a "sequence" is one label
    When to use: in place of negative_gradient: its collapse comes later here. As beta goes to 0, NPO becomes the same
        ascent. With one label in place of a sum over tokens the ratio is small, so that at beta 0.1 the push fades
        late.
    """

    def __init__(self, *, beta, retain_weight):
        self.beta = beta
        self.retain_weight = retain_weight
        self.original = None

    def unlearn_step(self, model, retain_batch, forget_batch, optimizer, step, epoch):
        if self.original is None:
            self.original = copy.deepcopy(model).eval()
        (retain_images, retain_labels), (forget_images, forget_labels) = retain_batch, forget_batch
        with torch.no_grad():
            original_loss = F.cross_entropy(self.original(forget_images), forget_labels, reduction="none")
        optimizer.zero_grad()
        logits = model(torch.cat([retain_images, forget_images]))
        retain_loss = F.cross_entropy(logits[: len(retain_images)], retain_labels)
        current_loss = F.cross_entropy(logits[len(retain_images) :], forget_labels, reduction="none")
        log_ratio = original_loss - current_loss  # log p - log p_original
        forget_loss = -2 / self.beta * F.logsigmoid(-self.beta * log_ratio).mean()
        loss = forget_loss + self.retain_weight * retain_loss
        loss.backward()
        optimizer.step()
        return {"loss": loss, "retain_loss": retain_loss, "forget_loss": forget_loss}
