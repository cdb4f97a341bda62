"""The code and the data set of a job, as they were when Snakemake worked out what the job depends on."""

from __future__ import annotations

import fcntl
import importlib
from pathlib import Path
from typing import Any

from unlearning.data.datasets import DataFile
from unlearning.errors import UserError
from unlearning.files import write_text
from unlearning.watched_code import SCRIPTS, code_of, digest_of_file, meanings_of
from unlearning.workflow.paths import KNOWN_DIGEST


def check_code(snakemake: Any) -> None:
    """Raise UserError if the files that the job runs no longer mean what they did when its parameters were worked out.

    Or what the changed file gives would be taken for what the file before it gives.
    """
    params = snakemake.params
    now = [*meanings_of(code_of(SCRIPTS / f"{snakemake.rule}.py")), *meanings_of(code_of_method(params))]
    known = [*(each for each in params if isinstance(each, str)), *params.get("method_code", [])]
    changed = sorted(set(now) - set(known))
    if changed:
        raise UserError(f"the code of this job changed while it was starting ({changed[0].split()[0]}); run again")


def code_of_method(params: Any) -> list[Path]:
    """Return the method's file and what it imports of the project; nothing for a job without a method."""
    file = params.unwatched.get("method")
    return code_of(Path(file)) if file else []


def dataset_of(snakemake: Any) -> DataFile:
    """Return the data set's file. Raises UserError if its bytes are not those that the job's parameters are about.

    A file that was there when the results were begun, and is gone, is fetched again. Its digest is noted, so that
    without the file it is still known that nothing has changed.
    """
    unwatched = snakemake.params.unwatched
    file, source, digest = Path(unwatched["dataset"]), unwatched.get("source"), snakemake.params.data
    if not file.exists() and source:
        _fetch(source, file)
    if not file.exists():
        raise UserError(f"{file}: no such file")
    if digest_of_file(file) != digest:
        raise UserError(f"the data of this job changed while it was starting ({file}); run again")
    note = Path(KNOWN_DIGEST.format(dataset=file.stem))
    if not note.exists() or note.read_text(encoding="utf-8") != digest:
        write_text(note, digest)
    return DataFile(file, unwatched["largest_gb"], comes_again=bool(source))


def _fetch(source: str, file: Path) -> None:
    """Make the file, unless another job does so at this moment: then wait for it."""
    file.parent.mkdir(parents=True, exist_ok=True)
    lock = file.with_name(f".{file.name}.lock")
    with lock.open("a") as waiting:
        fcntl.flock(waiting, fcntl.LOCK_EX)
        if not file.exists():
            # No import that makes the job depend on it: the digest says whether the same data came of it.
            importlib.import_module("unlearning.data.sources").make_dataset(source, file)
    lock.unlink(missing_ok=True)
