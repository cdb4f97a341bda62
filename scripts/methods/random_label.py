"""Random labels: Graves et al., "Amnesiac Machine Learning", AAAI 2021."""

import torch
from methods.shared.schedule import is_forget_turn
from torch.nn import functional as F


def random_other_labels(labels, classes):
    """Return one of the other classes per label, each equally likely."""
    return (labels + torch.randint_like(labels, 1, classes)) % classes


class UnlearningMethod:
    """Continue training, with random other labels on forget images: noise overwrites the model's knowledge of them.

    Formula: CE(retain), and in the epoch's forget steps, which make one pass over the forget set, CE(retain) +
        CE(forget with random other labels): every image weighs the same
    Cost: 1 forward and 1 backward per step, 2 and 2 in a forget step (one of each, over both mini-batches)
    Source: github.com/lmgraves/AmnesiacML, Unlearning%20Tester%20-%20CIFAR100.ipynb at ae594cd: one shuffled data set
        with both sets, where each forget image has another label, drawn once and never the own
    Defaults: forget_pass "once", as in the authors' code; with "always" every step is a forget step
    Deviations: a label is drawn again each time an image is used; the authors draw one label per image. The forget
        images of an epoch come in as many batches as they fill; the authors shuffle them among the retain images. The
        paper's other method, which undoes the updates from forget batches, needs a record of the pretraining and is
        not this method.
    When to use: as a plain reference. It forgets reliably, but the labels make the model unsure on forget images in a
        way that no retrained model is, and a membership test can see this.
    """

    def __init__(self, *, forget_pass, steps_per_epoch, steps_per_forget_pass):
        self.forget_pass = forget_pass
        self.sizes = steps_per_epoch, steps_per_forget_pass

    def unlearn_step(self, model, retain_batch, forget_batch, optimizer, step, epoch):
        images, labels = retain_batch
        retained = len(labels)
        is_turn = is_forget_turn(step, *self.sizes, self.forget_pass)
        optimizer.zero_grad()
        logits = model(torch.cat([images, forget_batch[0]]) if is_turn else images)
        losses = {"retain_loss": F.cross_entropy(logits[:retained], labels)}
        if is_turn:
            new_labels = random_other_labels(forget_batch[1], logits.shape[1])
            losses["forget_loss"] = F.cross_entropy(logits[retained:], new_labels)
        loss = sum(losses.values())
        loss.backward()
        optimizer.step()
        return {"loss": loss} | losses
