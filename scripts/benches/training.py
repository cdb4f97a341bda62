"""Images per second of our training loop, of the bare step on one fixed batch, and of a conventional loop."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from benches.setting import Run, Setting, made_up_images
from unlearning.data.sources import import_torchvision_datasets
from unlearning.training.cuda_graphs import EagerGradients, gradients_of
from unlearning.training.loop import train_epoch
from unlearning.training.prediction import accuracy

BARE_DEFAULT = "bare step, default layout"
BARE = "bare step, our layout"
OURS = "our loop"
CONVENTIONAL = "conventional loop"
EVALUATION = "evaluation"
WORKERS = 2


def measure_training(setting: Setting) -> Iterator[dict[str, Any]]:
    """Yield images per second: one row per model, loop and round."""
    for model in setting.models:
        runs = {
            BARE_DEFAULT: bare(setting, model, torch.contiguous_format),
            BARE: bare(setting, model, torch.channels_last),
            OURS: ours(setting, model),
            CONVENTIONAL: conventional(setting, model),
            EVALUATION: evaluation(setting, model),
        }
        for number, name, rate in setting.in_turns(runs):
            images = rate * setting.protocol["batch_size"]
            yield setting.where | {"model": model, "what": name, "round": number, "value": images, "unit": "images/s"}


def bare(setting: Setting, name: str, memory_format: torch.memory_format) -> Run:
    """Forward pass, backward pass and optimizer on one fixed batch, step by step: the cost of the model itself."""
    model = setting.model(name, memory_format)
    images, labels = setting.batch(name)
    # Not contiguous(): it takes images with one channel for contiguous in every layout, but convolutions do not.
    images = torch.empty(images.shape, device=images.device, memory_format=memory_format).copy_(images)
    optimizer, gradients = setting.optimizer(model), EagerGradients(model)

    def run(steps: int) -> None:
        for _ in range(steps):
            gradients(images, labels)
            optimizer.step()

    return run


def ours(setting: Setting, name: str) -> Run:
    """The loop of the pretraining: shuffling, cropping, flipping and normalising included."""
    model = setting.model(name)
    optimizer = setting.optimizer(model)
    gradients = gradients_of(model, setting.device, setting.protocol["batch_size"])

    def run(steps: int) -> None:
        train_epoch(model, setting.batches(name, steps), optimizer, gradients)

    return run


def evaluation(setting: Setting, name: str) -> Run:
    """The test accuracy, which a training computes every few epochs. One step has the images of one training step."""
    model = setting.model(name)

    def run(steps: int) -> None:
        batches = setting.batches(name, steps)
        accuracy(model, batches.images, batches.labels, batches.normalisation, batches.subset)

    return run


class _Images(torch.utils.data.Dataset):
    """Images with torchvision's transforms, which are applied to one image at a time."""

    def __init__(self, images: Tensor, labels: Tensor, padding: int, flip: bool):
        import_torchvision_datasets()
        from torchvision import transforms

        channels = images.shape[-1]
        self.images, self.labels = images.cpu().numpy(), labels.cpu()
        self.transform = transforms.Compose(
            [
                transforms.ToPILImage(),
                transforms.RandomCrop(images.shape[1], padding=padding),
                *([transforms.RandomHorizontalFlip()] if flip else []),
                transforms.ToTensor(),
                transforms.Normalize([0.5] * channels, [0.25] * channels),
            ]
        )

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        return self.transform(self.images[index]), self.labels[index]


def conventional(setting: Setting, name: str) -> Run:
    """The usual training script: a DataLoader with workers, transforms per image, the default memory layout."""
    model = setting.model(name, torch.contiguous_format)
    optimizer, protocol = setting.optimizer(model), setting.protocol
    images, labels = made_up_images(name, setting.classes(name))
    data = _Images(images, labels, protocol["crop_padding"], protocol["flip"])
    # Endless, so that the start of the workers is not counted: an epoch of the paper suite takes minutes.
    endless = torch.utils.data.RandomSampler(data, replacement=True, num_samples=10**9)
    on_gpu = setting.device.type == "cuda"
    loader = torch.utils.data.DataLoader(
        data, protocol["batch_size"], sampler=endless, num_workers=WORKERS, pin_memory=on_gpu
    )
    batches = iter(loader)

    def run(steps: int) -> None:
        for batch, of_batch in itertools.islice(batches, steps):
            optimizer.zero_grad()
            loss = F.cross_entropy(model(batch.to(setting.device)), of_batch.to(setting.device))
            loss.backward()
            optimizer.step()

    return run
