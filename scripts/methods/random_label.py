"""Random labels: Graves et al., "Amnesiac Machine Learning", AAAI 2021."""

import torch
from torch.nn import functional as F


def random_other_labels(labels, classes):
    """Return for each label one of the other classes, each equally likely."""
    return (labels + torch.randint_like(labels, 1, classes)) % classes


class UnlearningMethod:
    """Train on, with forget images that bear random other labels: what the model knew of them is overwritten by noise.

    Formula: CE over the retain images with their labels and the forget images with random other labels, one mean over
        all of them
    Cost: 2 forwards and 2 backwards a step (one of each, over both mini-batches)
    Defaults: none to choose
    Deviations: the labels are drawn anew each time an image comes by, where the paper draws one for each image; forget
        images are half of each step, where the paper shuffles them among the retain images; the paper's other method,
        taking the forget batches' own updates back, needs a record of the pretraining and is not this one
    When to use: as a plain reference; it forgets reliably, but the labels make the model unsure on forget images in a
        way that no retrained model is, which a membership test can see
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
