"""The unlearning loop: the arguments of a method, and the use of its answers."""

import copy
import errno
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from project import AS_CHOSEN, ROOT
from torch import nn
from torch.nn import functional as F

from unlearning.config.checks import SIZES
from unlearning.data.batches import Batches, Normalisation
from unlearning.errors import MachineError, UserError
from unlearning.runner.interface import load_method, sizes_of
from unlearning.runner.loop import unlearn
from unlearning.runner.outcomes import Outcome
from unlearning.streams import generator
from unlearning.training import savepoint
from unlearning.training.savepoint import Savepoint

PROTOCOL = {"epochs": 2, "learning_rate": 0.001} | AS_CHOSEN


def run(method, retain=None, forget=None, model=None, **otherwise):
    """Apply ``method``, whose code is in this file, with a protocol that has the changes ``otherwise``."""
    parts = (retain or loader(10, 1), forget or loader(5, 0))
    return unlearn(model or small_model(), lambda _: method, __file__, *parts, PROTOCOL | otherwise)


def loader(count, label, batch_size=4):
    images = torch.zeros(count, 3, 3, 1, dtype=torch.uint8)
    labels = torch.full((count,), label)
    normalisation = Normalisation(torch.zeros(1), torch.ones(1))
    return Batches(images, labels, normalisation, batch_size, 0, False, generator(0, str(label)))


def small_model():
    return nn.Sequential(nn.Flatten(), nn.Linear(9, 2))


class Recorder:
    """Records the arguments of each call, and leaves the model in eval mode."""

    def __init__(self, answer=lambda step: {"loss": 0.0}):
        self.calls, self.forget_labels, self.answer = [], [], answer

    def unlearn_step(self, model, retain_batch, forget_batch, optimizer, step, epoch):
        sizes = (len(retain_batch[0]), len(forget_batch[0]))
        labels = (retain_batch[1].unique().tolist(), forget_batch[1].unique().tolist())
        self.calls.append((epoch, step, sizes, labels, model.training, optimizer))
        self.forget_labels += forget_batch[1].tolist()
        model.eval()
        return self.answer(step)


def test_a_method_is_handed_what_the_protocol_says():
    recorder, model = Recorder(), small_model()
    done = run(recorder, model=model)
    assert (done.outcome, done.steps) == (Outcome(), 6)
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


