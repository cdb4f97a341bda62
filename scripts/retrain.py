"""Rule retrain: the oracle, trained from scratch like the original model, but on the retain set alone."""

from unlearning.data.batches import TensorData
from unlearning.files import read_arrays
from unlearning.training.loop import train_from_scratch
from unlearning.workflow.checkpoint_job import Trained, make_checkpoint, record_of_training, training_settings
from unlearning.workflow.job import job, use_device
from unlearning.workflow.job_sources import dataset_of

wildcards, params = snakemake.wildcards, snakemake.params
seed = int(wildcards.seed)

what = f"train {wildcards.model} on {wildcards.dataset} without class {wildcards.forget_class}, seed {seed}"

with job(snakemake, what) as cost:
    device = use_device(snakemake)
    data = TensorData.read(dataset_of(snakemake), device, **params.images)
    split = read_arrays(snakemake.input.split)
    retain = (split["retain_train"], split["retain_test"])

    def train(savepoint):
        settings = training_settings(params)
        return Trained(*train_from_scratch(wildcards.model, data, settings, seed, *retain, savepoint))

    make_checkpoint(snakemake, cost, device, record_of_training(snakemake, data, "retrain"), train)
