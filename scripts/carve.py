"""Rule carve: a data set whose test part is a part of the training data, for a sweep to judge by."""

from unlearning.config.variants import carve
from unlearning.data.datasets import read_dataset
from unlearning.files import write_arrays
from unlearning.workflow.job import job

params = snakemake.params

with job(snakemake, f"{params.share:.0%} of the training part of {snakemake.wildcards.dataset}"):
    data = read_dataset(snakemake.input.dataset, params.classes)
    write_arrays(snakemake.output.dataset, carve(vars(data), params.share))
