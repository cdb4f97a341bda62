"""The unlearning loop: hands a rule one retain and one forget mini-batch at a time, and notices what it does wrong."""

from __future__ import annotations

import importlib.util
import inspect
import math
import sys
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from numbers import Real
from pathlib import Path
from typing import Any, Protocol, TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from unlearning.clocks import spent_on
from unlearning.data.batches import Batches, EndlessBatches
from unlearning.errors import UserError
from unlearning.runner.containment import contained
from unlearning.runner.method_state import CannotKeepError, RuleState
from unlearning.runner.outcomes import Outcome, RuleError, blamed_on_rule
from unlearning.streams import read_global_streams, set_global_streams
from unlearning.training.loop import Progress
from unlearning.training.savepoint import Savepoint

Batch = tuple[Tensor, Tensor]
T = TypeVar("T")


class UpdateRule(Protocol):
    """What a file in scripts/methods/ provides as ``UnlearningMethod``."""

    def unlearn_step(
        self,
        model: nn.Module,
        retain_batch: Batch,
        forget_batch: Batch,
        optimizer: torch.optim.Optimizer,
        step: int,
        epoch: int,
    ) -> dict[str, Any]:
        """Update ``model`` once, in place, and return at least ``{"loss": ...}``."""


@dataclass
class Unlearning:
    """What came of applying a rule: the outcome, one row of history an epoch, and how many steps it made."""

    outcome: Outcome = field(default_factory=Outcome)
    history: list[dict[str, Any]] = field(default_factory=list)
    steps: int = 0


def load_method(path: str | Path, hyperparameters: dict[str, Any]) -> UpdateRule:
    """Run the file ``path`` and return its ``UnlearningMethod(**hyperparameters)``.

    ``torch`` and ``F`` are defined beforehand, because rules written for the published task use them unimported.
    Raises UserError if the file does not define the class, and whatever its code raises.
    """
    spec = importlib.util.spec_from_file_location(f"method_{Path(path).stem}", Path(path).resolve())
    module = importlib.util.module_from_spec(spec)
    module.torch, module.F = torch, F
    sys.modules[spec.name] = module  # as an import would: dataclasses look their module up there
    spec.loader.exec_module(module)
    if not hasattr(module, "UnlearningMethod"):
        raise UserError(f"{path}: no class UnlearningMethod; an update rule is a class of that name")
    return module.UnlearningMethod(**hyperparameters)


@spent_on("training")
def unlearn(
    model: nn.Module,
    make_rule: Callable[[], UpdateRule],
    rule_file: str | Path,
    retain: Batches,
    forget: Batches,
    protocol: dict[str, Any],
    savepoint: Savepoint | None = None,
) -> Unlearning:
    """Apply a rule to ``model`` in place for ``protocol["epochs"]`` passes over the set that "epoch_of" names.

    ``make_rule`` returns it, by way of `load_method`; lines of ``rule_file`` say where it failed. Goes on from
    ``savepoint`` if it is of use, and brings it up to date after every epoch if the rule's state can be kept.

    The optimizer is Adam with ``protocol["learning_rate"]``; the other set starts again whenever it runs out. Before
    each step the model is put into train mode, its batch norms into that which "batch_norm" names. A row of the
    history has the epoch's number from 0 and the mean over its steps of every number the rule returned.

    A rule that raises, returns no dict with a number "loss", or changes the optimizer's settings, the modules or the
    parameters of the model has failed; one whose loss or weights are no longer finite has diverged. Either ends the
    unlearning, and the outcome says why and where. Raises only what is not the rule's fault (see `blamed_on_rule`).
    """
    result, file = Unlearning(), Path(rule_file).resolve()
    order = partial(_leading_first, protocol["epoch_of"])
    epoch = step = rule = None
    try:
        # All of it, because what a rule does may surface only in the next use of the model or the device.
        with blamed_on_rule(file):
            with contained():
                rule = make_rule()
            optimizer = torch.optim.Adam(model.parameters(), lr=protocol["learning_rate"])
            guard = ProtocolGuard(model, optimizer)
            leading, following = order(retain, forget)
            following_batches = following.forever()
            run = Interruptible(savepoint or Savepoint(), result, model, optimizer, rule, leading, following_batches)
            run.go_on()
            progress = Progress(protocol["epochs"], result.history)
            for epoch in progress:
                returned = []
                for step, batch in enumerate(leading.epoch()):
                    _set_mode(model, protocol["batch_norm"])  # whatever mode the rule left it in
                    retain_batch, forget_batch = order(batch, next(following_batches))
                    with contained():
                        values = rule.unlearn_step(model, retain_batch, forget_batch, optimizer, step, epoch)
                    returned.append(_checked(values))
                    guard.check()
                    result.steps += 1
                # Once an epoch, because looking at a number makes a GPU wait.
                numbers = [{name: float(value) for name, value in values.items()} for values in returned]
                not_finite = [index for index, values in enumerate(numbers) if not math.isfinite(values["loss"])]
                if not_finite:
                    step = not_finite[0]
                    raise RuleError(f"the loss is {numbers[step]['loss']}", "diverged")
                guard.check_weights()
                means = _means(numbers)
                result.history.append({"epoch": epoch} | means | {"epoch": epoch})  # also if the rule returns one
                progress.report({name: f"{value:.4f}" for name, value in means.items()})
                run.keep(is_over=epoch + 1 == protocol["epochs"])
    except RuleError as failure:
        line = failure.line or _line_of_step(rule, file)
        result.outcome = Outcome(failure.status, str(failure), epoch, step, line)
        print(f"{failure.status}: {failure} (epoch {epoch}, step {step}, line {line} of {rule_file})", flush=True)
    return result


