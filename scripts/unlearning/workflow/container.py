"""The container of the jobs, for those who run with --sdm apptainer."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from unlearning.errors import UserError
from unlearning.watched_code import SCRIPTS

IMAGE = SCRIPTS.parent / "envs" / "unlearning.sif"
DEFINITION = IMAGE.with_suffix(".def")


def check_container(asked: Iterable[Any], image: Path = IMAGE) -> None:
    """Raise UserError if jobs shall run in a container, and there is no program or no ``image`` for it.

    ``asked`` are Snakemake's deployment methods, whose texts are the words after --sdm. Snakemake itself looks at the
    program alone, and after the plan: without an image, each job would end with an error of its own.
    """
    methods = {str(method) for method in asked}
    if "apptainer" not in methods:
        return
    if "conda" in methods:
        raise UserError("--sdm: conda and apptainer stand together, but the image has no conda; write one of the two")
    if not (shutil.which("apptainer") or shutil.which("singularity")):
        raise UserError("--sdm apptainer: there is no command apptainer or singularity; install it, or leave --sdm out")
    if not image.is_file():
        raise UserError(
            f"--sdm apptainer: {image} is not there; build it in {image.parents[1]}: "
            f"apptainer build envs/{image.name} envs/{DEFINITION.name}"
        )
