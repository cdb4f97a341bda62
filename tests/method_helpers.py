"""Shared by the tests of methods: a tiny model, two batches, and the gradients of a step."""

import torch
import yaml
from project import ROOT

from unlearning.config.model import method_file
from unlearning.models import build_model
from unlearning.runner.interface import load_method

CONFIG = yaml.safe_load((ROOT / "config.yaml").read_text())


SIZES = {"retain_images": 54, "forget_images": 4, "steps_per_epoch": 9, "steps_per_forget_pass": 1}
"""As in a run with 10 balanced classes and the batches below: of nine steps, the first is a forget step."""


def load(name, sizes=SIZES, **hyperparameters):
    """Return the method as it is configured, if it is, but with the given ``hyperparameters`` in place of those."""
    entry = CONFIG["methods"].get(name, {})
    given = entry.get("hyperparameters", {}) | hyperparameters
    return load_method(ROOT / method_file(name, entry.get("file")), given, sizes)


def batch(count, label, seed, channels=1):
    stream = torch.Generator().manual_seed(seed)
    return torch.randn(count, channels, 8, 8, generator=stream), torch.full((count,), label)


def tiny_model(classes=10, channels=1):
    torch.manual_seed(0)
    return build_model("resnet20", classes, channels, width=0.25)


RETAIN, FORGET = batch(6, 3, 1), batch(4, 0, 2)


def gradients_of(method, model, epoch=0, step=0):
    """Return the method's returned dict and the gradients of each optimizer step, without changing the weights."""
    steps = []

    class Optimizer(torch.optim.SGD):
        def step(self):
            steps.append([parameter.grad.clone() for parameter in model.parameters()])

    optimizer = Optimizer(model.parameters(), lr=0.0)
    return method.unlearn_step(model, RETAIN, FORGET, optimizer, step, epoch), steps


def assert_same_gradients(steps, model, loss):
    expected = torch.autograd.grad(loss, list(model.parameters()))
    for found, wanted in zip(steps, expected, strict=True):
        torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-6)


def cross_entropy(logits, labels):
    return -torch.log_softmax(logits, 1)[torch.arange(len(labels)), labels].mean()


def kl(teacher_logits, logits, temperature):
    """Return the mean of KL(teacher || model) over the batch, from the definition."""
    p, q = torch.softmax(teacher_logits / temperature, 1), torch.softmax(logits / temperature, 1)
    return (p * (p.log() - q.log())).sum(1).mean()
