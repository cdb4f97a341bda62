"""Rule train_shadow: one shadow model of U-LiRA, trained on the retain set and on its half of the forget class."""

import numpy as np

from unlearning.data.batches import TensorData
from unlearning.evaluation.ulira import forget_pool, shadow_members_of
from unlearning.files import read_arrays, write_arrays
from unlearning.streams import stream_seed
from unlearning.training.checkpoints import save_checkpoint
from unlearning.training.loop import predict_logits, train_from_scratch
from unlearning.training.savepoint import Savepoint
from unlearning.workflow.job import job, use_device

wildcards, params = snakemake.wildcards, snakemake.params
shadow = int(wildcards.shadow)

with job(snakemake, f"{wildcards.reference}, {wildcards.model} on {wildcards.dataset}, shadow model {shadow}"):
    device = use_device(snakemake)
    data = TensorData.read(snakemake.input.dataset, device, **params.images)
    split = read_arrays(snakemake.input.split)
    pool = forget_pool(split, len(data.train_labels))
    train = split["retain_train"]
    if wildcards.reference == "original":
        members = shadow_members_of(split, len(data.train_labels), shadow, params.shadows)
        train = np.concatenate([train, members])
    data = data.pooled()
    seed = stream_seed(shadow, "shadow model")
    parts = (train, split["retain_test"])
    savepoint = Savepoint.of_job(snakemake, device)
    model, _ = train_from_scratch(wildcards.model, data, params.training, seed, *parts, savepoint)
    record = dict(wildcards) | params.training | {"classes": data.classes, "channels": data.channels}
    save_checkpoint(snakemake.output.checkpoint, model, record)
    logits = predict_logits(model, data.train_images[pool], data.normalisation)
    write_arrays(snakemake.output.logits, {"logits": logits.numpy()})
