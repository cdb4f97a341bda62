"""Bad teacher: Chundawat et al., "Can Bad Teaching Induce Forgetting?", AAAI 2023."""

import copy

import torch
from torch.nn import functional as F

from unlearning.models import initialise


class UnlearningMethod:
    """Follow a competent teacher on retain images and an incompetent one on forget images.

    The competent teacher is the original model; the incompetent teacher is a randomly initialised model. Both are in
    eval mode. Retain and forget images share one forward pass; the loss is KL(teacher || model) at ``temperature``,
    averaged over the images. No hard labels are used.

    Formula: KL(softmax of the teacher's logits / temperature || softmax of the model's logits / temperature), where the
        teacher is the original model on retain images and a randomly initialised model on forget images
    Cost: 4 forwards and 2 backwards per step (2 of the forwards are the teachers')
    Source: github.com/vikram2000b/bad-teaching-unlearning, unlearn.py and CIFARSuper20_Rocket_Unlearn.ipynb at f1aa988:
        the loss, temperature 1, one epoch over the forget set and 30 % of the retain set, shuffled together, batches of
        256, Adam with learning rate 1e-4
    Defaults: temperature 1, as published with the task; it is the authors' too
    Deviations: both mini-batches are used whole, so forget images are half of each step; in the authors' code they are
        their share of the shuffled images, in one epoch. It averages the KL over images and classes, which is a
        constant factor.
    When to use: when forget images have no label to move away from. On forget images it teaches what a random network
        answers, which no retrained model does. A random ResNet-20 in eval mode answers one class, with confidence, for
        nearly all images; in one of as many draws as there are classes this is the forget class itself, and then it
        teaches the class anew. A random VGG-16 or MobileNetV2 answers almost uniformly.
    """

    def __init__(self, *, temperature):
        self.temperature = temperature
        self.competent = None
        self.incompetent = None

    def unlearn_step(self, model, retain_batch, forget_batch, optimizer, step, epoch):
        if self.competent is None:
            self.competent = copy.deepcopy(model).eval()
            self.incompetent = copy.deepcopy(model).eval()
            initialise(self.incompetent)
        retain_images, forget_images = retain_batch[0], forget_batch[0]
        with torch.no_grad():
            teacher_logits = torch.cat([self.competent(retain_images), self.incompetent(forget_images)])
        optimizer.zero_grad()
        logits = model(torch.cat([retain_images, forget_images]))
        loss = F.kl_div(
            F.log_softmax(logits / self.temperature, dim=1),
            F.softmax(teacher_logits / self.temperature, dim=1),
            reduction="batchmean",
        )
        loss.backward()
        optimizer.step()
        return {"loss": loss}
