"""What the original model says of retained images, without the class, as a target."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def answer_loss(logits: Tensor, original_logits: Tensor, forget_labels: Tensor, temperature: float) -> Tensor:
    """Return temperature^2 * KL(p || q), with p and q the softmax of the original model's and of the model's logits,
    divided by ``temperature``, over the retained classes; logits (B, classes) of classes in ``forget_labels`` do not
    count. The mean is over the B images.

    A class's own logit learns from the labels alone, as in the oracle: it is never the label.
    """
    retained = torch.ones(logits.shape[1], dtype=torch.bool, device=logits.device)
    retained[forget_labels] = False
    answers, targets = (its[:, retained] / temperature for its in (logits, original_logits))
    divergence = F.kl_div(F.log_softmax(answers, dim=1), F.softmax(targets, dim=1), reduction="batchmean")
    return temperature**2 * divergence
