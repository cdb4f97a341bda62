"""Descend on the retain set while ascending on the forget set."""

from torch.nn import functional as F


class UnlearningMethod:
    """CE(retain) - forget_weight * CE(forget), with one backward pass and one optimizer step.

    Formula: CE(retain) - forget_weight * CE(forget)
    Cost: 2 forwards and 2 backwards per step
    Source: the published task, which names no authors
    Defaults: forget_weight 0.5, as published with the task
    Deviations: none from the task. Retain and forget images pass through the model one after the other, the forget
        images last, so batch norm's running statistics, which keep 0.9 of the old at each pass, are by 0.1 / (0.1 +
        0.09) = 53 % those of the forget class. The evaluated model uses them, and so a part of its collapse is theirs
        and not the objective's. neggrad_plus with beta 2/3 is the same objective in one shared pass.
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
