"""Check that a job's code and data set are still the same as when Snakemake computed the job's parameters."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

from unlearning.data.datasets import DataFile
from unlearning.errors import UserError
from unlearning.files import write_text
from unlearning.paths import DATASETS, KNOWN_DIGEST
from unlearning.watched_code import SCRIPTS, code_of, digest_of_file, meanings_of


def check_code(snakemake: Any) -> None:
    """Raise UserError if the job's code has changed its meaning since the job's parameters were computed.

    Without this check, the result of the changed file would be taken for the result of the old file.
    """
    params = snakemake.params
    now = [*meanings_of(code_of(SCRIPTS / f"{snakemake.rule}.py")), *meanings_of(code_of_method(params))]
    known = [*(each for each in params if isinstance(each, str)), *params.get("method_code", [])]
    changed = sorted(set(now) - set(known))
    if changed:
        raise UserError(f"the code of this job changed while it was starting ({changed[0].split()[0]}); run again")


def code_of_method(params: Any) -> list[Path]:
    """Return the method's file and the project files that it imports. The list is empty for a job without a method."""
    file = params.unwatched.get("method")
    return code_of(Path(file)) if file else []


def dataset_of(snakemake: Any) -> DataFile:
    """Return the data set's file. Raises UserError if its digest is not the digest in the job's parameters.

    A file that was there when the first results were made, but is gone now, is fetched again. Its digest is written
    down, so that even without the file it is known that nothing has changed.
    """
    unwatched = snakemake.params.unwatched
    file, source, digest = Path(unwatched["dataset"]), unwatched.get("source"), snakemake.params.data
    if not file.exists() and source:
        # No import statement, so that the job does not depend on the module: the digest shows whether the data are the
        # same.
        importlib.import_module("unlearning.data.sources").make_dataset(source, file)
    if not file.exists():
        raise UserError(f"{file}: no such file")
    if digest_of_file(file) != digest:
        raise UserError(f"the data of this job changed while it was starting ({file}); run again")
    note = Path(KNOWN_DIGEST.format(dataset=file.stem))
    if not note.exists() or note.read_text(encoding="utf-8") != digest:
        write_text(note, digest)
    is_a_result = file.is_relative_to(DATASETS)  # a part of another data set
    return DataFile(file, unwatched["largest_gb"], comes_again=bool(source) or is_a_result)
