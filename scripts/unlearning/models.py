"""The three published classifiers, adapted to 32 x 32 images.

Each takes any number of input channels and a width multiplier, and keeps its tensors in channels-last
memory format, which is 1.1 (ResNet-20) to 1.5 (MobileNetV2) times faster than the default on a CPU.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


def initialise(model: nn.Module) -> None:
    """Draw fresh weights in place, from torch's global random stream.

    Convolutions: Kaiming normal, fan-out, relu. Batch norm: 1 and 0, running statistics reset.
    Linear layers: Kaiming normal, fan-in, relu, bias 0. This is the published protocol's initialisation.
    """
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.BatchNorm2d):
            module.reset_parameters()
        elif isinstance(module, nn.Linear):
            nn.init.kaiming_normal_(module.weight, mode="fan_in", nonlinearity="relu")
            nn.init.zeros_(module.bias)


def scaled(channels: int, width: float) -> int:
    """Return ``channels`` times ``width``, rounded to a multiple of 4 and at least 4."""
    return max(4, round(channels * width / 4) * 4)


def convolution(inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1) -> nn.Conv2d:
    """Return a convolution without bias, padded so that stride 1 keeps the image size."""
    return nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, groups=groups, bias=False)


class BasicBlock(nn.Module):
    """Two 3 x 3 convolutions and a shortcut, projected (1 x 1) where the shape changes (He et al., CVPR 2016)."""

    def __init__(self, inputs: int, outputs: int, stride: int):
        super().__init__()
        self.residual = nn.Sequential(
            convolution(inputs, outputs, 3, stride),
            nn.BatchNorm2d(outputs),
            nn.ReLU(inplace=True),
            convolution(outputs, outputs, 3),
            nn.BatchNorm2d(outputs),
        )
        if stride == 1 and inputs == outputs:
            self.shortcut = nn.Identity()
        else:
            self.shortcut = nn.Sequential(  # type: ignore[assignment]  # an annotation would change the digest
                convolution(inputs, outputs, 1, stride), nn.BatchNorm2d(outputs)
            )

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.residual(x) + self.shortcut(x))


class Classifier(nn.Module):
    """Convolutional features, global average pooling and one linear head.

    ``forward`` maps images (batch, channels, height, width) to logits (batch, classes).
    """

    def __init__(self, features: nn.Sequential, feature_width: int, classes: int, dropout: float = 0.0):
        super().__init__()
        self.features = features
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(feature_width, classes)

    def embed(self, x: Tensor) -> Tensor:
        """Return the penultimate features (batch, feature_width)."""
        return self.features(x).mean(dim=(2, 3))

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.dropout(self.embed(x)))


def resnet20(classes: int, channels: int, width: float) -> Classifier:
    """ResNet-20 of He et al. (CVPR 2016) for small images: three stages of three blocks, 16, 32 and 64 wide."""
    stem = scaled(16, width)
    layers: list[nn.Module] = [convolution(channels, stem, 3), nn.BatchNorm2d(stem), nn.ReLU(inplace=True)]
    inputs = stem
    for stage, outputs in enumerate(scaled(c, width) for c in (16, 32, 64)):
        for block in range(3):
            layers.append(BasicBlock(inputs, outputs, stride=2 if stage > 0 and block == 0 else 1))
            inputs = outputs
    return Classifier(nn.Sequential(*layers), inputs, classes)


def vgg16bn(classes: int, channels: int, width: float) -> Classifier:
    """VGG-16 with batch norm (Simonyan & Zisserman, ICLR 2015) and a single linear layer as its head.

    Convolutions have a bias, as in torchvision. Needs images of at least 32 x 32 for its five poolings.
    """
    layers: list[nn.Module] = []
    inputs = channels
    for repeats, outputs in zip((2, 2, 3, 3, 3), (scaled(c, width) for c in (64, 128, 256, 512, 512)), strict=True):
        for _ in range(repeats):
            layers += [nn.Conv2d(inputs, outputs, 3, padding=1), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)]
            inputs = outputs
        layers.append(nn.MaxPool2d(2))
    return Classifier(nn.Sequential(*layers), inputs, classes)


class InvertedResidual(nn.Module):
    """Expand, filter each channel, project; a shortcut where the shape stays (Sandler et al., CVPR 2018)."""

    def __init__(self, inputs: int, outputs: int, stride: int, expansion: int):
        super().__init__()
        hidden = inputs * expansion
        layers: list[nn.Module] = []
        if expansion > 1:
            layers += [convolution(inputs, hidden, 1), nn.BatchNorm2d(hidden), nn.ReLU6(inplace=True)]
        layers += [convolution(hidden, hidden, 3, stride, groups=hidden), nn.BatchNorm2d(hidden)]
        layers += [nn.ReLU6(inplace=True), convolution(hidden, outputs, 1), nn.BatchNorm2d(outputs)]
        self.layers = nn.Sequential(*layers)
        self.keeps_shape = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x) if self.keeps_shape else self.layers(x)


# Expansion, channels, blocks, stride of each stage: table 2 of the paper, with stride 1 in the stem
# and in the first down-sampling stage, because the images are 32 x 32 instead of 224 x 224.
MOBILENETV2_STAGES = (
    (1, 16, 1, 1),
    (6, 24, 2, 1),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)


def mobilenetv2(classes: int, channels: int, width: float) -> Classifier:
    """MobileNetV2 of Sandler et al. (CVPR 2018) for small images, dropout 0.2 before the head as in torchvision."""
    inputs = scaled(32, width)
    layers: list[nn.Module] = [convolution(channels, inputs, 3), nn.BatchNorm2d(inputs), nn.ReLU6(inplace=True)]
    for expansion, stage_channels, blocks, stride in MOBILENETV2_STAGES:
        outputs = scaled(stage_channels, width)
        for block in range(blocks):
            layers.append(InvertedResidual(inputs, outputs, stride if block == 0 else 1, expansion))
            inputs = outputs
    last = scaled(1280, width)
    layers += [convolution(inputs, last, 1), nn.BatchNorm2d(last), nn.ReLU6(inplace=True)]
    return Classifier(nn.Sequential(*layers), last, classes, dropout=0.2)


MODELS = {"resnet20": resnet20, "vgg16bn": vgg16bn, "mobilenetv2": mobilenetv2}


def build_model(name: str, classes: int, channels: int, width: float = 1.0) -> Classifier:
    """Return a freshly initialised model in channels-last format, drawn from torch's global random stream.

    Raises KeyError for a name that is not in ``MODELS``. The configuration's schema refuses such a name earlier.
    """
    model = MODELS[name](classes=classes, channels=channels, width=width)
    initialise(model)
    return model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's hint lacks it
