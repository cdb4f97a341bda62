"""What a model says of images, in eval mode and in float32."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from unlearning.clocks import spent_on
from unlearning.data.batches import Normalisation
from unlearning.models import Classifier
from unlearning.training.precision import computing_in

PREDICTION_BATCH = 256
"""Only the memory depends on it: in eval mode an image's logits do not depend on its neighbours."""


@torch.no_grad()
def predict(
    model: Classifier, images: Tensor, normalisation: Normalisation, subset: Tensor | None = None
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield penultimate features (B, width) and logits (B, classes), batch by batch, on the images' device.

    Of ``images`` uint8 (N, H, W, C) those at the indices ``subset`` (M,), or all. In eval mode, unaugmented and in
    float32, also in the middle of a training in another precision; the model is left in the mode it was found in.
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
    """Return the logits of `predict` alone, float32 (M, classes), on the CPU."""
    return torch.cat([logits for _, logits in predict(model, images, normalisation, subset)]).cpu()


@spent_on("evaluation")
def accuracy(
    model: Classifier, images: Tensor, labels: Tensor, normalisation: Normalisation, subset: Tensor | None = None
) -> float:
    """Return the share of images uint8 (N, H, W, C) at the indices ``subset`` whose largest logit is their label's."""
    predictions = predict_logits(model, images, normalisation, subset).argmax(dim=1)
    labels = labels if subset is None else labels[subset]
    return (predictions == labels.cpu()).float().mean().item()