def test_an_epoch_can_be_one_pass_over_the_forget_set():
    recorder = Recorder()
    done = run(recorder, epoch_of="forget")
    epochs, steps, sizes, labels, *_ = zip(*recorder.calls, strict=True)
    assert done.steps == 4
    assert list(zip(epochs, steps, strict=True)) == [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert sizes == ((4, 4), (4, 1), (2, 4), (4, 1))  # now the retain set starts again
    assert set(map(str, labels)) == {"([1], [0])"}


@pytest.mark.parametrize(("batch_norm", "trains"), [("train", True), ("eval", False)])
def test_batch_norms_begin_every_step_in_the_mode_that_the_protocol_names(batch_norm, trains):
    found = []

    class Method:
        def unlearn_step(self, model, *_):
            found.append([module.training for module in model])
            for module in model:
                module.train(not module.training)
            return {"loss": 0.0}

    model = nn.Sequential(nn.BatchNorm2d(1), nn.Dropout(), nn.Flatten(), nn.Linear(9, 2))
    assert run(Method(), model=model, batch_norm=batch_norm).outcome == Outcome()
    assert found == [[trains, True, True, True]] * 6


def test_the_forget_set_is_shuffled_anew_each_time_it_starts_again():
    recorder, forget = Recorder(), loader(20, 0)
    forget.labels = torch.arange(20)
    run(recorder, loader(20, 1), forget)
    first, second = recorder.forget_labels[:20], recorder.forget_labels[20:]
    assert sorted(first) == sorted(second) == list(range(20))
    assert first != second


def test_history_has_the_mean_over_the_steps_that_returned_a_number():
    answers = [
        {"loss": torch.tensor(1.0, requires_grad=True), "max_loss": 6},
        {"loss": torch.tensor(2.0), "note": "text", "vector": torch.ones(2)},
        {"loss": 6.0},
    ]
    assert run(Recorder(answers.__getitem__)).history == [
        {"epoch": epoch, "loss": 3.0, "max_loss": 6.0} for epoch in (0, 1)
    ]


def test_a_method_from_elsewhere_runs_unchanged(tmp_path):
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
    assert run(load_method(file, {}), loader(8, 1), loader(4, 0)).history[0]["loss"] == pytest.approx(0.69, abs=0.3)


ASKING = """
class UnlearningMethod:
    def __init__(self, *, forget_images=None, steps_per_epoch, retain_images=7, **others):
        self.values = forget_images, steps_per_epoch, retain_images, others
"""


def test_a_constructor_gets_the_sizes_that_it_asks_for_and_no_other(tmp_path):
    """A parameter with a value of its own is a hyperparameter that only has the same name."""
    file = tmp_path / "asking.py"
    file.write_text(ASKING)
    sizes = sizes_of(loader(9, 1), loader(5, 0), "retain")
    batches, of_forget = len(loader(9, 1)), len(loader(5, 0))
    assert sizes == {
        "retain_images": 9,
        "forget_images": 5,
        "steps_per_epoch": batches,
        "steps_per_forget_pass": of_forget,
    }
    assert tuple(sizes) == SIZES  # the configuration asks for no value of these
    assert sizes_of(loader(9, 1), loader(5, 0), "forget")["steps_per_epoch"] == of_forget
    assert load_method(file, {}, sizes).values == (5, batches, 7, {})
    assert load_method(file, {"steps_per_epoch": 30, "more": 1}, sizes).values == (5, 30, 7, {"more": 1})


def test_a_file_without_the_class_is_an_error_that_names_it(tmp_path):
    (tmp_path / "empty.py").write_text("x = 1\n")
    with pytest.raises(UserError, match=r"empty\.py: no class UnlearningMethod"):
        load_method(tmp_path / "empty.py", {})


# --- a mistake of a method ends its cell, with the reason and the place


class FineTuning:
    """A valid method, the base of methods with mistakes."""

    def unlearn_step(self, model, retain_batch, forget_batch, optimizer, step, epoch):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(retain_batch[0]), retain_batch[1])
        loss.backward()
        self.before_step(model, optimizer)
        optimizer.step()  # the settings count here
        return self.at_the_end(model, optimizer, loss) if (epoch, step) == (1, 1) else {"loss": loss}

    def before_step(self, model, optimizer):
        pass

    def at_the_end(self, model, optimizer, loss):
        return {"loss": loss}


def line_of(text):
    """Return the number of the first line of this file that has ``text``."""
    return next(number for number, line in enumerate(Path(__file__).read_text().splitlines(), 1) if text in line)


def outcome_of(change):
    """Return the outcome of a valid method that calls ``change(model, optimizer, loss)`` in epoch 1, step 1."""
    method = FineTuning()
    method.at_the_end = change
    return run(method).outcome


def test_a_sound_method_is_ok():
    assert run(FineTuning()).outcome == Outcome("ok", None, None, None, None)


def test_a_method_that_raises_has_failed_at_its_innermost_line():
    def raises(model, optimizer, loss):
        torch.tensor([]).max()  # the error comes from below this file, in torch

    found = outcome_of(raises)
    assert (found.status, found.epoch, found.step) == ("failed", 1, 1)
    assert found.reason.startswith("RuntimeError: max(): Expected reduction dim")
    assert found.line == line_of("torch.tensor([]).max()")


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (None, 'unlearn_step returned NoneType; it must return a dict with "loss"'),
        ({"l": 1, 2: 3}, "unlearn_step returned a dict with ['2', 'l']; it must return a dict with \"loss\""),
        (1.0, 'unlearn_step returned float; it must return a dict with "loss"'),
        ({"loss": "low"}, 'unlearn_step returned a "loss" of type str; it must be one number'),
        ({"loss": torch.ones(2)}, 'unlearn_step returned a "loss" of type Tensor; it must be one number'),
    ],
)
def test_an_answer_without_a_loss_has_failed(answer, reason):
    beginning = line_of("class FineTuning") + 3
    assert outcome_of(lambda model, optimizer, loss: answer) == Outcome("failed", reason, 1, 1, beginning)


@pytest.mark.parametrize("loss", [float("nan"), float("inf"), torch.tensor(-float("inf"))])
def test_a_loss_that_is_not_finite_has_diverged_at_its_first_step(loss):
    method = Recorder(lambda step: {"loss": loss if step > 0 else 1.0})
    found = run(method).outcome
    assert (found.status, found.epoch, found.step) == ("diverged", 0, 1)
    assert found.reason == f"the loss is {float(loss)}"
    assert len(method.calls) == 3  # no further epoch


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_have_diverged(value):
    class Spoils(Recorder):
        def unlearn_step(self, model, *others):
            with torch.no_grad():
                model[1].weight[0, 0] = value
            return {"loss": 0.0}

    found = run(Spoils()).outcome
    assert (found.status, found.reason) == ("diverged", "the weights of 1.weight are not finite")
    assert (found.epoch, found.step) == (0, 2)  # noticed at the end of the epoch


