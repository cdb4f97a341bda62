"""Going on after an interruption: the state of a training after its last whole epoch, on the disk."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from unlearning.clocks import spent_on
from unlearning.training.tensor_files import write_tensors


class Savepoint:
    """What a job has done so far, in a file that the same job of a later run finds.

    The file is of use only to a job with the same ``identity``: with everything equal that was asked for. To go on in
    the middle, the job must also run with what the part before was made with (``made_with``: device, versions ...),
    because another device or version of torch rounds differently. A training that is done counts wherever it was made,
    if it was made in the same precision or was asked for in the same (``asked_precision``; tf32 is CUDA's alone).

    The file stays when the job has ended, so that a result that is lost (Snakemake removes a job's old output before it
    starts, and a mistake may end the job) comes back without training. ``cost_so_far`` says what is noted of the cost
    then. Without a ``path`` nothing is kept.
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
        """Return that of the job of ``rule`` that makes ``output``: .RULE.IDENTITY.MADE_WITH.savepoint beside it."""
        made = hashlib.sha256(json.dumps(made_with, sort_keys=True).encode()).hexdigest()
        return cls(output.with_name(f".{rule}.{identity[:12]}.{made[:6]}.savepoint"), identity, made_with, **further)

    @spent_on("files")
    def read(self) -> dict[str, Any] | None:
        """Return the state that was kept, its tensors on the CPU; None if there is none, or none of use."""
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

    def keep(self, state: dict[str, Any]) -> None:
        """Replace what is kept by ``state``: tensors and plain values, among them ``epochs``, how many are done."""
        self._write(state, is_over=False)

    def keep_end(self, state: dict[str, Any]) -> None:
        """Keep the ``state`` of a job that is done, and remove what the rule's jobs with other identities had done.

        Not before: what an edit or a setting has replaced comes back at once if it is undone half-way.
        """
        if self._start is not None:  # not one that was found to be done
            self.cost = self._cost_so_far()
            self._seconds_before, self._start = self.seconds, None  # the same for whoever reads it
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
            write_tensors(self.path, {**about, "is_over": is_over, "state": state})

    @property
    def seconds(self) -> float:
        """Return the wall-clock seconds since this object was made, and those of the epochs done before."""
        return self._seconds_before + (0.0 if self._start is None else time.perf_counter() - self._start)
