"""The outcome of a cell: "ok", or what went wrong in the method and where."""

from __future__ import annotations

import errno
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unlearning.errors import MachineError, UserError, first_line

if TYPE_CHECKING:  # rendering a table uses outcomes, but loads no torch
    from torch import Tensor

MISFIT = "misfit"
"""The status of a model from another program that does not fit the benchmark. No table shows it: see `tables.cells`."""


LOOKED_AT = ("retain_acc", "forget_acc")
"""The columns of a history that the protocol measures, on request; a method's own numbers have other names."""


@dataclass(frozen=True)
class Outcome:
    """The end of a cell.

    ``status`` is "ok", "failed" (the method raised, or broke its contract or the protocol) or "diverged" (a number that
    is not finite). If the status is not "ok", ``reason`` says why in one line. ``epoch`` and ``step``, both from 0, and
    ``line`` of the method's file, from 1, say where, as far as known.
    """

    status: str = "ok"
    reason: str | None = None
    epoch: int | None = None
    step: int | None = None
    line: int | None = None


@dataclass
class Unlearning:
    """The result of applying a method: the outcome, one row of history per epoch, and the number of steps.

    ``answers`` are the model's logits of some images at the end. ``changed_weights`` is the share of the weights that
    differ from the start. Both are None if the method failed.
    """

    outcome: Outcome = field(default_factory=Outcome)
    history: list[dict[str, Any]] = field(default_factory=list)
    steps: int = 0
    answers: Tensor | None = None
    changed_weights: float | None = None


class MethodError(Exception):
    """A method's mistake that ends its cell; `blamed_on_method` adds the place."""

    def __init__(self, reason: str, status: str = "failed", line: int | None = None):
        super().__init__(reason)
        self.status = status
        self.line = line


OF_THE_MACHINE = (
    *("can't allocate memory", "not enough memory", "out of memory", "alloc_failed", "unable to find an engine"),
    *("ecc error", "no kernel image", "busy or unavailable", "unspecified launch failure"),
)
"""In the messages of torch, on a CPU and on a GPU. cuDNN finds no engine where there is no memory for any."""


@contextmanager
def blamed_on_method(file: Path) -> Iterator[None]:
    """Turn any error from the code of the method in ``file`` into `MethodError`, with the line.

    Lack of memory or disk space, a file of the project that cannot be read or written, and a broken GPU are failures of
    the machine, not of the method: such errors pass unchanged.
    """
    try:
        yield
    except BaseException as error:  # SystemExit and KeyboardInterrupt too: here the method raised them
        if _is_the_machines(error):
            raise
        line = _last_line_in(error, file)
        if isinstance(error, MethodError):
            raise MethodError(str(error), error.status, line) from None
        traceback.print_exc()  # whole, into the job's log
        message = first_line(error)
        if not isinstance(error, UserError):
            message = f"{type(error).__name__}: {message}".rstrip(": ")
        raise MethodError(message, line=line) from None


def _is_the_machines(error: BaseException) -> bool:
    if isinstance(error, OSError):
        return isinstance(error, MachineError) or error.errno in (errno.ENOSPC, errno.EDQUOT, errno.ENOMEM)
    if isinstance(error, RuntimeError):
        return any(text in str(error).lower() for text in OF_THE_MACHINE)
    return isinstance(error, MemoryError)


def _last_line_in(error: BaseException, file: Path) -> int | None:
    """Return the line of ``file`` that was running, innermost frame first; for a syntax error, its own line."""
    if isinstance(error, SyntaxError) and error.filename and Path(error.filename) == file:
        return error.lineno
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if Path(frame.filename) == file]
    return lines[-1] if lines else None
