"""Rule dataset: put a data set in place, unless it is there already."""

import os
from pathlib import Path

from unlearning.data.sources import make_dataset
from unlearning.workflow.job import job

target = Path(snakemake.output[0])
terminal = os.fdopen(os.dup(2), "w")  # the job's output goes to its log


def report(line):
    """Tell the progress of a download in the log and, if somebody looks, on the terminal."""
    print(line, flush=True)
    if terminal.isatty():
        print(f"\r\033[K{target}: {line}", file=terminal, flush=True)  # over the last line of the run


with job(snakemake, f"make {target} from {snakemake.params.source}"):
    if target.exists():  # a forced run: a file that the user put there is never overwritten
        print(f"{target} is there and used as it is")
    else:
        make_dataset([snakemake.params.source, *snakemake.params.mirror], target, report)
