"""Where a table comes from: the code, the configuration, the versions and the devices behind it."""

from __future__ import annotations

import hashlib
import json
import platform
import subprocess  # nosec B404: git, with fixed arguments
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from unlearning.watched_code import SCRIPTS

PACKAGES = ("torch", "torchvision", "snakemake", "numpy", "scipy", "pandas", "scikit-learn")
OF_THE_MACHINE = ("device",)
"""Settings that change no result on the same kind of device."""


def provenance(config: Mapping[str, Any], costs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the contents of provenance.json for a run with ``config``; ``costs`` are those of its jobs.

    ``commit`` and ``dirty`` (whether any file differs from the commit, or is unknown to it) are those of the time when
    the table was made, None outside of a git repository. The digest does not depend on the order of keys.
    """
    settings = {key: value for key, value in config.items() if key not in OF_THE_MACHINE}
    text = json.dumps(settings, sort_keys=True)
    return {
        **commit_of(SCRIPTS.parent),
        "config_sha256": hashlib.sha256(text.encode()).hexdigest(),
        "config": json.loads(text),
        "versions": {"python": platform.python_version()} | {package: _version(package) for package in PACKAGES},
        "jobs": {name: sorted({str(cost[name]) for cost in costs}) for name in ("device", "torch", "python")},
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:  # as Snakemake in the environments that it makes for its jobs
        return None


def commit_of(root: Path) -> dict[str, Any]:
    """Return commit and dirty of the project in ``root``, None outside of a repository of its own."""

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(root), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()  # nosec B603

    try:
        if Path(git("rev-parse", "--show-toplevel")) != root.resolve():
            raise FileNotFoundError("the project only lies somewhere in the repository of another")
        return {"commit": git("rev-parse", "HEAD"), "dirty": bool(git("status", "--porcelain"))}
    except (OSError, subprocess.CalledProcessError):
        return {"commit": None, "dirty": None}
