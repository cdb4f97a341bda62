"""What can change a result: in code, the program without its text; in settings, the values.

A comment, a docstring, a blank line, another line break, or 1 in place of 1.0 changes nothing.
"""

from __future__ import annotations

import ast
import hashlib
from typing import Any

LARGEST_EXACT_INTEGER = 2**53
"""Not every larger integer has an equal float."""


def digest_of_code(source: bytes, tree: ast.Module | None = None) -> str:
    """Return a digest of what the Python file ``source`` does, the same in every version of Python.

    It is computed from the syntax tree, without positions, without strings that stand alone, such as docstrings, and
    without ``pass``. A file that is not valid Python counts by its bytes. If ``tree`` is given, the file is not parsed
    again.
    """
    pieces: list[str] = []
    try:
        _write(tree or ast.parse(source), pieces)
        program = "".join(pieces).encode(errors="surrogatepass")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        program = source
    return hashlib.sha256(program).hexdigest()[:16]


def _write(node: ast.AST, pieces: list[str]) -> None:
    """Append an unambiguous text of ``node``: its type, then its fields by name.

    Empty fields are left out, because a later version of Python may have more fields than an earlier one.
    """
    pieces.append(type(node).__name__ + "(")
    is_constant = isinstance(node, ast.Constant)
    for name in node._fields:
        value = getattr(node, name, None)
        if isinstance(value, list):
            _write_all(name, [item for item in value if not _says_nothing(item, of=node)], pieces)
        elif isinstance(value, ast.AST):
            pieces.append(name + "=")
            _write(value, pieces)
        elif name != "kind" and (is_constant or value is not None):  # u"" is ""
            pieces.append(f"{name}={value!r},")
    pieces.append(")")


def _write_all(name: str, items: list[Any], pieces: list[str]) -> None:
    if not items:
        return
    pieces.append(name + "=[")
    for item in items:
        if isinstance(item, ast.AST):
            _write(item, pieces)
        else:
            pieces.append(f"{item!r},")
    pieces.append("]")


def _says_nothing(item: Any, of: ast.AST) -> bool:
    """Return whether ``item`` is a statement without effect: a string alone, such as a docstring, or ``pass``.

    Also true for an empty piece of an f-string, which Python 3.12 adds to some f-strings.
    """
    if isinstance(of, ast.JoinedStr):
        return isinstance(item, ast.Constant) and item.value == ""
    is_constant = isinstance(item, ast.Expr) and isinstance(item.value, ast.Constant)
    return (is_constant and isinstance(item.value.value, str)) or isinstance(item, ast.Pass)


def by_meaning(settings: Any) -> Any:
    """Return nested ``settings`` in a form whose text is equal if the meaning is equal.

    Keys are sorted, and a number without a fraction becomes an integer. True is not a number.
    """
    if isinstance(settings, dict):
        return {key: by_meaning(settings[key]) for key in sorted(settings)}
    if isinstance(settings, (list, tuple)):
        return [by_meaning(value) for value in settings]
    if isinstance(settings, float) and settings.is_integer() and abs(settings) <= LARGEST_EXACT_INTEGER:
        return int(settings)
    return settings
