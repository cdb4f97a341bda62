"""Descend on the retain set while ascending on the forget set."""

from torch.nn import functional as F


class UnlearningMethod:
    """CE(retain) - forget_weight * CE(forget), with one backward pass and one optimizer step.

    Formula: CE(retain) - forget_weight * CE(forget)
    Cost: 2 forwards and 2 backwards per step
    Defaults: forget_weight 0.5, as published with the task
    Deviations: none
    When to use: as the reference that shows a collapse: the forget loss has no upper limit, so at this weight and with
        this number of steps it destroys the retained classes too
    """

    def __init__(self, *, forget_weight):
        self.forget_weight = forget_weight

    def unlearn_step(self, model, retain_batch, forget_batch, optimizer, step, epoch):
        optimizer.zero_grad()
        batches = (retain_batch, forget_batch)
        retain_loss, forget_loss = (F.cross_entropy(model(images), labels) for images, labels in batches)
        loss = retain_loss - self.forget_weight * forget_loss
        loss.backward()
        optimizer.step()
        return {"loss": loss, "retain_loss": retain_loss, "forget_loss": forget_loss}
