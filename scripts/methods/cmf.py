"""CMF: Gao et al., "An Illusion of Unlearning? Assessing Machine Unlearning Through Internal Representations", 2026."""

import copy
import math

import torch
from methods.shared.schedule import is_forget_turn
from torch.nn import functional as F

PER_CLASS = 50
"""Images per class, on average, from which class means are measured."""


class UnlearningMethod:
    """Train the features alone, with random other labels on forget images, under a head that is made of class means.

    A trained head can look away from the forget class while the features still show it. Here the head cannot: its rows
    are the mean features of the classes with their true labels, the forget class among them, and are measured again at
    the end of each epoch. So forget images have to leave the mean of their own class. The first steps only measure.

    Formula: CE over retain images and, in a forget step, forget images with random other labels, one mean over all;
        logits = temperature * centred . w_c, where z = features / |features|, centred = (z - m) / |z - m|, m is the
        mean of z over all training images, and w_c the unit vector along the mean of z over class c less its part
        along m. At the end of an epoch: rows of the head = w_c * temperature / mean of |features| |z - m|, bias = 0
    Cost: 2 forwards and 2 backwards in a forget step, else 1 and 1; 2 forwards more in a measured step
    Source: github.com/ycgao1/CMF_Unlearning, unlearn/random_label.py at e6e94af (random_label_CMF_unlearn); the head is
        in unlearn/cmf_weights.py, max_norm in script/run/run_resnet_18_CMF_unlearning.sh. Not verified: the paper's
        text (arXiv 2604.08271).
    Defaults: temperature 1 and max_norm 1, the authors'; forget_pass once, as they shuffle the forget images among the
        others
    Deviations: w_c is orthogonal to m. The authors' is not, and then no linear head gives their answers, because the
        length of the features has a say; here the saved weights' answers are the method's, which are different for few
        images. Means are measured on 50 images per class, of the last steps of an epoch (at first: of the first steps),
        and not on all images. A forget step has as many forget as retain images. The authors first fine-tune the
        original model under this head for one epoch, and use SGD.
    When to use: against attacks that read the features, because no logit is suppressed. The head keeps a row for the
        forget class, so even the features of a retrained model would not give a forget_acc of 0. With temperature 1 all
        probabilities are nearly equal.
    """

    def __init__(
        self,
        *,
        temperature,
        max_norm,
        forget_pass,
        retain_images,
        forget_images,
        steps_per_epoch,
        steps_per_forget_pass,
    ):
        self.temperature = temperature
        self.max_norm = max_norm
        self.forget_pass = forget_pass
        self.forget_share = forget_images / (retain_images + forget_images)
        self.sizes = steps_per_epoch, steps_per_forget_pass
        self.measured = []
        self.measured_steps = self.mean = self.rows = None

    def unlearn_step(self, model, retain_batch, forget_batch, optimizer, step, epoch):
        steps = self.sizes[0]
        if self.measured_steps is None:
            self.measured_steps = min(math.ceil(PER_CLASS * model.head.out_features / len(retain_batch[0])), steps)
        is_before_the_first_update = epoch == 0 and step < self.measured_steps
        if is_before_the_first_update or step >= steps - self.measured_steps:
            self.measured.append((retain_batch, forget_batch))
        if is_before_the_first_update:
            loss = loss_as_it_is(model, *retain_batch)
        else:
            if self.rows is None:
                self._make_head(model)
            loss = self._descend(model, retain_batch, forget_batch, optimizer, step)
        if step == steps - 1:
            self._make_head(model)
        return {"loss": loss}

    def _descend(self, model, retain_batch, forget_batch, optimizer, step):
        images, labels = retain_batch
        if is_forget_turn(step, *self.sizes, self.forget_pass):
            images = torch.cat([images, forget_batch[0]])
            labels = torch.cat([labels, random_other_labels(forget_batch[1], model.head.out_features)])
        optimizer.zero_grad()
        centred = unit_features(model, images)[0] - self.mean
        loss = F.cross_entropy(self.temperature * F.normalize(centred, dim=1) @ self.rows.T, labels)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), self.max_norm)
        optimizer.step()
        return loss

    @torch.no_grad()
    def _make_head(self, model):
        """Measure the class means of the images that were put aside, and write them into the head of ``model``."""
        still = copy.deepcopy(model).eval()
        (retain, lengths, labels), (forget, forget_lengths, forget_labels) = (
            unit_features_of_all(still, batches) for batches in zip(*self.measured, strict=True)
        )
        self.measured = []
        self.mean = retain.mean(dim=0).lerp(forget.mean(dim=0), self.forget_share)
        units, lengths = torch.cat([retain, forget]), torch.cat([lengths, forget_lengths])
        members = F.one_hot(torch.cat([labels, forget_labels]), model.head.out_features).to(units.dtype).T
        means = F.normalize(members, p=1, dim=1) @ units  # of a class that was not seen: 0, and its row, too
        axis = F.normalize(self.mean, dim=0)
        self.rows = F.normalize(means - (means @ axis)[:, None] * axis, dim=1)
        scale = self.temperature / (lengths * (units - self.mean).norm(dim=1)).mean()
        model.head.weight.copy_(scale * self.rows)
        model.head.bias.zero_()


def random_other_labels(labels, classes):
    """Return one of the other classes per label, each equally likely."""
    return (labels + torch.randint_like(labels, 1, classes)) % classes


def unit_features(model, images):
    """Return the penultimate features as unit vectors (B, width), and their lengths (B,)."""
    features = model.dropout(model.embed(images))
    return F.normalize(features, dim=1), features.norm(dim=1)


def unit_features_of_all(model, batches):
    """Return unit vectors, lengths and labels of the images of all ``batches``, (images, labels) each."""
    parts = [(*unit_features(model, images), labels) for images, labels in batches]
    return (torch.cat(part) for part in zip(*parts, strict=True))


@torch.no_grad()
def loss_as_it_is(model, images, labels):
    """Return the cross-entropy of ``model`` in eval mode."""
    loss = F.cross_entropy(model.eval()(images), labels)
    model.train()
    return loss
