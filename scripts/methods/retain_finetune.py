"""Fine-tune on the retain set and let the forget class fade."""

from torch.nn import functional as F


class UnlearningMethod:
    """Cross-entropy on the retain batch; the forget batch is ignored.

    Formula: CE(retain)
    Cost: 1 forward and 1 backward per step
    Source: none; the plain reference of every paper on unlearning
    Defaults: none to choose
    Deviations: none
    When to use: first, and as the measure of every other method: for a whole class it is hard to beat, because no label
        names the class any more. It forgets only as a side effect, so whatever fine-tuning does not overwrite stays.
    """

    def unlearn_step(self, model, retain_batch, forget_batch, optimizer, step, epoch):
        images, labels = retain_batch
        optimizer.zero_grad()
        loss = F.cross_entropy(model(images), labels)
        loss.backward()
        optimizer.step()
        return {"loss": loss}
