"""Files that are either whole or absent: written under a temporary name, then renamed."""

from __future__ import annotations

import csv
import json
import os
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from unlearning.clocks import spent_on
from unlearning.errors import UserError


@contextmanager
def whole_file(path: str | os.PathLike) -> Iterator[Path]:
    """Yield a temporary path next to ``path``, and rename it to ``path`` if the block ends without an error."""
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{target.name}.{os.getpid()}.partial")
    try:
        yield partial
        partial.replace(target)
    except OSError as error:
        error.filename = os.fspath(target)  # a failed write does not name the file
        raise
    finally:
        partial.unlink(missing_ok=True)


@spent_on("files")
def write_text(path: str | os.PathLike, text: str) -> None:
    """Write ``text`` as UTF-8 with Unix line ends."""
    with whole_file(path) as partial:
        partial.write_text(text, encoding="utf-8", newline="\n")


@spent_on("files")
def write_json(path: str | os.PathLike, content: Mapping[str, Any]) -> None:
    """Write ``content`` as indented JSON and keep the order of keys. NaN and infinity are refused (ValueError)."""
    write_text(path, json.dumps(content, indent=2, allow_nan=False) + "\n")


@spent_on("files")
def read_json(path: str | os.PathLike) -> dict[str, Any]:
    """Read one JSON object of ours. Raises UserError if the file is damaged."""
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
    except ValueError as error:
        raise UserError(f"{path}: damaged ({error}); delete it to have it made again") from None
    if not isinstance(content, dict):
        raise UserError(f"{path}: damaged (no JSON object); delete it to have it made again")
    return content


@spent_on("files")
def read_table(path: str | os.PathLike) -> Any:
    """Read a CSV file as a pandas.DataFrame. Only an empty field is missing, so that a method may be named "nan"."""
    import pandas

    return pandas.read_csv(path, keep_default_na=False, na_values=[""])


@spent_on("files")
def write_arrays(path: str | os.PathLike, arrays: Mapping[str, Any]) -> None:
    """Write NumPy arrays by name as .npz; the same arrays give the same bytes."""
    import numpy as np

    with whole_file(path) as partial, partial.open("wb") as file:
        np.savez(file, **arrays)


@spent_on("files")
def read_arrays(path: str | os.PathLike) -> dict[str, Any]:
    """Read all NumPy arrays of a .npz file of ours. Raises UserError if the file is damaged or holds Python objects."""
    import numpy as np

    try:
        with np.load(path, allow_pickle=False) as file:
            return dict(file)
    except FileNotFoundError:
        raise
    except (OSError, ValueError, TypeError, AttributeError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise UserError(f"{path}: damaged ({reason}); delete it to have it made again") from None


@spent_on("files")
def write_csv(path: str | os.PathLike, rows: Sequence[Mapping[str, Any]], columns: Sequence[str] = ()) -> None:
    """Write rows under ``columns``, then their further keys in order of appearance; a missing value is left empty."""
    columns = list(dict.fromkeys([*columns, *(key for row in rows for key in row)]))
    with whole_file(path) as partial, partial.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
