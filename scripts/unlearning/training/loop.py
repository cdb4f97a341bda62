"""Training from scratch: the same loop makes the original model and the oracle."""

from __future__ import annotations

import io
import math
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from unlearning.clocks import spent_on
from unlearning.data.batches import Batches, Normalisation, TensorData
from unlearning.models import Classifier, build_model
from unlearning.streams import generator, read_global_streams, seed_global_streams, set_global_streams
from unlearning.training.cuda_graphs import Gradients, gradients_of
from unlearning.training.precision import computing_in
from unlearning.training.savepoint import Savepoint

# Only the memory depends on it: in eval mode an image's logits do not depend on its neighbours.
PREDICTION_BATCH = 256


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


class Progress:
    """Epochs with a progress bar in a terminal and one line per epoch in a log file.

    ``done`` has the history of the epochs that an earlier run has done: the log, which begins anew, shows them too.
    """

    def __init__(self, epochs: int, done: Sequence[Mapping[str, Any]] = ()):
        self.in_terminal = sys.stderr.isatty()
        file = sys.stderr if self.in_terminal else io.StringIO()
        for row in () if self.in_terminal else done:
            print(", ".join(f"{name} {value}" for name, value in row.items() if value is not None), file=sys.stderr)
        self.bar = tqdm(total=epochs, initial=len(done), unit="epoch", file=file)

    def __iter__(self) -> Iterator[int]:
        yield from range(self.bar.initial, self.bar.total)
        self.bar.close()

    def report(self, values: dict[str, Any]) -> None:
        """Show what the epoch that just ended gave."""
        self.bar.set_postfix(values, refresh=False)
        self.bar.update()
        if not self.in_terminal:
            print(self.bar, file=sys.stderr, flush=True)


def train_from_scratch(
    name: str,
    data: TensorData,
    settings: dict[str, Any],
    seed: int,
    train: np.ndarray,
    test: np.ndarray,
    savepoint: Savepoint | None = None,
) -> tuple[Classifier, list[dict[str, Any]]]:
    """Initialise model ``name`` and train it on the training images at the indices ``train``.

    ``settings`` holds width and the protocol; its test accuracy is that on the test images at ``test``. The original
    model and the oracle of the same seed start from the same weights. Goes on from ``savepoint`` if it is of use.
    Returns the model and its history.
    """
    device, protocol = data.train_images.device, settings["protocol"]
    seed_global_streams(seed, "initialisation")
    model = build_model(name, data.classes, data.channels, settings["width"]).to(device)
    seed_global_streams(seed, "dropout")
    batches = data.train_batches(train, protocol, generator(seed, "training batches"))
    test_subset = torch.from_numpy(test).to(device)
    test_set = (data.test_images, data.test_labels, test_subset)
    with computing_in(protocol["precision"], device):
        history = train_classifier(model, batches, *test_set, protocol["pretrain"], savepoint)
    return model, history


@spent_on("training")
def train_classifier(
    model: nn.Module,
    batches: Batches,
    test_images: Tensor,
    test_labels: Tensor,
    test_subset: Tensor,
    protocol: dict[str, Any],
    savepoint: Savepoint | None = None,
) -> list[dict[str, Any]]:
    """Train ``model`` in place with SGD and cosine annealing to 0; return the history, one row an epoch.

    ``protocol`` holds epochs, learning_rate, momentum, weight_decay and evaluate_every (epochs; the last epoch is
    always evaluated). A row holds epoch (from 0), lr, train_loss, test_accuracy (None where not evaluated), seconds.
    ``savepoint`` is kept up to date after every epoch; what it holds already is not trained again.
    """
    optimizer = torch.optim.SGD(
        model.parameters(),
        lr=protocol["learning_rate"],
        momentum=protocol["momentum"],
        weight_decay=protocol["weight_decay"],
    )
    epochs = epochs_of(protocol, len(batches))
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=epochs)
    history = []
    savepoint = savepoint or Savepoint()
    saved = savepoint.read()
    if saved is not None:
        model.load_state_dict(saved["model"])
        history = saved["history"]
        if "optimizer" in saved:
            optimizer.load_state_dict(saved["optimizer"])
            schedule.load_state_dict(saved["schedule"])
            batches.random_stream.set_state(saved["batches"])
            set_global_streams(saved["streams"])
    gradients = gradients_of(model, batches.images.device, batches.batch_size)
    progress = Progress(epochs, history)
    for epoch in progress:
        start = time.perf_counter()
        lr = schedule.get_last_lr()[0]
        train_loss = train_epoch(model, batches, optimizer, gradients)
        schedule.step()
        is_due = (epoch + 1) % protocol["evaluate_every"] == 0 or epoch + 1 == epochs
        test_set = (test_images, test_labels, batches.normalisation, test_subset)
        test_accuracy = accuracy(model, *test_set) if is_due else None
        seconds = round(time.perf_counter() - start, 3)
        history.append(
            {"epoch": epoch, "lr": lr, "train_loss": train_loss, "test_accuracy": test_accuracy, "seconds": seconds}
        )
        progress.report({"train_loss": f"{train_loss:.4f}", "test_accuracy": test_accuracy})
        state = {"epochs": epoch + 1, "model": model.state_dict(), "history": history}
        if epoch + 1 == epochs:
            savepoint.keep_end(state)
        else:
            for_further_epochs = {
                "optimizer": optimizer.state_dict(),
                "schedule": schedule.state_dict(),
                "batches": batches.random_stream.get_state(),
                "streams": read_global_streams(),
            }
            savepoint.keep(state | for_further_epochs)
    return history


def epochs_of(protocol: Mapping[str, Any], steps: int) -> int:
    """Return the epochs of so many ``steps`` each that a protocol asks for: "epochs", or more to have "least_steps"."""
    return max(protocol["epochs"], math.ceil(protocol.get("least_steps", 0) / steps))


def train_epoch(model: nn.Module, batches: Batches, optimizer: torch.optim.Optimizer, gradients: Gradients) -> float:
    """Pass once over ``batches`` and return the mean cross-entropy over the images."""
    model.train()
    total = torch.zeros((), device=batches.images.device)
    for images, labels in batches.epoch():
        loss = gradients(images, labels)
        optimizer.step()
        total += loss * len(labels)  # on the device: no waiting for the GPU in every step
    return total.item() / len(batches.subset)
