"""Fine-tune on the retain set and let the forget class fade."""

from torch.nn import functional as F


class UnlearningMethod:
    """Cross-entropy on the retain batch; the forget batch is ignored."""

    def unlearn_step(self, model, retain_batch, forget_batch, optimizer, step, epoch):
        images, labels = retain_batch
        optimizer.zero_grad()
        loss = F.cross_entropy(model(images), labels)
        loss.backward()
        optimizer.step()
        return {"loss": loss}