def test_a_running_statistic_that_is_not_finite_has_diverged():
    class Spoils(FineTuning):
        def before_step(self, model, optimizer):
            model[1].running_mean[0] = float("nan")

    model = nn.Sequential(nn.Flatten(), nn.BatchNorm1d(9), nn.Linear(9, 2))
    assert run(Spoils(), model=model).outcome.reason == "the weights of 1.running_mean are not finite"


def swap_module(model, optimizer, loss):
    model[1] = nn.Linear(9, 2)
    return {"loss": loss}


def swap_parameter(model, optimizer, loss):
    model[1].bias = nn.Parameter(model[1].bias.detach().clone())
    return {"loss": loss}


def add_module(model, optimizer, loss):
    model.append(nn.ReLU())
    return {"loss": loss}


@pytest.mark.parametrize("change", [swap_module, swap_parameter, add_module])
def test_a_method_that_swaps_a_module_or_parameter_has_failed(change):
    found = outcome_of(change)
    assert (found.status, found.epoch, found.step) == ("failed", 1, 1)
    assert found.reason == "the method replaced a module or a parameter of the model; change their values in place"


def add_buffer(model):
    model.register_buffer("mask", torch.ones(1))


def reshape(model):
    model[1].weight.data = torch.zeros(2, 4)


def halve(model):
    model.half()


@pytest.mark.parametrize(("change", "named"), [(add_buffer, "mask"), (reshape, "1.weight"), (halve, "1.bias")])
def test_a_state_that_no_longer_fits_the_model_has_failed(change, named):
    class Changes(Recorder):
        def unlearn_step(self, model, retain_batch, forget_batch, optimizer, step, epoch):
            if step == 2:
                change(model)
            return {"loss": 0.0}

    found = run(Changes()).outcome
    assert (found.status, found.epoch, found.step) == ("failed", 0, 2)
    assert found.reason == f"the method added or removed {named} in the model's state, or changed its shape or type"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda model: setattr(model, "train", True), "TypeError: 'bool' object is not callable"),
        (lambda model: torch.set_default_device("meta"), "NotImplementedError"),
    ],
)
def test_a_fault_that_surfaces_later_is_the_methods_all_the_same(change, reason):
    class Spoils(Recorder):
        def unlearn_step(self, model, *others):
            change(model)
            return {"loss": 0.0}

    try:
        found = run(Spoils()).outcome
    finally:
        torch.set_default_device("cpu")
    assert found.status == "failed"
    assert reason in found.reason


def test_any_numbers_under_any_names_are_kept_and_nothing_else():
    loss = torch.zeros(())
    graph = torch.ones(3, requires_grad=True) * 2

    def answer(step):
        loss.add_(1)  # in place: earlier returned values must not change
        return {"loss": loss, 0: 1, "self": 2.0, "values": graph, "text": "x", "list": [graph.sum()]}

    assert run(Recorder(answer)).history[0] == {"epoch": 0, "loss": 2.0, "0": 1.0, "self": 2.0}


@pytest.mark.parametrize("loss", [10**400, torch.tensor(1 + 1j)])
def test_a_number_that_is_no_float_has_failed(loss):
    assert run(Recorder(lambda step: {"loss": loss})).outcome.status == "failed"


def edit(key, value):
    def change(model, optimizer, loss):
        optimizer.param_groups[0][key] = value
        return {"loss": loss}

    return change


def add_group(model, optimizer, loss):
    optimizer.add_param_group({"params": [torch.zeros(1, requires_grad=True)]})
    return {"loss": loss}


def schedule(model, optimizer, loss):
    torch.optim.lr_scheduler.StepLR(optimizer, 1)
    return {"loss": loss}


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (edit("lr", 0.1), "(lr)"),
        (edit("betas", (0.5, 0.9)), "(betas)"),
        (edit("params", []), "(params)"),
        (add_group, "number of the optimizer's param_groups to 2"),
        (schedule, "(initial_lr)"),
    ],
)
def test_a_method_that_touches_the_optimizers_settings_has_failed(change, named):
    found = outcome_of(change)
    assert (found.status, found.epoch, found.step) == ("failed", 1, 1)
    assert named in found.reason


