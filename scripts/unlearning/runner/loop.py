"""The unlearning loop: it hands a method one retain and one forget mini-batch at a time, and notices mistakes."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from unlearning.clocks import spent_on
from unlearning.data.batches import Batches
from unlearning.runner.answers import answers_to, checked, means
from unlearning.runner.containment import contained
from unlearning.runner.guard import ProtocolGuard
from unlearning.runner.interface import Method, sizes_of
from unlearning.runner.outcomes import MethodError, Outcome, Unlearning, blamed_on_method
from unlearning.runner.resume import Interruptible
from unlearning.training.loop import epochs_of
from unlearning.training.progress import Progress
from unlearning.training.savepoint import Savepoint

T = TypeVar("T")


@spent_on("training")
def unlearn(
    model: nn.Module,
    make_method: Callable[[Mapping[str, int]], Method],
    method_file: str | Path,
    retain: Batches,
    forget: Batches,
    protocol: dict[str, Any],
    savepoint: Savepoint | None = None,
    probe: Tensor | None = None,
    look: Callable[[int], dict[str, float]] | None = None,
) -> Unlearning:
    """Apply a method to ``model`` in place, for the epochs of ``protocol``: passes over the set of "epoch_of".

    ``make_method`` takes the sizes of `sizes_of` and returns the method, by `load_method`; a failure is located by the
    line of ``method_file``. The loop continues from ``savepoint`` if it is usable, and updates it after every epoch if
    the method's state can be kept.

    The optimizer is Adam with ``protocol["learning_rate"]``; the other set starts again whenever it is used up. Before
    each step the model is put into train mode, and its batch norms into the mode that "batch_norm" names. A row of the
    history has the epoch, from 0, and the mean over the epoch's steps of every number that the method returned.

    A method that raises, returns no dict with a number "loss", or changes the optimizer's settings, the modules or the
    parameters of the model has failed; a method whose loss or weights are no longer finite has diverged. Both end the
    unlearning, and the outcome says why and where. Only errors that are not the method's fault are raised (see
    `blamed_on_method`).

    At the end, before anything is saved, the model's answers to the images ``probe`` (N, C, H, W) are kept:
    `differs_from_its_weights` compares them with the answers of the saved weights. ``look`` takes the epoch and returns
    further numbers for the epoch's row of the history; it does not change the model.
    """
    result, file = Unlearning(), Path(method_file).resolve()
    order = partial(_leading_first, protocol["epoch_of"])
    epoch = step = method = None
    try:
        # The whole loop, because a method's mistake may show only in the next use of the model or the device.
        with blamed_on_method(file):
            with contained():
                method = make_method(sizes_of(retain, forget, protocol["epoch_of"]))
            optimizer = torch.optim.Adam(model.parameters(), lr=protocol["learning_rate"])
            guard = ProtocolGuard(model, optimizer)
            leading, following = order(retain, forget)
            following_batches = following.forever()
            run = Interruptible(savepoint or Savepoint(), result, model, optimizer, method, leading, following_batches)
            run.go_on()
            epochs = epochs_of(protocol, len(leading))
            progress = Progress(epochs, result.history)
            for epoch in progress:
                returned = []
                for step, batch in enumerate(leading.epoch()):
                    _set_mode(model, protocol["batch_norm"])  # the method may have left another mode
                    retain_batch, forget_batch = order(batch, next(following_batches))
                    with contained():
                        values = method.unlearn_step(model, retain_batch, forget_batch, optimizer, step, epoch)
                    returned.append(checked(values))
                    guard.check()
                    result.steps += 1
                # Once per epoch, because reading a number makes a GPU wait.
                numbers = [{name: float(value) for name, value in values.items()} for values in returned]
                not_finite = [index for index, values in enumerate(numbers) if not math.isfinite(values["loss"])]
                if not_finite:
                    step = not_finite[0]
                    raise MethodError(f"the loss is {numbers[step]['loss']}", "diverged")
                guard.check_weights()
                averages = means(numbers) | (look(epoch) if look is not None else {})
                result.history.append({"epoch": epoch} | averages | {"epoch": epoch})  # even if a method returns one
                progress.report({name: f"{value:.4f}" for name, value in averages.items()})
                is_over = epoch + 1 == epochs
                if is_over and probe is not None:
                    with contained():
                        result.answers = answers_to(model, probe)
                run.keep(is_over)
            result.changed_weights = guard.share_changed()
    except MethodError as failure:
        line = failure.line or _line_of_step(method, file)
        result.outcome = Outcome(failure.status, str(failure), epoch, step, line)
        print(f"{failure.status}: {failure} (epoch {epoch}, step {step}, line {line} of {method_file})", flush=True)
    if result.changed_weights == 0:
        print("the method changed no weight; does it call optimizer.step()?", flush=True)
    return result


def _leading_first(epoch_of: str, of_retain: T, of_forget: T) -> tuple[T, T]:
    """Return (leading, following): an epoch is one pass over the leading set. Applied twice, it restores the order."""
    return (of_retain, of_forget) if epoch_of == "retain" else (of_forget, of_retain)


def _set_mode(model: nn.Module, batch_norm: str) -> None:
    model.train()
    if batch_norm == "eval":
        for module in model.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.eval()


def _line_of_step(method: Method | None, file: Path) -> int | None:
    """Return the line where ``unlearn_step`` begins, for failures that cannot be traced to one of its lines."""
    step: Any = getattr(method, "unlearn_step", None)
    code = getattr(inspect.unwrap(step), "__code__", None)
    return code.co_firstlineno if code is not None and Path(code.co_filename) == file else None
