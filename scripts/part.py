"""Rule part: a data set with some training images of each class of another data set."""

from unlearning.data.datasets import read_dataset
from unlearning.data.parts import part_of
from unlearning.files import write_arrays
from unlearning.workflow.job import job
from unlearning.workflow.job_sources import dataset_of

params, name = snakemake.params, snakemake.wildcards.dataset

with job(snakemake, f"{name}: {params.part['per_class']} training images of each class of {params.original}"):
    data = read_dataset(dataset_of(snakemake), params.classes)
    write_arrays(snakemake.output.dataset, part_of(data, **params.part, where=f"datasets.{name}"))
