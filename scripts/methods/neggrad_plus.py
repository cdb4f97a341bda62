"""NegGrad+: Kurmanji et al., "Towards Unbounded Machine Unlearning", NeurIPS 2023."""

import torch
from torch.nn import functional as F


class UnlearningMethod:
    """Descend on the retain set while ascending, much less, on the forget set.

    Formula: beta * CE(retain) - (1 - beta) * CE(forget)
    Cost: 2 forwards and 2 backwards per step (one of each, over both mini-batches)
    Defaults: beta 0.95, a usual value in adaptations of the authors' code; the paper chooses it per data set
    Deviations: both mini-batches share one forward pass, so that batch norm's running statistics do not swing between
        the two; the authors pass the mini-batches one after the other
    When to use: as the strongest simple reference. The ascent has no limit: over many steps the forget loss outgrows
        the retain loss, even with a small weight.
    """

    def __init__(self, *, beta):
        self.beta = beta

    def unlearn_step(self, model, retain_batch, forget_batch, optimizer, step, epoch):
        (retain_images, retain_labels), (forget_images, forget_labels) = retain_batch, forget_batch
        optimizer.zero_grad()
        logits = model(torch.cat([retain_images, forget_images]))
        retain_loss = F.cross_entropy(logits[: len(retain_images)], retain_labels)
        forget_loss = F.cross_entropy(logits[len(retain_images) :], forget_labels)
        loss = self.beta * retain_loss - (1 - self.beta) * forget_loss
        loss.backward()
        optimizer.step()
        return {"loss": loss, "retain_loss": retain_loss, "forget_loss": forget_loss}
