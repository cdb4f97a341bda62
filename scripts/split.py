"""Rule split: the indices of the retain set and the forget set, in the training and the test images."""

from unlearning.data.datasets import class_split, read_labels
from unlearning.files import write_arrays
from unlearning.workflow.job import job
from unlearning.workflow.job_sources import dataset_of

wildcards, params = snakemake.wildcards, snakemake.params

with job(snakemake, f"split {wildcards.dataset}, forget class {wildcards.forget_class}"):
    train_labels, test_labels = read_labels(dataset_of(snakemake), params.classes)
    split = class_split(train_labels, test_labels, int(wildcards.forget_class))
    write_arrays(snakemake.output.split, split)
    print({name: len(indices) for name, indices in split.items()})
