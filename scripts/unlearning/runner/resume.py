"""Everything that one epoch of unlearning hands on to the next, to and from a savepoint."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from unlearning.data.batches import Batches, EndlessBatches
from unlearning.runner.interface import Method
from unlearning.runner.method_state import CannotKeepError, MethodState
from unlearning.runner.outcomes import Unlearning
from unlearning.streams import read_global_streams, set_global_streams
from unlearning.training.savepoint import Savepoint


@dataclass
class Interruptible:
    """Everything that one epoch of unlearning hands on to the next, to and from a savepoint."""

    savepoint: Savepoint
    result: Unlearning
    model: nn.Module
    optimizer: torch.optim.Optimizer
    method: Method
    leading: Batches
    following: EndlessBatches

    def __post_init__(self):
        self.method_state = MethodState(self.method, self.model, self.optimizer)
        self.can_be_kept = True

    def go_on(self) -> None:
        """Restore everything from the savepoint, if the savepoint is usable."""
        saved = self.savepoint.read()
        if saved is None:
            return
        self.model.load_state_dict(saved["model"])
        self.result.history[:], self.result.steps = saved["history"], saved["steps"]
        self.result.answers = saved.get("answers")
        if "optimizer" in saved:
            self.optimizer.load_state_dict(saved["optimizer"])
            for parameter, kept in zip(self.model.parameters(), saved["parameters"], strict=True):
                requires_grad, gradient = kept
                parameter.requires_grad_(requires_grad)
                parameter.grad = None if gradient is None else gradient.to(parameter.device)
            self.method_state.restore(saved["method"])
            self.leading.random_stream.set_state(saved["leading"])
            self.following.go_to(saved["following"])
            set_global_streams(saved["streams"])

    def keep(self, is_over: bool) -> None:
        """Update the savepoint. Once the method's state cannot be kept, print why and stop updating."""
        state = {
            "epochs": len(self.result.history),
            "model": self.model.state_dict(),
            "history": self.result.history,
            "steps": self.result.steps,
        }
        if is_over:
            self.savepoint.keep_end(state | {"answers": self.result.answers})
        elif self.can_be_kept:
            try:
                self.savepoint.keep(state | self._for_further_epochs())
            except CannotKeepError as reason:
                self.can_be_kept = False
                print(f"the method's state cannot be kept ({reason}): if interrupted, it starts again", flush=True)

    def _for_further_epochs(self) -> dict[str, Any]:
        return {
            "method": self.method_state.keep(),
            "optimizer": self.optimizer.state_dict(),
            "parameters": [[parameter.requires_grad, parameter.grad] for parameter in self.model.parameters()],
            "leading": self.leading.random_stream.get_state(),
            "following": self.following.place(),
            "streams": read_global_streams(),
        }
