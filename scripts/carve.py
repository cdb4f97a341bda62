"""Rule carve: a data set whose test part is taken from the training data, so that a sweep can choose by it."""

from unlearning.data.datasets import read_dataset
from unlearning.data.parts import carve
from unlearning.files import write_arrays
from unlearning.workflow.job import job
from unlearning.workflow.job_sources import dataset_of

params = snakemake.params

with job(snakemake, f"{params.share:.0%} of the training part of {snakemake.wildcards.dataset}"):
    data = read_dataset(dataset_of(snakemake), params.classes)
    write_arrays(snakemake.output.dataset, carve(vars(data), params.share))
