"""How a cell of the table ended: "ok", or what went wrong with the method and where."""

from __future__ import annotations

import errno
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unlearning.errors import UserError, first_line

if TYPE_CHECKING:  # a table that is rendered knows outcomes, and loads no torch
    from torch import Tensor

MISFIT = "misfit"
"""The status of a model from elsewhere that does not fit the benchmark. It is in no table: see `tables.cells`."""


@dataclass(frozen=True)
class Outcome:
    """The end of a cell.

    ``status`` is "ok", "failed" (the method raised, or broke its contract or the protocol) or "diverged" (a number that
    is not finite). If it is not ok, ``reason`` says why in one line, and ``epoch`` and ``step``, both from 0, and
    ``line``, from 1, of the method's file say where, as far as that is known.
    """

    status: str = "ok"
    reason: str | None = None
    epoch: int | None = None
    step: int | None = None
    line: int | None = None


@dataclass
class Unlearning:
    """What came of applying a method: the outcome, one row of history per epoch, and how many steps it made.

    ``answers`` are the model's logits of some images in the end, ``changed_weights`` the share of the weights that are
    no longer those of the beginning; None if it has failed.
    """

    outcome: Outcome = field(default_factory=Outcome)
    history: list[dict[str, Any]] = field(default_factory=list)
    steps: int = 0
    answers: Tensor | None = None
    changed_weights: float | None = None


class MethodError(Exception):
    """What a method did that ends its cell; `blamed_on_method` adds the place."""

    def __init__(self, reason: str, status: str = "failed", line: int | None = None):
        super().__init__(reason)
        self.status = status
        self.line = line


@contextmanager
def blamed_on_method(file: Path) -> Iterator[None]:
    """Turn whatever the code of the method in ``file`` raises into `MethodError`, with its line.

    Lack of memory and of disk space are the machine's failures, not the method's: they pass as they are.
    """
    try:
        yield
    except BaseException as error:  # SystemExit and KeyboardInterrupt too: here they are the method's
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
        return error.errno in (errno.ENOSPC, errno.EDQUOT, errno.ENOMEM)
    if isinstance(error, RuntimeError):  # torch's, on a CPU and on a GPU
        texts = ("can't allocate memory", "not enough memory", "out of memory", "alloc_failed")
        return any(text in str(error).lower() for text in texts)
    return isinstance(error, MemoryError)


def _last_line_in(error: BaseException, file: Path) -> int | None:
    """Return the line of ``file`` that was running, innermost frame first; that of a syntax error, where it stands."""
    if isinstance(error, SyntaxError) and error.filename and Path(error.filename) == file:
        return error.lineno
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if Path(frame.filename) == file]
    return lines[-1] if lines else None
