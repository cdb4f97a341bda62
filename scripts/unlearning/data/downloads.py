"""One file from one of several addresses: its progress is told, and a broken download goes on where it broke off."""

from __future__ import annotations

import hashlib
import http.client
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path
from urllib.error import HTTPError

CHUNK = 1 << 16
SILENCE = 60.0
"""Seconds after which a server that sends nothing is given up."""

STEP = 0.1
"""The share of a file between two lines about its progress."""

RANGE_NOT_SATISFIABLE = 416
FROM_THERE = 206


class BrokenError(Exception):
    """A download that did not succeed. The message says at which address, and why."""


def fetch(urls: Sequence[str], md5: str, target: Path, report: Callable[[str], None]) -> None:
    """Write the file with the checksum ``md5`` as ``target``, from the first of ``urls`` that has it.

    What has come stays next to ``target`` as NAME.part, and the next call goes on from there: the checksum says whether
    all of it belongs together. Raises BrokenError, with the reason at each address, if no address gives the whole file.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    part, reasons = target.with_name(f"{target.name}.part"), []
    for url in urls:
        try:
            _append(url, part, report)
            _check(url, part, md5)
        except (OSError, http.client.HTTPException, BrokenError) as error:
            reasons.append(f"{url}: {' '.join(str(error).split()) or type(error).__name__}")
            report(f"broken off: {reasons[-1]}")
            continue
        part.replace(target)
        return
    raise BrokenError("; ".join(reasons))


def _append(url: str, part: Path, report: Callable[[str], None]) -> None:
    """Append to ``part`` what is still missing of the file at ``url``. A server that cannot do that sends all of it."""
    start = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(url, headers={"User-Agent": "unlearning-bench"})
    if start:
        request.add_header("Range", f"bytes={start}-")
    try:
        with urllib.request.urlopen(request, timeout=SILENCE) as answer:  # nosec B310: the schema takes http(s) alone
            goes_on = answer.status == FROM_THERE and answer.headers.get("Content-Range", "").startswith(
                f"bytes {start}-"
            )
            start = start if goes_on else 0
            length = answer.headers.get("Content-Length")
            total = start + int(length) if length else None
            with part.open("ab" if goes_on else "wb") as file:
                _copy(answer, file, start, total, f"{url.rsplit('/', 1)[-1]}: ", report)
    except HTTPError as error:
        if error.code != RANGE_NOT_SATISFIABLE:  # then the file is whole already, as the checksum will tell
            raise


def _copy(answer, file, done: int, total: int | None, name: str, report: Callable[[str], None]) -> None:
    report(f"{name}{'going on at' if done else 'from'} {_megabytes(done)} of {_megabytes(total)}")
    told = done
    while chunk := answer.read(CHUNK):
        file.write(chunk)
        done += len(chunk)
        if total and (done - told >= STEP * total or done == total):
            told = done
            report(f"{name}{_megabytes(done)} of {_megabytes(total)} ({done / total:.0%})")
    if total is not None and done < total:
        raise BrokenError(f"the connection ended after {_megabytes(done)} of {_megabytes(total)}")


def _megabytes(count: int | None) -> str:
    return "unknown size" if count is None else f"{count / 1e6:.1f} MB"


def _check(url: str, part: Path, md5: str) -> None:
    with part.open("rb") as file:
        found = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
    if found != md5:
        part.unlink()
        raise BrokenError(f"its checksum is {found}, not {md5}; what was downloaded is deleted")
