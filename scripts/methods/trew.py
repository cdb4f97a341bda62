"""TREW: Ebrahimpour-Boroojeny et al., "Unlearning Isn't Forgetting", ICML 2026."""

import copy

import torch
from methods.shared.schedule import is_forget_turn
from torch import nn
from torch.nn import functional as F


class UnlearningMethod:
    """On forget images, teach the original model's answer without the forget class, tilted to the classes most like it.

    A retrained model takes images of a class that it never saw for the classes nearest to it, more than the original
    model's small probabilities say. How near a class is, the original model's head tells: by the angle between the
    rows of the two classes.

    Formula: CE(retain) + KL(q || model) on forget images, where q_j is proportional to p(j) exp(beta * s_j) for every
        class j but the label's own f, and q_f = 0; p is the original model's softmax, s_j the cosine of rows j and f of
        the original model's head
    Cost: 3 forwards and 2 backwards in a forget step (1 of the forwards is the original model's), then 1 and 1
    Source: the paper's abstract (arXiv 2506.20893; its earlier name is TRW) and its public reviews, which name the
        exponential tilt, the cosine, q_f = 0 and beta 10. Not verified: the paper's text and its code,
        github.com/CrowdDynamicsLab/ICML_TREW, could not be reached.
    Defaults: beta 10, the paper's according to its reviews; forget_pass once
    Deviations: a review says that the paper takes cosines after a principal component analysis and passes them through
        a sharp softmax; its dimension and temperature are not known, so the plain cosines are taken here. Both
        mini-batches share one forward pass.
    When to use: in place of delete, if the answers on forget images are to be like a retrained model's: with beta 0 it
        is delete. The tilt is the same for all images of the class.
    """

    def __init__(self, *, beta, forget_pass, steps_per_epoch, steps_per_forget_pass):
        self.beta = beta
        self.forget_pass = forget_pass
        self.sizes = steps_per_epoch, steps_per_forget_pass
        self.original = self.tilt = None

    def unlearn_step(self, model, retain_batch, forget_batch, optimizer, step, epoch):
        if self.original is None:
            self.original = copy.deepcopy(model).eval()
            self.tilt = self.beta * similarities(self.original)
        (retain_images, retain_labels), (forget_images, forget_labels) = retain_batch, forget_batch
        optimizer.zero_grad()
        if is_forget_turn(step, *self.sizes, self.forget_pass):
            logits = model(torch.cat([retain_images, forget_images]))
            retain_loss = F.cross_entropy(logits[: len(retain_images)], retain_labels)
            log_probabilities = F.log_softmax(logits[len(retain_images) :], dim=1)
            forget_loss = F.kl_div(
                log_probabilities, self._targets(forget_images, forget_labels), reduction="batchmean"
            )
            loss, parts = retain_loss + forget_loss, {"retain_loss": retain_loss, "forget_loss": forget_loss}
        else:
            loss = F.cross_entropy(model(retain_images), retain_labels)
            parts = {"retain_loss": loss}
        loss.backward()
        optimizer.step()
        return {"loss": loss} | parts

    @torch.no_grad()
    def _targets(self, images, labels):
        """Return q (B, classes)."""
        tilted = self.original(images) + self.tilt[labels]
        return F.softmax(tilted.scatter(1, labels[:, None], -torch.inf), dim=1)


@torch.no_grad()
def similarities(model):
    """Return the cosine of each pair of rows of the model's head (classes, classes)."""
    head = [module for module in model.modules() if isinstance(module, nn.Linear)][-1]
    rows = F.normalize(head.weight, dim=1)
    return rows @ rows.T
