"""The commands for people: each module is one command, run through make, or by hand as python -m commands.NAME."""

import functools
import os
import sys
from collections.abc import Callable
from typing import Any, NoReturn

from unlearning.errors import UserError

READER_GONE = 141
"""The exit status of a command whose reader has gone: that of a program that SIGPIPE has ended."""


def run(main: Callable[..., int], *arguments: Any) -> NoReturn:
    """Run a command and exit with its status; without a word if the reader of its output, e.g. head, has stopped."""
    try:
        status = main(*arguments)
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python writes what is left when it exits
        status = READER_GONE
    sys.exit(status)


def tells_mistakes(main: Callable[..., int]) -> Callable[..., int]:
    """Return ``main`` as a command that tells a UserError, or what the system refuses, in a line, and returns 1."""

    @functools.wraps(main)
    def command(*arguments: Any) -> int:
        try:
            return main(*arguments)
        except BrokenPipeError:
            raise  # the reader of the output, no mistake: see run
        except (UserError, OSError) as error:
            print(f"error: {error}", file=sys.stderr)
            return 1

    return command
