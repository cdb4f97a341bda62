"""Rule unlearn_shadow: apply an update rule to a shadow model of U-LiRA, which forgets its half of the forget class."""

from functools import partial

import numpy as np

from unlearning.data.batches import TensorData
from unlearning.evaluation.ulira import forget_pool, shadow_members_of
from unlearning.files import read_arrays, write_arrays
from unlearning.runner.loop import load_method, unlearn
from unlearning.streams import generator, seed_global_streams, stream_seed
from unlearning.training.checkpoints import load_checkpoint, rebuild
from unlearning.training.loop import predict_logits
from unlearning.training.precision import computing_in
from unlearning.training.savepoint import Savepoint
from unlearning.workflow.job import job, use_device

wildcards, params = snakemake.wildcards, snakemake.params
shadow = int(wildcards.shadow)

with job(snakemake, f"{wildcards.method}, {wildcards.model} on {wildcards.dataset}, shadow model {shadow}"):
    device = use_device(snakemake)
    data = TensorData.read(snakemake.input.dataset, device, **params.images)
    split = read_arrays(snakemake.input.split)
    pool = forget_pool(split, len(data.train_labels))
    members = shadow_members_of(split, len(data.train_labels), shadow, params.shadows)
    data, seed = data.pooled(), stream_seed(shadow, "shadow model")
    retain = data.unlearning_batches(split["retain_train"], params.protocol, generator(seed, "retain batches"))
    forget = data.unlearning_batches(members, params.protocol, generator(seed, "forget batches"))
    model, record = load_checkpoint(snakemake.input.checkpoint, device, snakemake.wildcards)
    make_rule = partial(load_method, snakemake.input.method, params.hyperparameters)
    seed_global_streams(seed, "method", wildcards.method)
    savepoint = Savepoint.of_job(snakemake, device)
    with computing_in(params.protocol["precision"], device):
        done = unlearn(model, make_rule, snakemake.input.method, retain, forget, params.protocol["unlearn"], savepoint)
    answer = {"failure": np.array(done.outcome.reason)}
    if done.outcome.status == "ok":
        unlearned = rebuild(model.state_dict(), record).to(device)  # as the attacked model comes from its checkpoint
        answer = {"logits": predict_logits(unlearned, data.train_images[pool], data.normalisation).numpy()}
    write_arrays(snakemake.output.logits, answer)
