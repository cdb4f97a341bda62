"""DELETE: Zhou et al., "Decoupled Distillation to Erase", CVPR 2025."""

import copy

import torch
from methods.shared.schedule import is_forget_turn
from torch.nn import functional as F


class UnlearningMethod:
    """On forget images, teach the model the original model's answer without the forget class.

    The zero in the target erases the class. The ratios among the other classes keep the rest in place: the original
    model knows these ratios, and random labels would destroy them.

    Formula: retain_weight * CE(retain), plus KL(softmax(original logits with the label's own at minus infinity) ||
        model) on forget images in the epoch's forget steps, which make one pass over the forget set
    Cost: 1 forward and 1 backward per step, 3 and 2 in a forget step (1 of the forwards is the original model's)
    Source: github.com/shaaaaron/DELETE, method/delete.py and config/cifar10_resnet18.yaml at 60018a1: forget images
        alone, 20 passes over them
    Defaults: retain_weight 1.0 is ours, 0.0 is the paper's; forget_pass "once", so that 20 epochs make the authors' 20
        passes over the forget set; "always" makes 9 times as many with 10 classes, 97 times as many with 100
    Deviations: the paper uses no retain images. With retain_weight 0.0, steps that are no forget steps leave the model
        as it is; then the retain images still share the forward pass of the forget steps, and so batch norm's
        statistics. The authors have SGD with momentum, learning rate 1e-4 (CIFAR-10) or 5e-5 (CIFAR-100).
    When to use: for whole classes, and as the first choice: its target is roughly what a model without the class would
        answer
    """

    def __init__(self, *, retain_weight, forget_pass, steps_per_epoch, steps_per_forget_pass):
        self.retain_weight = retain_weight
        self.forget_pass = forget_pass
        self.sizes = steps_per_epoch, steps_per_forget_pass
        self.original = None

    def unlearn_step(self, model, retain_batch, forget_batch, optimizer, step, epoch):
        if self.original is None:
            self.original = copy.deepcopy(model).eval()
        if not is_forget_turn(step, *self.sizes, self.forget_pass):
            return self._retain_step(model, *retain_batch, optimizer)
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

    def _retain_step(self, model, images, labels, optimizer):
        if self.retain_weight == 0:
            return {"loss": 0.0}  # Adam would move the weights on, even without a gradient
        optimizer.zero_grad()
        retain_loss = F.cross_entropy(model(images), labels)
        loss = self.retain_weight * retain_loss
        loss.backward()
        optimizer.step()
        return {"loss": loss, "retain_loss": retain_loss}
