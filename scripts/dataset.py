"""Rule dataset: put a data set in place, unless it is there already."""

from pathlib import Path

from unlearning.data.sources import make_dataset
from unlearning.workflow.job import job

target = Path(snakemake.output[0])

with job(snakemake, f"make {target} from {snakemake.params.source}"):
    if target.exists():  # a forced run: a file that the user put there is never overwritten
        print(f"{target} is there and used as it is")
    else:
        make_dataset(snakemake.params.source, target)
