"""The one exception that is meant to be read by the person who runs the workflow."""

import textwrap


class UserError(Exception):
    """Something the user can put right. The message says what is wrong, where, and what to write instead."""


def first_line(error: BaseException) -> str:
    """Return what ``error`` says as one line of at most 300 characters that any file can hold, perhaps an empty one."""
    try:
        text = str(error).strip().split("\n", 1)[0]
    except Exception:  # its own code, too, may raise
        return ""
    return textwrap.shorten(text.encode("utf-8", "backslashreplace").decode(), 300)
