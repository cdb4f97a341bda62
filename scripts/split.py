"""Rule split: the indices of the retain and the forget set, in train and in test."""

import numpy as np

from unlearning.datasets import class_split, read_labels
from unlearning.files import whole_file
from unlearning.jobs import job

wildcards, params = snakemake.wildcards, snakemake.params

with job(snakemake, f"split {wildcards.dataset}, forget class {wildcards.forget_class}"):
    train_labels, test_labels = read_labels(snakemake.input.dataset, params.classes)
    split = class_split(train_labels, test_labels, int(wildcards.forget_class))
    with whole_file(snakemake.output.split) as partial, partial.open("wb") as file:
        np.savez(file, **split)
    print({name: len(indices) for name, indices in split.items()})
