"""The marks of Markdown inside a line, for other formats."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

_MARK = re.compile(r"\*\*(?P<strong>.+?)\*\*|\*(?P<emphasis>\S.*?)\*|`(?P<code>[^`]+)`")


def marked_up(text: str, plain: Callable[[str], str], marks: Mapping[str, tuple[str, str]]) -> str:
    """Return ``text`` with other signs in place of the marks of Markdown, and ``plain`` of what stands between them.

    ``marks`` has what opens and what closes each of strong, emphasis and code.
    """
    parts, end = [], 0
    for match in _MARK.finditer(text):
        kind = str(match.lastgroup)
        within = plain(match[kind]) if kind == "code" else marked_up(match[kind], plain, marks)
        opening, closing = marks[kind]
        parts += [plain(text[end : match.start()]), opening, within, closing]
        end = match.end()
    return "".join([*parts, plain(text[end:])])


def slug(text: str) -> str:
    """Return ``text`` as a name for a place: letters, digits and hyphens."""
    return re.sub(r"[^A-Za-z0-9]+", "-", text).strip("-")
