"""Savepoints: the state of a training after its last complete epoch, on the disk, to continue after an interruption."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from unlearning.clocks import spent_on
from unlearning.errors import blamed_on_machine
from unlearning.training.tensor_files import write_tensors


class Savepoint:
    """The progress of a job so far, in a file that the same job of a later run finds.

    A job reuses the file only if its ``identity`` is the same: if all that was asked for is unchanged. To continue in
    the middle, a job must also have the same ``made_with`` (device, versions ...), because another device or version of
    torch rounds differently. A finished training is valid from any machine, if the precision of its arithmetic or the
    precision that was asked for (``asked_precision``) is the same; only CUDA has tf32.

    The file stays after the end of the job, so that a lost result is restored without training: Snakemake removes a
    job's old output before the job starts, and a mistake may end the job. ``cost_so_far`` returns the cost recorded in
    that case. Without a ``path``, nothing is kept.
    """

    def __init__(
        self,
        path: Path | None = None,
        identity: str = "",
        made_with: Mapping[str, Any] | None = None,
        asked_precision: str = "float32",
        cost_so_far: Callable[[], dict[str, Any]] = dict,
    ):
        self.path = path
        self.identity = identity
        self.made_with = dict(made_with or {})
        self.asked_precision = asked_precision
        self.cost: dict[str, Any] = {}
        self._cost_so_far = cost_so_far
        self._seconds_before = 0.0
        self._start: float | None = time.perf_counter()

    @classmethod
    def beside(cls, output: Path, rule: str, identity: str, made_with: Mapping[str, Any], **further: Any) -> Savepoint:
        """Return the savepoint of ``rule``'s job for ``output``: .RULE.IDENTITY.MADE_WITH.savepoint next to it."""
        made = hashlib.sha256(json.dumps(made_with, sort_keys=True).encode()).hexdigest()
        return cls(output.with_name(f".{rule}.{identity[:12]}.{made[:6]}.savepoint"), identity, made_with, **further)

    @spent_on("files")
    @blamed_on_machine()
    def read(self) -> dict[str, Any] | None:
        """Return the saved state, with tensors on the CPU, or None if there is no usable state."""
        if self.path is None:
            return None
        with_its_identity = self.path.name.rsplit(".", 2)[0]
        for path in dict.fromkeys([self.path, *sorted(self.path.parent.glob(f"{with_its_identity}.*.savepoint"))]):
            state = self._read(path) if path.exists() else None
            if state is not None:
                print(f"going on after {state['epochs']} epoch(s) that an earlier run has done: {path}", flush=True)
                return state
        return None

    def _read(self, path: Path) -> dict[str, Any] | None:
        try:
            kept = torch.load(path, map_location="cpu", weights_only=True)
            state, seconds, is_over, cost = (kept[name] for name in ("state", "seconds", "is_over", "cost"))
            is_as_made = self._is_as_asked(kept) if is_over else kept["made_with"] == self.made_with
            is_of_use = kept["identity"] == self.identity and is_as_made
        except Exception as error:  # torch.load raises half a dozen types for a damaged file
            print(f"{path} cannot be read ({type(error).__name__}): from the beginning", flush=True)
            return None
        if not is_of_use:
            return None
        self._seconds_before = seconds
        if is_over:
            self._start, self.cost = None, cost
        return state

    def _is_as_asked(self, kept: Mapping[str, Any]) -> bool:
        computed_in = kept["made_with"].get("precision")
        return kept["asked_precision"] == self.asked_precision or computed_in == self.made_with.get("precision")

    @blamed_on_machine()
    def keep(self, state: dict[str, Any]) -> None:
        """Replace the saved state by ``state``: tensors and plain values, including ``epochs``, the epochs done."""
        self._write(state, is_over=False)

    @blamed_on_machine()
    def keep_end(self, state: dict[str, Any]) -> None:
        """Keep the ``state`` of a finished job, and remove the savepoints of the rule's jobs with other identities.

        They are removed only now, so that a replaced result comes back at once if an edit or setting is undone
        half-way.
        """
        if self._start is not None:  # not if the job was already finished when read
            self.cost = self._cost_so_far()
            self._seconds_before, self._start = self.seconds, None  # fixed for all later reads
        self._write(state, is_over=True)
        if self.path is not None:
            rule = self.path.name.rsplit(".", 3)[0]
            for other in self.path.parent.glob(f"{rule}.*.savepoint"):
                if other != self.path:
                    other.unlink()

    def _write(self, state: dict[str, Any], is_over: bool) -> None:
        if self.path is not None:
            names = ("identity", "made_with", "asked_precision", "seconds", "cost")
            about = {name: getattr(self, name) for name in names}
            before = time.perf_counter()
            write_tensors(self.path, {**about, "is_over": is_over, "state": state})
            if self._start is not None:
                self._start += time.perf_counter() - before  # `seconds` are those of the training

    @property
    def seconds(self) -> float:
        """Return the seconds since this object was made, without its writing, plus those of the epochs done before."""
        return self._seconds_before + (0.0 if self._start is None else time.perf_counter() - self._start)
