"""The project files that a Python file runs, and their meaning: for Snakemake, which does not follow imports."""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from unlearning.errors import UserError, unreadable
from unlearning.meaning import digest_of_code

SCRIPTS = Path(__file__).resolve().parents[1]
LIBRARY = "unlearning"


def code_of(file: Path) -> list[Path]:
    """Return ``file`` and all files that it imports, directly or not, from scripts/ or its own folder, sorted.

    Imports inside functions count too. Raises UserError if one of the files is not valid Python, because a job that
    cannot run would still remove its old result first.
    """
    found: set[Path] = set()
    waiting = [file]
    while waiting:
        current = waiting.pop()
        if current not in found:
            found.add(current)
            waiting += _direct_imports(current, _version(current), file.parent)
    return sorted(found)


def meanings_of(files: Iterable[Path]) -> list[str]:
    """Return "NAME DIGEST" of each of the Python ``files``, sorted. Equal texts mean equal programs.

    NAME is the path under scripts/ for a module of the library, and only the file's name for any other file, so that a
    method may lie anywhere. Raises FileNotFoundError if one is missing.
    """
    return sorted(f"{_name(file)} {_read(file, _version(file)).digest}" for file in files)


def is_of_library(file: Path) -> bool:
    """Return whether ``file`` is a module of the library, not a script or a method."""
    return file.is_relative_to(SCRIPTS / LIBRARY)


def digest_of_file(file: Path) -> str:
    """Return a digest of the bytes of ``file``. Raises FileNotFoundError if it is missing."""
    return _digest_of_bytes(file, _version(file))


def _name(file: Path) -> str:
    return file.relative_to(SCRIPTS).as_posix() if is_of_library(file) else file.name


def _version(file: Path) -> tuple[int, int, int]:
    """Return a version that differs if the file may have changed. Facts about a file are computed once per version."""
    status = file.stat()
    return status.st_mtime_ns, status.st_size, status.st_ino


@cache
def _digest_of_bytes(file: Path, _of_version: tuple) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()[:16]


@dataclass(frozen=True)
class _Source:
    """A Python file, read once: its syntax tree, or the reason why it has none, and the digest of its meaning."""

    tree: ast.Module | None
    problem: str | None
    digest: str


@cache
def _read(file: Path, _of_version: tuple) -> _Source:
    try:
        source = file.read_bytes()
    except PermissionError:
        raise unreadable(file) from None
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError) as error:  # ValueError: null bytes, in older versions of Python
        line = getattr(error, "lineno", None)
        place = f"{file}, line {line}" if line else f"{file}"
        reason = "null bytes: save it as UTF-8" if b"\0" in source else getattr(error, "msg", error)
        return _Source(None, f"{place}: not valid Python ({reason})", digest_of_code(source))
    return _Source(tree, None, digest_of_code(source, tree))


@cache
def _direct_imports(file: Path, of_version: tuple, beside: Path) -> list[Path]:
    source = _read(file, of_version)
    if source.tree is None:
        raise UserError(str(source.problem))
    names: set[str] = set()
    modules: set[str] = set()
    of_package: list[Path] = []
    for node in _statements(source.tree):
        if isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level:
            package = Path(*file.parts[: -node.level])
            inside = [node.module] if node.module else []
            of_package += _with_parents(package, [".".join([*inside, alias.name]) for alias in node.names])
        elif isinstance(node, ast.ImportFrom) and node.module:
            modules.add(node.module)
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    for name in modules:
        path = SCRIPTS / name.replace(".", "/")
        if name.startswith(f"{LIBRARY}.") and not path.with_suffix(".py").is_file() and not path.is_dir():
            raise UserError(f"{file}: it imports {name}, which is not there")
        if beside != SCRIPTS and path.with_suffix(".py").is_file() and path.parent == SCRIPTS:
            raise UserError(
                f"{file}: it imports {name}, which is the script of a rule here; give your module another name"
            )
    folders = dict.fromkeys([SCRIPTS, beside])
    candidates = [path for folder in folders for path in _with_parents(folder, names | modules)] + of_package
    files = [path.with_suffix(".py") for path in candidates] + [path / "__init__.py" for path in candidates]
    return [path for path in files if path.is_file()]


def _with_parents(folder: Path, names: Iterable[str]) -> list[Path]:
    """Return the paths in ``folder`` of modules with dotted ``names``: importing a.b.c runs a and a.b as well."""
    parents = {".".join(name.split(".")[:depth]) for name in names for depth in range(1, name.count(".") + 2)}
    return [folder / name.replace(".", "/") for name in sorted(parents)]


def _statements(node: ast.AST) -> Iterator[ast.AST]:
    """Yield all statements in ``node``, and the clauses that hold them. Most of a tree are expressions: no imports."""
    for name in ("body", "orelse", "finalbody", "handlers", "cases"):
        for child in getattr(node, name, ()):
            yield child
            yield from _statements(child)