def _leading_first(epoch_of: str, of_retain: T, of_forget: T) -> tuple[T, T]:
    """Return the two, first that of the set which an epoch is one pass over; again, and they are as they were."""
    return (of_retain, of_forget) if epoch_of == "retain" else (of_forget, of_retain)


def _set_mode(model: nn.Module, batch_norm: str) -> None:
    model.train()
    if batch_norm == "eval":
        for module in model.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.eval()


def _line_of_step(rule: UpdateRule | None, file: Path) -> int | None:
    """Return where ``unlearn_step`` begins, for what cannot be pinned to one of its lines."""
    code = getattr(inspect.unwrap(getattr(rule, "unlearn_step", None)), "__code__", None)
    return code.co_firstlineno if code is not None and Path(code.co_filename) == file else None


@dataclass
class Interruptible:
    """Everything that one epoch of unlearning hands on to the next, to and from a savepoint."""

    savepoint: Savepoint
    result: Unlearning
    model: nn.Module
    optimizer: torch.optim.Optimizer
    rule: UpdateRule
    leading: Batches
    following: EndlessBatches

    def __post_init__(self):
        self.rule_state = RuleState(self.rule, self.model, self.optimizer)
        self.can_be_kept = True

    def go_on(self) -> None:
        """Put everything where the savepoint has it, if it is of use."""
        saved = self.savepoint.read()
        if saved is None:
            return
        self.model.load_state_dict(saved["model"])
        self.result.history[:], self.result.steps = saved["history"], saved["steps"]
        if "optimizer" in saved:
            self.optimizer.load_state_dict(saved["optimizer"])
            for parameter, kept in zip(self.model.parameters(), saved["parameters"], strict=True):
                requires_grad, gradient = kept
                parameter.requires_grad_(requires_grad)
                parameter.grad = None if gradient is None else gradient.to(parameter.device)
            self.rule_state.restore(saved["rule"])
            self.leading.random_stream.set_state(saved["leading"])
            self.following.go_to(saved["following"])
            set_global_streams(saved["streams"])

    def keep(self, is_over: bool) -> None:
        """Bring the savepoint up to date; once the rule's state cannot be kept, say so and leave it."""
        state = {
            "epochs": len(self.result.history),
            "model": self.model.state_dict(),
            "history": self.result.history,
            "steps": self.result.steps,
        }
        if is_over:
            self.savepoint.keep_end(state)
        elif self.can_be_kept:
            try:
                self.savepoint.keep(state | self._for_further_epochs())
            except CannotKeepError as reason:
                self.can_be_kept = False
                print(f"the rule's state cannot be kept ({reason}): if interrupted, it starts again", flush=True)

    def _for_further_epochs(self) -> dict[str, Any]:
        return {
            "rule": self.rule_state.keep(),
            "optimizer": self.optimizer.state_dict(),
            "parameters": [[parameter.requires_grad, parameter.grad] for parameter in self.model.parameters()],
            "leading": self.leading.random_stream.get_state(),
            "following": self.following.place(),
            "streams": read_global_streams(),
        }


