"""A model's predictions on images, in eval mode and in float32."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from unlearning.clocks import spent_on
from unlearning.data.batches import Normalisation
from unlearning.models import Classifier
from unlearning.training.precision import computing_in

PREDICTION_BATCH = 256
"""It affects only the memory: in eval mode, the logits of an image do not depend on the other images in its batch."""


@torch.no_grad()
def predict(
    model: Classifier, images: Tensor, normalisation: Normalisation, subset: Tensor | None = None
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield penultimate features (B, width) and logits (B, classes), batch by batch, on the images' device.

    ``images`` are uint8 (N, H, W, C); only those at the indices ``subset`` (M,) are used, or all without ``subset``.
    Predictions are made in eval mode, without augmentation and in float32, even during a training in another precision.
    The model's mode is restored afterwards.
    """
    subset = torch.arange(len(images), device=images.device) if subset is None else subset
    was_training = model.training
    model.eval()
    try:
        for batch in subset.split(PREDICTION_BATCH):
            with computing_in("float32", images.device):
                features = model.embed(normalisation.apply(images[batch]))
                logits = model.head(features)  # no dropout in eval mode
            yield features, logits
    finally:
        model.train(was_training)


def predict_logits(
    model: Classifier, images: Tensor, normalisation: Normalisation, subset: Tensor | None = None
) -> Tensor:
    """Return only the logits of `predict`, float32 (M, classes), on the CPU."""
    return torch.cat([logits for _, logits in predict(model, images, normalisation, subset)]).cpu()


@spent_on("evaluation")
def accuracy(
    model: Classifier, images: Tensor, labels: Tensor, normalisation: Normalisation, subset: Tensor | None = None
) -> float:
    """Return the share of images uint8 (N, H, W, C), at the indices ``subset``, whose label has the largest logit."""
    predictions = predict_logits(model, images, normalisation, subset).argmax(dim=1)
    labels = labels if subset is None else labels[subset]
    return (predictions == labels.cpu()).float().mean().item()