class Exchanging(FineTuning):
    """Takes every other step with the state, and perhaps with the settings, of another optimizer."""

    def __init__(self, with_settings):
        self.with_settings = with_settings

    def before_step(self, model, optimizer):
        if not hasattr(self, "other"):
            self.other = torch.optim.Adam(model.parameters(), lr=0.5)
        self.other.state, optimizer.state = optimizer.state, self.other.state
        if self.with_settings:
            optimizer.param_groups = self.other.param_groups


@pytest.mark.parametrize(("with_settings", "status"), [(False, "ok"), (True, "failed")])
def test_the_optimizers_moments_may_be_exchanged_but_not_its_settings(with_settings, status):
    found = run(Exchanging(with_settings)).outcome
    assert found.status == status
    assert ("(lr)" in str(found.reason)) == with_settings


def test_a_setting_that_is_put_back_after_the_step_is_noticed_in_it():
    class Cheats(FineTuning):
        def unlearn_step(self, model, retain_batch, forget_batch, optimizer, step, epoch):
            optimizer.param_groups[0]["lr"] = 1.0
            values = super().unlearn_step(model, retain_batch, forget_batch, optimizer, step, epoch)
            optimizer.param_groups[0]["lr"] = 0.001
            return values

    found = run(Cheats()).outcome
    assert (found.status, found.epoch, found.step) == ("failed", 0, 0)
    assert "(lr)" in found.reason
    assert found.line == line_of("optimizer.step()  # the settings count")


def test_a_setting_that_hooks_change_around_the_step_is_noticed_in_it():
    class Cheats(FineTuning):
        def before_step(self, model, optimizer):
            if not hasattr(self, "hooks"):
                self.hooks = [
                    optimizer.register_step_pre_hook(lambda o, *_: o.param_groups[0].update(lr=1.0)),
                    optimizer.register_step_post_hook(lambda o, *_: o.param_groups[0].update(lr=0.001)),
                ]

    assert "(lr)" in run(Cheats()).outcome.reason


def test_a_method_with_dataclasses_runs(tmp_path):
    file = tmp_path / "theirs.py"
    file.write_text(
        "from __future__ import annotations\n"
        "from dataclasses import dataclass\n"
        "@dataclass\n"
        "class UnlearningMethod:\n"
        "    weight: float = 1.0\n"
        "    def unlearn_step(self, *arguments):\n"
        "        return {'loss': self.weight}\n"
    )
    assert run(load_method(file, {"weight": 2.0})).history[0]["loss"] == 2.0


def test_states_and_copies_of_its_own_break_nothing():
    class Busy(FineTuning):
        def before_step(self, model, optimizer):
            self.teacher = copy.deepcopy(model).eval()
            self.own = copy.deepcopy(optimizer)
            self.own.param_groups[0]["lr"] = 9.0
            self.own.step()
            for parameter in model.parameters():
                parameter.requires_grad_(False).mul_(0.9).requires_grad_(True)

    assert run(Busy()).outcome.status == "ok"


def test_sys_exit_and_endless_recursion_are_failures_of_the_method():
    def leave(model, optimizer, loss):
        raise SystemExit("enough")

    def recur(model, optimizer, loss):
        return recur(model, optimizer, loss)

    assert outcome_of(leave).reason == "SystemExit: enough"
    assert outcome_of(recur).reason.startswith("RecursionError: maximum recursion depth exceeded")


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        OSError(errno.ENOSPC, "No space left on device"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes"),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        RuntimeError("CUDA error: out of memory"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        RuntimeError("GET was unable to find an engine to execute this computation"),
        RuntimeError("CUDA error: uncorrectable ECC error encountered"),
    ],
)
def test_failures_of_the_machine_are_not_blamed_on_the_method(error):
    def fail(model, optimizer, loss):
        raise error

    with pytest.raises(type(error)):
        outcome_of(fail)


