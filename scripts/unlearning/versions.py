"""The version of the project."""

from __future__ import annotations

import subprocess  # nosec B404: git, with fixed arguments
from pathlib import Path
from typing import Any


def commit_of(root: Path) -> dict[str, Any]:
    """Return commit and dirty of the project in ``root``. Both are None if it is not a repository of its own."""

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(root), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()  # nosec B603

    try:
        if Path(git("rev-parse", "--show-toplevel")) != root.resolve():
            raise FileNotFoundError("the project only lies somewhere in the repository of another")
        return {"commit": git("rev-parse", "HEAD"), "dirty": bool(git("status", "--porcelain"))}
    except (OSError, subprocess.CalledProcessError):
        return {"commit": None, "dirty": None}
