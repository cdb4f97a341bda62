"""NegGrad+: Kurmanji et al., "Towards Unbounded Machine Unlearning", NeurIPS 2023."""

import torch
from methods.shared.schedule import is_forget_turn
from torch.nn import functional as F


class UnlearningMethod:
    """Descend on the retain set while ascending, much less, on the forget set.

    Formula: beta * CE(retain) - (1 - beta) * CE(forget)
    Cost: 2 forwards and 2 backwards per step (one of each, over both mini-batches); 1 and 1 outside of forget steps
    Source: github.com/meghdadk/SCRUB, BadT_experiments.ipynb at 98ffb11 (class 5 of CIFAR-10, beta 0.9999; it is called
        ng_alpha there) and thirdparty/repdistiller/helper/loops.py (train_negrad: every retain mini-batch has a forget
        mini-batch, from a loader that is cycled)
    Defaults: beta 0.9999 as in the authors' notebooks on all of CIFAR-10 and CIFAR-100; those on small subsets have
        0.95. forget_pass "always", as in their code; with "once", the forget steps of an epoch make one pass over the
        forget set and the others are beta * CE(retain)
    Deviations: both mini-batches share one forward pass, so that batch norm's running statistics do not swing between
        the two; the authors pass the mini-batches one after the other. They have SGD with a learning rate of 0.01, for
        5 or 10 epochs.
    When to use: as the strongest simple reference. The ascent has no limit: over many steps the forget loss outgrows
        the retain loss, even with a small weight. At beta 0.9999 the ascent is felt only once the retain loss is near
        zero.
    """

    def __init__(self, *, beta, forget_pass, steps_per_epoch, steps_per_forget_pass):
        self.beta = beta
        self.forget_pass = forget_pass
        self.sizes = steps_per_epoch, steps_per_forget_pass

    def unlearn_step(self, model, retain_batch, forget_batch, optimizer, step, epoch):
        (retain_images, retain_labels), (forget_images, forget_labels) = retain_batch, forget_batch
        is_turn = is_forget_turn(step, *self.sizes, self.forget_pass)
        optimizer.zero_grad()
        logits = model(torch.cat([retain_images, forget_images]) if is_turn else retain_images)
        losses = {"retain_loss": F.cross_entropy(logits[: len(retain_images)], retain_labels)}
        loss = self.beta * losses["retain_loss"]
        if is_turn:
            losses["forget_loss"] = F.cross_entropy(logits[len(retain_images) :], forget_labels)
            loss = loss - (1 - self.beta) * losses["forget_loss"]
        loss.backward()
        optimizer.step()
        return {"loss": loss} | losses
