"""Rule pretrain: train the original model on the full training set."""

import numpy as np

from unlearning.data.batches import TensorData
from unlearning.training.loop import train_from_scratch
from unlearning.workflow.checkpoint_job import Trained, make_checkpoint, record_of_training, training_settings
from unlearning.workflow.job import job, use_device
from unlearning.workflow.job_sources import dataset_of

wildcards, params = snakemake.wildcards, snakemake.params
seed = int(wildcards.seed)

with job(snakemake, f"train {wildcards.model} on {wildcards.dataset}, seed {seed}") as cost:
    device = use_device(snakemake)
    data = TensorData.read(dataset_of(snakemake), device, **params.images)
    everything = (np.arange(len(data.train_labels)), np.arange(len(data.test_labels)))

    def train(savepoint):
        settings = training_settings(params)
        return Trained(*train_from_scratch(wildcards.model, data, settings, seed, *everything, savepoint))

    make_checkpoint(snakemake, cost, device, record_of_training(snakemake, data, "original"), train)
