"""The unlearning loop: what a rule is handed, and what is made of its answers."""

import pytest
import torch
from torch import nn

from unlearning.batches import Batches, Normalisation
from unlearning.errors import UserError
from unlearning.streams import generator
from unlearning.unlearn import load_method, unlearn

PROTOCOL = {"epochs": 2, "learning_rate": 0.001}


def loader(count, label, batch_size=4):
    images = torch.zeros(count, 3, 3, 1, dtype=torch.uint8)
    labels = torch.full((count,), label)
    normalisation = Normalisation(torch.zeros(1), torch.ones(1))
    return Batches(images, labels, normalisation, batch_size, 0, False, generator(0, str(label)))


def small_model():
    return nn.Sequential(nn.Flatten(), nn.Linear(9, 2))


class Recorder:
    """Writes down what each call was handed, and leaves the model in eval mode."""

    def __init__(self, answer=lambda step: {"loss": 0.0}):
        self.calls, self.forget_labels, self.answer = [], [], answer

    def unlearn_step(self, model, retain_batch, forget_batch, optimizer, step, epoch):
        sizes = (len(retain_batch[0]), len(forget_batch[0]))
        labels = (retain_batch[1].unique().tolist(), forget_batch[1].unique().tolist())
        self.calls.append((epoch, step, sizes, labels, model.training, optimizer))
        self.forget_labels += forget_batch[1].tolist()
        model.eval()
        return self.answer(step)


def test_a_rule_is_handed_what_the_protocol_says():
    recorder, model = Recorder(), small_model()
    unlearn(model, recorder, loader(10, 1), loader(5, 0), PROTOCOL)
    epochs, steps, sizes, labels, modes, optimizers = zip(*recorder.calls, strict=True)
    assert list(zip(epochs, steps, strict=True)) == [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2)]
    # The last short batches are kept; the forget set starts again, across epochs.
    assert sizes == ((4, 4), (4, 1), (2, 4), (4, 1), (4, 4), (2, 1))
    assert set(map(str, labels)) == {"([1], [0])"}
    assert all(modes)
    (optimizer,) = set(optimizers)
    assert type(optimizer) is torch.optim.Adam
    assert optimizer.param_groups[0]["lr"] == 0.001
    assert optimizer.param_groups[0]["params"] == list(model.parameters())


def test_the_forget_set_is_shuffled_anew_each_time_it_starts_again():
    recorder, forget = Recorder(), loader(20, 0)
    forget.labels = torch.arange(20)
    unlearn(small_model(), recorder, loader(20, 1), forget, PROTOCOL)
    first, second = recorder.forget_labels[:20], recorder.forget_labels[20:]
    assert sorted(first) == sorted(second) == list(range(20))
    assert first != second


def test_history_has_the_mean_over_the_steps_that_returned_a_number():
    answers = [
        {"loss": torch.tensor(1.0, requires_grad=True), "max_loss": 6},
        {"loss": torch.tensor(2.0), "note": "text", "vector": torch.ones(2)},
        {"loss": 6.0},
    ]
    history = unlearn(small_model(), Recorder(answers.__getitem__), loader(10, 1), loader(5, 0), PROTOCOL)
    assert history == [{"epoch": epoch, "loss": 3.0, "max_loss": 6.0} for epoch in (0, 1)]


@pytest.mark.parametrize(("answer", "shown"), [(None, "NoneType"), ({"l": 1}, r"a dict with \['l'\]"), (1.0, "float")])
def test_an_answer_without_a_loss_is_an_error_that_says_where(answer, shown):
    recorder = Recorder(lambda step: answer if step == 1 else {"loss": 0})
    with pytest.raises(UserError, match=f'returned {shown} in epoch 0, step 1; it must be a dict with "loss"'):
        unlearn(small_model(), recorder, loader(10, 1), loader(5, 0), PROTOCOL)


def test_a_rule_from_elsewhere_runs_unchanged(tmp_path):
    file = tmp_path / "theirs.py"
    file.write_text(
        "import copy\n"
        "class UnlearningMethod:\n"
        "    def unlearn_step(self, model, retain_batch, forget_batch, optimizer, step, epoch):\n"
        "        if not hasattr(self, 'teacher'):\n"
        "            self.teacher = copy.deepcopy(model).eval()\n"
        "        optimizer.zero_grad()\n"
        "        with torch.no_grad():\n"
        "            target = F.softmax(self.teacher(retain_batch[0]), dim=1)\n"
        "        loss = F.cross_entropy(model(retain_batch[0]), target)\n"
        "        loss.backward()\n"
        "        optimizer.step()\n"
        "        return {'loss': loss.item()}\n"
    )
    history = unlearn(small_model(), load_method(file, {}), loader(8, 1), loader(4, 0), PROTOCOL)
    assert history[0]["loss"] == pytest.approx(0.69, abs=0.3)


def test_a_file_without_the_class_is_an_error_that_names_it(tmp_path):
    (tmp_path / "empty.py").write_text("x = 1\n")
    with pytest.raises(UserError, match=r"empty\.py: no class UnlearningMethod"):
        load_method(tmp_path / "empty.py", {})
