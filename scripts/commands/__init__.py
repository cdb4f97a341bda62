"""The commands for people: each module is one command, run through make, or by hand as python -m commands.NAME."""

import os
import sys
from collections.abc import Callable
from typing import Any, NoReturn

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
