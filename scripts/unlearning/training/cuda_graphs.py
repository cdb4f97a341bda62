"""The forward and backward pass of a training step as a CUDA graph.

In a small model, launching each of some hundred kernels from Python takes longer than running it. A graph is captured
once, and later launched as a whole (docs/performance.md). The optimizer's step stays outside: it has only a few
kernels, and its learning rate changes.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Gradients = Callable[[Tensor, Tensor], Tensor]
"""Takes a mini-batch, leaves the gradients of its mean cross-entropy in the model's parameters and returns the loss."""

WARM_UP = 3
"""Passes before the capture, in which libraries choose their algorithms and reserve memory."""


def gradients_of(model: nn.Module, device: torch.device, batch_size: int) -> Gradients:
    """Return a function for the gradients of ``model``: a CUDA graph, or step by step if there is no CUDA."""
    if device.type == "cuda":
        return CapturedGradients(model, batch_size, capture_on_cuda)
    return EagerGradients(model)


class EagerGradients:
    """Backpropagation step by step, without a graph."""

    def __init__(self, model: nn.Module):
        self.model = model
        self.parameters = list(model.parameters())

    def __call__(self, images: Tensor, labels: Tensor) -> Tensor:
        for parameter in self.parameters:
            parameter.grad = None
        loss = F.cross_entropy(self.model(images), labels)
        loss.backward()
        return loss.detach()


class CapturedGradients:
    """Backpropagation captured at the first whole mini-batch and replayed for further ones. Short ones go step by step.

    ``capture`` takes a function without arguments and returns one that does the same work on the same memory. Loss and
    gradients stay valid until the next call.
    """

    def __init__(self, model: nn.Module, batch_size: int, capture: Callable[[Callable[[], None]], Callable[[], None]]):
        self.eagerly = EagerGradients(model)
        self.model, self.batch_size, self.capture = model, batch_size, capture
        self.replay: Callable[[], None] | None = None

    def __call__(self, images: Tensor, labels: Tensor) -> Tensor:
        if len(labels) != self.batch_size:
            return self.eagerly(images, labels)
        if self.replay is None:
            self.replay = self._capture(images, labels)
        self.images.copy_(images)
        self.labels.copy_(labels)
        self.replay()
        # A short batch or a savepoint may have replaced these tensors.
        for parameter, gradient in zip(self.eagerly.parameters, self.gradients, strict=True):
            parameter.grad = gradient
        return self.loss

    def _capture(self, images: Tensor, labels: Tensor) -> Callable[[], None]:
        self.images, self.labels = images.clone(), labels.clone()

        def work() -> None:
            self.loss = self.eagerly(self.images, self.labels)

        # The passes before the capture must leave no trace in the running statistics and random streams.
        buffers = list(self.model.buffers())
        kept = [buffer.clone() for buffer in buffers]
        with torch.random.fork_rng([images.device] if images.is_cuda else []):
            replay = self.capture(work)
        for buffer, value in zip(buffers, kept, strict=True):
            buffer.copy_(value)
        self.gradients = [parameter.grad for parameter in self.eagerly.parameters]
        return replay


def capture_on_cuda(work: Callable[[], None]) -> Callable[[], None]:
    """Run ``work`` a few times on a separate stream, capture it as a CUDA graph, and return the graph's launcher.

    After torch's notes on CUDA semantics, "Whole-network capture".
    """
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(WARM_UP):
            work()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        work()
    return graph.replay
