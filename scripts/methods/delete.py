"""DELETE: Zhou et al., "Decoupled Distillation to Erase", CVPR 2025."""

import copy

import torch
from torch.nn import functional as F


class UnlearningMethod:
    """On forget images, teach the model the original model's answer without the forget class.

    The zero in the target erases the class. The ratios among the other classes keep the rest in place: the original
    model knows these ratios, and random labels would destroy them.

    Formula: KL(softmax(original logits with the label's own at minus infinity) || model) on forget images
        + retain_weight * CE(retain)
    Cost: 3 forwards and 2 backwards per step (1 of the forwards is the original model's)
    Defaults: retain_weight 1.0 is ours, 0.0 is the paper's; there is nothing else to choose
    Deviations: the paper uses no retain images and few passes over the forget set; here one epoch passes over it 9
        times with 10 classes and 99 times with 100 classes, at a fixed learning rate, so that forget images alone would
        overwrite the model
    When to use: for whole classes, and as the first choice: its target is roughly what a model without the class would
        answer
    """

    def __init__(self, *, retain_weight):
        self.retain_weight = retain_weight
        self.original = None

    def unlearn_step(self, model, retain_batch, forget_batch, optimizer, step, epoch):
        if self.original is None:
            self.original = copy.deepcopy(model).eval()
        (retain_images, retain_labels), (forget_images, forget_labels) = retain_batch, forget_batch
        with torch.no_grad():
            target_logits = self.original(forget_images).scatter(1, forget_labels[:, None], -torch.inf)
        optimizer.zero_grad()
        logits = model(torch.cat([retain_images, forget_images]))
        retain_loss = F.cross_entropy(logits[: len(retain_images)], retain_labels)
        forget_loss = F.kl_div(
            F.log_softmax(logits[len(retain_images) :], dim=1), F.softmax(target_logits, dim=1), reduction="batchmean"
        )
        loss = forget_loss + self.retain_weight * retain_loss
        loss.backward()
        optimizer.step()
        return {"loss": loss, "retain_loss": retain_loss, "forget_loss": forget_loss}
