"""Random labels: Graves et al., "Amnesiac Machine Learning", AAAI 2021."""

import torch
from torch.nn import functional as F


def random_other_labels(labels, classes):
    """Return one of the other classes per label, each equally likely."""
    return (labels + torch.randint_like(labels, 1, classes)) % classes


class UnlearningMethod:
    """Continue training, with random other labels on forget images: noise overwrites the model's knowledge of them.

    Formula: CE over the retain images with their labels and the forget images with random other labels, one mean over
        all images
    Cost: 2 forwards and 2 backwards per step (one of each, over both mini-batches)
    Defaults: none to choose
    Deviations: a label is drawn again each time an image is used; the paper draws one label per image. Forget images
        are half of each step; the paper shuffles them among the retain images. The paper's other method, which undoes
        the updates from forget batches, needs a record of the pretraining and is not this method.
    When to use: as a plain reference. It forgets reliably, but the labels make the model unsure on forget images in a
        way that no retrained model is, and a membership test can see this.
    """

    def unlearn_step(self, model, retain_batch, forget_batch, optimizer, step, epoch):
        (retain_images, retain_labels), (forget_images, forget_labels) = retain_batch, forget_batch
        optimizer.zero_grad()
        logits = model(torch.cat([retain_images, forget_images]))
        labels = torch.cat([retain_labels, random_other_labels(forget_labels, logits.shape[1])])
        loss = F.cross_entropy(logits, labels)
        loss.backward()
        optimizer.step()
        return {"loss": loss}
