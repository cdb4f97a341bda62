"""Rule train_shadow: one shadow model of U-LiRA, trained on the retain set and on one half of the forget class."""

import numpy as np

from unlearning.data.batches import TensorData
from unlearning.evaluation.ulira import forget_pool, shadow_members_of
from unlearning.files import read_arrays, write_arrays
from unlearning.seeds import stream_seed
from unlearning.training.loop import train_from_scratch
from unlearning.training.prediction import predict_logits
from unlearning.workflow.checkpoint_job import Trained, make_checkpoint, record_of_training, training_settings
from unlearning.workflow.job import job, use_device
from unlearning.workflow.job_sources import dataset_of

wildcards, params = snakemake.wildcards, snakemake.params
shadow = int(wildcards.shadow)

what = f"{wildcards.reference}, {wildcards.model} on {wildcards.dataset}, shadow model {shadow}"

with job(snakemake, what) as cost:
    device = use_device(snakemake)
    data = TensorData.read(dataset_of(snakemake), device, **params.images)
    split = read_arrays(snakemake.input.split)
    pool = forget_pool(split, len(data.train_labels))
    on = split["retain_train"]
    if wildcards.reference == "original":
        members = shadow_members_of(split, len(data.train_labels), shadow, params.shadows)
        on = np.concatenate([on, members])
    pooled, parts = data.pooled(), (on, split["retain_test"])

    def train(savepoint):
        settings, seed = training_settings(params), stream_seed(shadow, "shadow model")
        return Trained(*train_from_scratch(wildcards.model, pooled, settings, seed, *parts, savepoint))

    record = record_of_training(snakemake, data, wildcards.reference) | {"shadow_models": params.shadows}
    model = make_checkpoint(snakemake, cost, device, record, train)
    logits = predict_logits(model, pooled.train_images[pool], pooled.normalisation)
    write_arrays(snakemake.output.logits, {"logits": logits.numpy()})
