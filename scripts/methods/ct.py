"""CT, convolution transpose: toshi_k, winner of a prize in the NeurIPS 2023 unlearning challenge."""

import torch
from torch import nn
from torch.nn import functional as F


class UnlearningMethod:
    """Transpose the kernel of every convolution at the first step, then fine-tune on the retain set.

    With square kernels, the transposed network answers to an image as the original network answers to the image
    transposed, that is mirrored at its diagonal. So the features are thrown off without a random draw, and they are
    still good features, from which training recovers sooner than from new weights.

    Formula: at the first step, W[o, i, y, x] = W[o, i, x, y] in every convolution; CE(retain) in this and every step
    Cost: 1 forward and 1 backward per step
    Source: the authors' text, kaggle.com/c/neurips-2023-machine-unlearning/discussion/458531 ("5th place solution",
        section 2), read in a copy; github.com/xcadet/deepunlearn, munl/unlearning/kgltop5.py at 6830ff6, is the same
        step. Its name, and its place next to msg as one of the two best of 18 methods, are those of Cadet et al., "Deep
        Unlearn", 2024 (arXiv 2410.01276): the abstract was read, the tables of ranks were not.
    Defaults: none to choose
    Deviations: one fixed learning rate of Adam for the whole budget; the authors train 3 epochs with SGD at 0.001,
        momentum 0.9, weight decay 5e-4 and a cosine schedule. Their submission used it for about half of the models,
        and pseudo-labels for the others.
    When to use: for networks of 3 x 3 convolutions, as a cheap half-way between retain_finetune and scratch. 1 x 1
        convolutions do not change: in MobileNetV2 only the stem and the depthwise convolutions do. Whoever transposes
        the images undoes the first step exactly, so all erasing is left to the training after it.
    """

    def unlearn_step(self, model, retain_batch, forget_batch, optimizer, step, epoch):
        if epoch == 0 and step == 0:
            transpose_convolutions(model)
        images, labels = retain_batch
        optimizer.zero_grad()
        loss = F.cross_entropy(model(images), labels)
        loss.backward()
        optimizer.step()
        return {"loss": loss}


@torch.no_grad()
def transpose_convolutions(model):
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            module.weight.copy_(module.weight.transpose(2, 3).clone())
