"""Training with a replayed step, compared with step by step: on the CPU with a stand-in capture, and on CUDA."""

import copy

import pytest
import torch
from torch.nn import functional as F

from unlearning.data.batches import Batches, Normalisation
from unlearning.models import build_model
from unlearning.streams import generator
from unlearning.training.cuda_graphs import CapturedGradients, EagerGradients, gradients_of
from unlearning.training.loop import train_epoch
from unlearning.training.precision import computing_in

needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device; here there is none")
CUDA = torch.device("cuda")


def batches(device, count=75, batch_size=16):
    """Return images in whole batches and one short one."""
    random_stream = torch.Generator().manual_seed(0)
    images = torch.randint(256, (count, 16, 16, 3), dtype=torch.uint8, generator=random_stream).to(device)
    labels = torch.randint(10, (count,), generator=random_stream).to(device)
    scale = Normalisation(torch.tensor([128.0]), torch.tensor([64.0])).to(device)
    return Batches(images, labels, scale, batch_size, 2, True, generator(1, "test"))


def sgd(model):
    return torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9, weight_decay=5e-4)


def stand_in(captured):
    """Return a capture for the CPU: like a graph, it always computes into the memory of the first call."""

    def capture(work):
        work()
        work()  # the warm-up: all of its effects must be undone
        loss, gradients = captured.loss, [parameter.grad for parameter in captured.model.parameters()]

        def replay():
            found = [parameter.grad for parameter in captured.model.parameters()]
            work()
            for kept, parameter, before in zip(gradients, captured.model.parameters(), found, strict=True):
                kept.copy_(parameter.grad)
                parameter.grad = before  # a graph writes to memory, not to attributes
            loss.copy_(captured.loss)
            captured.loss = loss

        return replay

    return capture


def captured_gradients(model, batch_size):
    captured = CapturedGradients(model, batch_size, capture=None)
    captured.capture = stand_in(captured)
    return captured


@pytest.mark.parametrize("name", ["resnet20", "mobilenetv2"])
def test_replaying_trains_to_the_same_bits_as_step_by_step(name):
    """This includes running statistics, dropout, the short batch of each epoch, and the optimizer's state."""
    torch.manual_seed(0)
    eager = build_model(name, 10, 3, 0.25)
    replayed = copy.deepcopy(eager)
    losses = {}
    for model, gradients in ((eager, EagerGradients(eager)), (replayed, captured_gradients(replayed, 16))):
        torch.manual_seed(1)
        data, optimizer = batches("cpu"), sgd(model)
        losses[model] = [train_epoch(model, data, optimizer, gradients) for _ in range(3)]
    assert losses[eager] == losses[replayed]
    assert losses[eager][0] > losses[eager][2]
    for (key, one), other in zip(eager.state_dict().items(), replayed.state_dict().values(), strict=True):
        assert torch.equal(one, other), key


def test_without_cuda_nothing_is_captured():
    model = build_model("resnet20", 10, 3, 0.25)
    assert isinstance(gradients_of(model, torch.device("cpu"), 16), EagerGradients)


@needs_cuda
@pytest.mark.parametrize("name", ["resnet20", "vgg16bn", "mobilenetv2"])
def test_on_cuda_the_losses_of_the_first_50_steps_are_those_of_step_by_step(name):
    torch.manual_seed(0)
    models = {"eager": build_model(name, 10, 3).to(CUDA)}
    models["captured"] = copy.deepcopy(models["eager"])
    images = torch.randn(51, 128, 3, 32, 32, device=CUDA)
    labels = torch.randint(10, (51, 128), device=CUDA)
    losses = {}
    with computing_in("float32", CUDA), torch.backends.cudnn.flags(deterministic=True, allow_tf32=False):
        for how, model in models.items():
            gradients = EagerGradients(model) if how == "eager" else gradients_of(model, CUDA, 128)
            torch.manual_seed(1)
            optimizer, losses[how] = sgd(model), []
            for batch, of_batch in zip(images, labels, strict=True):
                losses[how].append(gradients(batch.to(memory_format=torch.channels_last), of_batch).item())
                optimizer.step()
    torch.testing.assert_close(losses["captured"][:50], losses["eager"][:50], rtol=1e-5, atol=0)


@needs_cuda
def test_an_epoch_on_cuda_never_waits_for_the_device():
    model = build_model("resnet20", 10, 3).to(CUDA).train()
    data, gradients, optimizer = batches(CUDA), gradients_of(model, CUDA, 16), sgd(model)
    train_epoch(model, data, optimizer, gradients)  # the capture waits
    torch.cuda.set_sync_debug_mode("error")
    try:
        for images, labels in data.epoch():
            gradients(images, labels)
            optimizer.step()
    finally:
        torch.cuda.set_sync_debug_mode("default")


def test_bfloat16_is_used_where_it_is_asked_for_and_sees_new_weights():
    """It must not use weights that were converted before the last step, and must not be used outside of its block."""
    model = torch.nn.Linear(4, 3)
    images, labels = torch.randn(8, 4), torch.arange(8) % 3
    with computing_in("bfloat16", torch.device("cpu")):
        before = model(images)
        assert before.dtype == torch.bfloat16
        with torch.no_grad():
            model.weight.mul_(2)
        assert not torch.equal(model(images), before)
        F.cross_entropy(model(images), labels).backward()
    assert model(images).dtype == model.weight.grad.dtype == torch.float32
    for precision in ("float32", "tf32"):
        with computing_in(precision, torch.device("cpu")):
            assert model(images).dtype == torch.float32
