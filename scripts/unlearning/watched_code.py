"""Which files of the project a Python file runs: what Snakemake must watch, because it does not follow imports."""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from unlearning.errors import UserError

SCRIPTS = Path(__file__).resolve().parents[1]


def code_of(file: Path) -> list[Path]:
    """Return ``file`` and every file under scripts/ that it imports, directly or not, sorted.

    Imports inside functions count too. Raises UserError if one of them is no valid Python, because a job that cannot
    run would begin with the removal of its old result.
    """
    found: set[Path] = set()
    waiting = [file]
    while waiting:
        current = waiting.pop()
        if current not in found:
            found.add(current)
            waiting += _direct_imports(current, _version(current))
    return sorted(found)


def digest_of(files: Iterable[Path]) -> str:
    """Return one digest of the contents of ``files``, whose order and place on the disk do not matter.

    Raises FileNotFoundError, which says which file, if one is missing.
    """
    digests = sorted(f"{file.name} {_digest(file, _version(file))}" for file in files)
    return hashlib.sha256("\n".join(digests).encode()).hexdigest()[:16]


def _version(file: Path) -> tuple[int, int, int]:
    """Return what tells that a file may have changed: what follows from its contents is worked out once for each."""
    status = file.stat()
    return status.st_mtime_ns, status.st_size, status.st_ino


@cache
def _digest(file: Path, _of_version: tuple) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


@cache
def _direct_imports(file: Path, _of_version: tuple) -> list[Path]:
    try:
        tree = ast.parse(file.read_text(encoding="utf-8"))
    except SyntaxError as error:
        raise UserError(f"{file}, line {error.lineno}: not valid Python ({error.msg})") from None
    except ValueError as error:  # null bytes, or no UTF-8
        raise UserError(f"{file}: not valid Python ({error})") from None
    names: set[str] = set()
    modules: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            modules.add(node.module)
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    for name in modules:
        path = SCRIPTS / name.replace(".", "/")
        if name.startswith("unlearning.") and not path.with_suffix(".py").is_file() and not path.is_dir():
            raise UserError(f"{file}: it imports {name}, which is not there")
    names |= modules
    # Importing a.b.c runs a/__init__.py and a/b/__init__.py as well.
    parents = {".".join(name.split(".")[:depth]) for name in names for depth in range(1, name.count(".") + 2)}
    candidates = [SCRIPTS / name.replace(".", "/") for name in parents]
    files = [path.with_suffix(".py") for path in candidates] + [path / "__init__.py" for path in candidates]
    return [path for path in files if path.is_file()]
