"""Exceptions with an addressee: the person who runs the workflow, or who looks after the machine."""

import textwrap
from collections.abc import Iterator
from contextlib import contextmanager


class UserError(Exception):
    """A mistake that the user can correct. The message says what is wrong, where, and what to write instead."""


class MachineError(OSError):
    """A file of the project could not be read or written: the machine's failure, whosever code runs around it."""


@contextmanager
def blamed_on_machine() -> Iterator[None]:
    """Turn an OSError in the block or the decorated function into a `MachineError` with the same facts."""
    try:
        yield
    except OSError as error:
        raise MachineError(error.errno, error.strerror, error.filename) from error


def first_line(error: BaseException) -> str:
    """Return the message of ``error`` as one line of at most 300 characters that any file can hold. It may be empty."""
    try:
        text = str(error).strip().split("\n", 1)[0]
    except Exception:  # the error's own code may raise, too
        return ""
    return textwrap.shorten(text.encode("utf-8", "backslashreplace").decode(), 300)


def unreadable(file: object) -> UserError:
    """Return the error for a file that this user has no right to read."""
    return UserError(f"{file}: it may not be read; give yourself the right, e.g. chmod u+r {file}")
