"""NPO: Zhang et al., "Negative Preference Optimization", COLM 2024."""

import copy

import torch
from methods.shared.schedule import is_forget_turn
from torch.nn import functional as F


class UnlearningMethod:
    """Make the forget labels less likely than in the original model, with a push that fades as this succeeds.

    Gradient ascent never stops pushing. Here the weight of an image falls from 1 to 0 as the probability of its label
    falls below the original model's probability.

    Formula: -2 / beta * mean of log sigmoid(-beta * (log p(y|x) - log p_original(y|x))) over forget images
        + retain_weight * CE(retain)
    Cost: 3 forwards and 2 backwards per step (1 of the forwards is the original model's); 1 and 1 outside of forget
        steps
    Source: github.com/licong-lin/negative-preference-optimization, synthetic/unlearn.py at 1207bbe (NPO_GDiff, a
        classifier with one label per input: beta 0.1, both weights 1, both whole sets in every step), and
        TOFU/config/forget.yaml and TOFU/dataloader.py (npo_grad_diff, language models: the same values, each forget
        text with one retain text)
    Defaults: beta 0.1 and retain_weight 1.0 as there. forget_pass "always", as there every step has both sets; with
        "once", the forget steps of an epoch make one pass over the forget set and the others are retain_weight *
        CE(retain)
    Deviations: both mini-batches share one forward pass. The authors' classifier is linear in fixed features, with full
        batches and plain gradient descent.
    When to use: in place of negative_gradient: its collapse comes later here. As beta goes to 0, NPO becomes the same
        ascent. The weight of an image is 2 / (1 + (p_original / p)^beta): at beta 0.1 still 0.76 when its loss has
        risen by 5, and 0.54 at 10, because a single label's ratio is small next to a sum over tokens. At beta 1 to 3
        the push fades as the authors describe.
    """

    def __init__(self, *, beta, retain_weight, forget_pass, steps_per_epoch, steps_per_forget_pass):
        self.beta = beta
        self.retain_weight = retain_weight
        self.forget_pass = forget_pass
        self.sizes = steps_per_epoch, steps_per_forget_pass
        self.original = None

    def unlearn_step(self, model, retain_batch, forget_batch, optimizer, step, epoch):
        if self.original is None:
            self.original = copy.deepcopy(model).eval()
        (retain_images, retain_labels), (forget_images, forget_labels) = retain_batch, forget_batch
        is_turn = is_forget_turn(step, *self.sizes, self.forget_pass)
        optimizer.zero_grad()
        logits = model(torch.cat([retain_images, forget_images]) if is_turn else retain_images)
        losses = {"retain_loss": F.cross_entropy(logits[: len(retain_images)], retain_labels)}
        loss = self.retain_weight * losses["retain_loss"]
        if is_turn:
            losses["forget_loss"] = self._preference_loss(logits[len(retain_images) :], forget_images, forget_labels)
            loss = loss + losses["forget_loss"]
        loss.backward()
        optimizer.step()
        return {"loss": loss} | losses

    def _preference_loss(self, logits, images, labels):
        with torch.no_grad():
            original_loss = F.cross_entropy(self.original(images), labels, reduction="none")
        log_ratio = original_loss - F.cross_entropy(logits, labels, reduction="none")  # log p - log p_original
        return -2 / self.beta * F.logsigmoid(-self.beta * log_ratio).mean()