@pytest.mark.parametrize("number", [errno.EIO, errno.EROFS, errno.EACCES, errno.ESTALE])
@pytest.mark.parametrize("use", ["exists", "write_tensors", "unlink"])
def test_a_savepoint_that_cannot_be_read_or_written_is_not_blamed_on_the_method(tmp_path, monkeypatch, number, use):
    """A failed cell would stay, after the disk is mended. A file that the method itself cannot open is its own."""

    def fail(path, *_, **__):
        if path.suffix != ".partial":  # of a file that is being written, and is gone by then
            raise OSError(number, "of the disk", "kept")

    if use == "write_tensors":
        monkeypatch.setattr(savepoint, "write_tensors", fail)
    else:
        (tmp_path / "kept.of_another_job.savepoint").touch()  # removed at the end
        monkeypatch.setattr(Path, use, fail)
    with pytest.raises(MachineError) as raised:
        unlearn(small_model(), lambda _: Recorder(), __file__, loader(8, 1), loader(4, 0), PROTOCOL, kept_in(tmp_path))
    assert (raised.value.errno, raised.value.filename) == (number, "kept")

    def open_what_it_may_not(model, optimizer, loss):
        raise OSError(number, "of the method's own", "notes.txt")

    assert outcome_of(open_what_it_may_not).status == "failed"


def kept_in(folder):
    return Savepoint(folder / "kept", "the same job")


@pytest.mark.parametrize("limits", [(50_000_000, 50_000_000), (50_000_000, -1), (-1, -1)])
def test_the_limit_on_files_is_never_above_that_of_the_machine(limits):
    """With ulimit -f, every method would fail. In a process of its own, because a hard limit cannot be raised again."""
    code = (
        "import resource; from unlearning.runner.containment import contained\n"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, {limits})\n"
        "with contained(): print(resource.getrlimit(resource.RLIMIT_FSIZE))\n"
        "print(resource.getrlimit(resource.RLIMIT_FSIZE))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env={"PYTHONPATH": str(ROOT / "scripts")}, text=True, capture_output=True
    )
    within, after = done.stdout.splitlines()
    assert within == str((50_000_000 if limits[0] > 0 else 100_000_000, limits[1])), done.stderr
    assert after == str(limits)


@pytest.mark.parametrize(
    ("text", "reason", "line"),
    [
        ("import nothing_of_this_name\n", "ModuleNotFoundError: No module named 'nothing_of_this_name'", 1),
        ("x = 1\n", "no class UnlearningMethod; a method is a class of that name", None),
        ("\n\nclass Broken(:\n", "SyntaxError: invalid syntax", 3),
        ("class UnlearningMethod:\n    def __init__(self):\n        1 / 0\n", "ZeroDivisionError", 3),
        ("class UnlearningMethod:\n    pass\n", "AttributeError: 'UnlearningMethod' object has no attribute", None),
    ],
)
def test_a_file_that_cannot_be_used_has_failed(tmp_path, text, reason, line):
    file = tmp_path / "theirs.py"
    file.write_text(text)
    done = unlearn(small_model(), lambda _: load_method(file, {}), file, loader(8, 1), loader(4, 0), PROTOCOL)
    assert done.outcome.status == "failed"
    assert reason in done.outcome.reason
    assert "\n" not in done.outcome.reason
    assert done.outcome.line == line


def test_what_was_done_before_a_failure_is_kept():
    done = run(Recorder({0: {"loss": 1.0}, 1: {"loss": 2.0}}.__getitem__))
    assert (done.outcome.reason, done.outcome.step, done.steps) == ("KeyError: 2", 2, 2)
    assert done.history == []
    fails_later = FineTuning()
    fails_later.at_the_end = lambda *_: None
    assert [row["epoch"] for row in run(fails_later).history] == [0]


def test_a_methods_own_accuracies_are_not_mixed_with_those_that_the_protocol_measures():
    """The figure of the curves draws these by their names."""
    parts = (loader(10, 1), loader(5, 0))
    method = Recorder(lambda step: {"loss": 1.0, "retain_acc": 0.5, "forget_acc": 0.25, "accuracy": 0.75})
    looked = lambda epoch: {"retain_acc": 0.9, "forget_acc": 0.1} if epoch else {}  # noqa: E731
    first, second = unlearn(small_model(), lambda _: method, __file__, *parts, PROTOCOL, look=looked).history
    own = {"loss": 1.0, "own_retain_acc": 0.5, "own_forget_acc": 0.25, "accuracy": 0.75}
    assert first == {"epoch": 0} | own
    assert second == {"epoch": 1} | own | {"retain_acc": 0.9, "forget_acc": 0.1}


@pytest.mark.parametrize(("least_steps", "epochs"), [(0, 2), (6, 2), (7, 3), (30, 10)])
def test_an_unlearning_takes_as_many_epochs_as_its_least_steps_need(least_steps, epochs):
    """An epoch is 3 steps here."""
    done = run(Recorder(), least_steps=least_steps)
    assert (len(done.history), done.steps) == (epochs, 3 * epochs)
