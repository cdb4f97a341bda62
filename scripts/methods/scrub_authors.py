"""SCRUB with its authors' schedule: Kurmanji et al., "Towards Unbounded Machine Unlearning", NeurIPS 2023."""

import copy

import torch
from methods.shared.schedule import is_in_forget_round
from torch.nn import functional as F


def distillation_loss(logits, teacher_logits, temperature):
    """Return KL(teacher || model) at ``temperature``, averaged over the batch, with the usual factor T^2."""
    log_probabilities = F.log_softmax(logits / temperature, dim=1)
    teacher_probabilities = F.softmax(teacher_logits / temperature, dim=1)
    return F.kl_div(log_probabilities, teacher_probabilities, reduction="batchmean") * temperature**2


class UnlearningMethod:
    """Move away from the teacher (the original model) on forget images, then come back to it on retain images.

    The losses of scrub, in the order of its authors. Each of the first max_epochs epochs begins with one pass of max
    steps over the forget set; all other steps are min steps. In scrub every min step of these epochs has a max step:
    9 times as many with 10 classes, 97 times as many with 100.

    Formula: max step -KL(original || model) on forget; min step ce_weight * CE + kl_weight * KL(original || model) on
        retain; both KL at temperature T, times T^2
    Cost: 2 forwards and 1 backward per step (half of the forwards are the teacher's)
    Source: github.com/meghdadk/SCRUB, large_scale_unlearning.ipynb at 98ffb11 (class 5 of CIFAR-10, whole: gamma 0.99,
        alpha 0.001, T 4, msteps 2 of 3 epochs; BadT_experiments.ipynb has the same); the losses are in
        thirdparty/repdistiller/helper/loops.py
    Defaults: max_epochs 2 (msteps), ce_weight 0.99 (gamma), kl_weight 0.001 (alpha) and temperature 4 as there. Other
        notebooks of theirs, for a few images or for confused labels, have 1 and 99, 0.01 and 0.5, 2, and 3 and 5.
    Deviations: the retain batches of the max steps go unused. Max batches are as large as min batches; the notebooks
        have 512 (8 max steps in a pass) next to 128 or 256. Adam at a fixed learning rate, which is theirs in some
        notebooks; SGD, with a step down, in those two. The rewinding to a checkpoint with the right forget error
        (SCRUB+R) is left out. Their models have no batch norm; here the max steps also move its statistics.
    When to use: as SCRUB; scrub itself has the published task's schedule
    """

    def __init__(self, *, max_epochs, ce_weight, kl_weight, temperature, steps_per_epoch, steps_per_forget_pass):
        self.max_epochs = max_epochs
        self.ce_weight = ce_weight
        self.kl_weight = kl_weight
        self.temperature = temperature
        self.sizes = steps_per_epoch, steps_per_forget_pass
        self.teacher = None

    def unlearn_step(self, model, retain_batch, forget_batch, optimizer, step, epoch):
        if self.teacher is None:
            self.teacher = copy.deepcopy(model).eval()
        is_max = epoch < self.max_epochs and is_in_forget_round(step, *self.sizes)
        images, labels = forget_batch if is_max else retain_batch
        with torch.no_grad():
            teacher_logits = self.teacher(images)
        optimizer.zero_grad()
        logits = model(images)
        distance = distillation_loss(logits, teacher_logits, self.temperature)
        loss = -distance if is_max else self.ce_weight * F.cross_entropy(logits, labels) + self.kl_weight * distance
        loss.backward()
        optimizer.step()
        return {"loss": loss, "max_loss" if is_max else "min_loss": loss}
