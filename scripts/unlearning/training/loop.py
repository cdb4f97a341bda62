"""Training from scratch: one loop for both the original model and the oracle."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from unlearning.clocks import spent_on
from unlearning.data.batches import Batches, TensorData
from unlearning.models import Classifier, build_model
from unlearning.streams import generator, read_global_streams, seed_global_streams, set_global_streams
from unlearning.training.cuda_graphs import Gradients, gradients_of
from unlearning.training.precision import computing_in
from unlearning.training.prediction import accuracy
from unlearning.training.progress import Progress
from unlearning.training.savepoint import Savepoint


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

    ``settings`` holds the width and the protocol. The test accuracy is measured on the test images at ``test``. The
    original model and the oracle of the same seed start from the same weights. The training continues from
    ``savepoint`` if it is usable. Returns the model and its history.
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
    model: Classifier,
    batches: Batches,
    test_images: Tensor,
    test_labels: Tensor,
    test_subset: Tensor,
    protocol: dict[str, Any],
    savepoint: Savepoint | None = None,
) -> list[dict[str, Any]]:
    """Train ``model`` in place with SGD and cosine annealing to 0; return the history, one row per epoch.

    ``protocol`` holds epochs, learning_rate, momentum, weight_decay and evaluate_every (epochs; the last epoch is
    always evaluated). A row holds epoch (from 0), lr, train_loss, test_accuracy (None where not evaluated), seconds.
    ``savepoint`` is updated after every epoch; epochs that it already holds are not trained again.
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
    """Return a protocol's number of epochs, with ``steps`` steps each: "epochs", or more to reach "least_steps"."""
    return max(protocol["epochs"], math.ceil(protocol.get("least_steps", 0) / steps))


def train_epoch(model: nn.Module, batches: Batches, optimizer: torch.optim.Optimizer, gradients: Gradients) -> float:
    """Train once over ``batches``, and return the mean cross-entropy over the images."""
    model.train()
    total = torch.zeros((), device=batches.images.device)
    for images, labels in batches.epoch():
        loss = gradients(images, labels)
        optimizer.step()
        total += loss * len(labels)  # on the device, so that no step waits for the GPU
    return total.item() / len(batches.subset)