class ProtocolGuard:
    """Notices when a rule changes what is fixed: the optimizer's settings, the model's modules, parameters and shapes.

    The settings are checked around each step of the optimizer as well, so that a change that is put back is noticed.
    """

    def __init__(self, model: nn.Module, optimizer: torch.optim.Optimizer):
        self.model, self.optimizer = model, optimizer
        self.parts = _parts(model)  # the objects, not their ids: those of a freed object are given out again
        self.shapes = _shapes(model.state_dict())
        self.settings = _settings(optimizer)
        optimizer.register_step_pre_hook(lambda *_: self._check_settings())
        optimizer.register_step_post_hook(lambda *_: self._check_settings())  # runs before a hook of the rule's

    def check(self) -> None:
        """Raise RuleError if the optimizer's settings, a module or a parameter is no longer what it was."""
        self._check_settings()
        parts = _parts(self.model)
        if len(parts) != len(self.parts) or any(a is not b for a, b in zip(parts, self.parts, strict=True)):
            raise RuleError("the rule replaced a module or a parameter of the model; change their values in place")

    def check_weights(self) -> None:
        """Raise RuleError if a weight or a running statistic has come, gone, changed its shape or is not finite."""
        state = self.model.state_dict()
        shapes = _shapes(state)
        changed = sorted(
            name for name in self.shapes.keys() | shapes.keys() if shapes.get(name) != self.shapes.get(name)
        )
        if changed:
            raise RuleError(
                f"the rule added or removed {changed[0]} in the model's state, or changed its shape or type"
            )
        floating = {name: tensor for name, tensor in state.items() if tensor.is_floating_point()}
        finite = torch.stack([tensor.isfinite().all() for tensor in floating.values()]).tolist()
        if not all(finite):
            name = next(name for name, is_finite in zip(floating, finite, strict=True) if not is_finite)
            raise RuleError(f"the weights of {name} are not finite", "diverged")

    def _check_settings(self) -> None:
        settings = _settings(self.optimizer)
        if settings == self.settings:
            return
        if len(settings) != len(self.settings):
            raise RuleError(f"the rule changed the number of the optimizer's param_groups to {len(settings)}")
        keys = {key for now, then in zip(settings, self.settings, strict=True) for key in now.keys() | then.keys()}
        changed = sorted(k for k in keys if [g.get(k) for g in settings] != [g.get(k) for g in self.settings])
        raise RuleError(f"the rule changed the optimizer's param_groups ({', '.join(changed)}), which are fixed")


def _parts(model: nn.Module) -> list[nn.Module | nn.Parameter | None]:
    return [part for module in model.modules() for part in (module, *module._parameters.values())]


def _settings(optimizer: torch.optim.Optimizer) -> list[dict[str, Any]]:
    """Return each group's settings, its parameters by identity: equal tensors are not the same parameter."""
    return [group | {"params": [id(parameter) for parameter in group["params"]]} for group in optimizer.param_groups]


def _shapes(state: dict[str, Tensor]) -> dict[str, tuple[torch.Size, torch.dtype]]:
    return {name: (tensor.shape, tensor.dtype) for name, tensor in state.items()}


def _checked(values: Any) -> dict[str, Any]:
    """Check what a rule returned and keep its numbers, cut off their graphs, without waiting for the device."""
    if not isinstance(values, dict) or "loss" not in values:
        shown = f"a dict with {sorted(map(str, values))}" if isinstance(values, dict) else type(values).__name__
        raise RuleError(f'unlearn_step returned {shown}; it must return a dict with "loss"')
    if not _is_number(values["loss"]):
        kind = type(values["loss"]).__name__
        raise RuleError(f'unlearn_step returned a "loss" of type {kind}; it must be one number')
    # Copies, because a rule may go on with its tensor in place.
    return {
        str(name): value.detach().clone() if isinstance(value, Tensor) else value
        for name, value in values.items()
        if _is_number(value)
    }


def _is_number(value: Any) -> bool:
    return isinstance(value, Real) or (isinstance(value, Tensor) and value.numel() == 1)


def _means(numbers: list[dict[str, float]]) -> dict[str, float]:
    """Average each number over the steps that returned it."""
    columns = defaultdict(list)
    for values in numbers:
        for name, value in values.items():
            columns[name].append(value)
    return {name: sum(column) / len(column) for name, column in columns.items()}
