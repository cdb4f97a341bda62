"""Rule unlearn_shadow: apply a method to a shadow model of U-LiRA, to forget its half of the forget class."""

import json
from functools import partial
from pathlib import Path

import numpy as np

from unlearning.data.batches import TensorData
from unlearning.evaluation.ulira import forget_pool, shadow_members_of
from unlearning.files import read_arrays, write_arrays
from unlearning.runner.answers import answers_to, differs_from_its_weights, probe_of
from unlearning.runner.interface import load_method
from unlearning.runner.loop import unlearn
from unlearning.seeds import stream_seed
from unlearning.streams import generator, seed_global_streams
from unlearning.training.checkpoints import load_checkpoint, rebuild
from unlearning.training.precision import computing_in, precision_on
from unlearning.training.prediction import predict_logits
from unlearning.workflow.carrying import UNKNOWN, carried_logits
from unlearning.workflow.checkpoint_job import record_of_unlearning, savepoint_of
from unlearning.workflow.job import job, use_device
from unlearning.workflow.job_sources import dataset_of

wildcards, params = snakemake.wildcards, snakemake.params
shadow = int(wildcards.shadow)

with job(snakemake, f"{wildcards.method}, {wildcards.model} on {wildcards.dataset}, shadow model {shadow}") as cost:
    device = use_device(snakemake)
    data = TensorData.read(dataset_of(snakemake), device, **params.images)
    split = read_arrays(snakemake.input.split)
    pool = forget_pool(split, len(data.train_labels))
    members = shadow_members_of(split, len(data.train_labels), shadow, params.shadows)
    data, seed = data.pooled(), stream_seed(shadow, "shadow model")
    named = ("model", "dataset", "forget_class", "shadow")
    expected = {name: wildcards[name] for name in named} | {"method": "original"}
    model, original = load_checkpoint(snakemake.input.checkpoint, device, expected)
    record = record_of_unlearning(snakemake, original, model)
    logits = carried_logits(snakemake.config.get("checkpoints"), Path(snakemake.output.logits), record, device)
    answer = {"logits": logits}
    if logits is not None:
        cost["carried"] = UNKNOWN
    else:
        retain, forget = (
            data.unlearning_batches(chosen, params.protocol, generator(seed, f"{part} batches"))
            for part, chosen in {"retain": split["retain_train"], "forget": members}.items()
        )
        file = params.unwatched["method"]
        make_method = partial(load_method, file, params.unwatched["hyperparameters"])
        seed_global_streams(seed, "method", wildcards.method)
        with computing_in(params.unwatched["precision"], device):
            protocol, savepoint = params.protocol["unlearn"], savepoint_of(snakemake, device)
            probe = probe_of(data, split)
            done = unlearn(model, make_method, file, retain, forget, protocol, savepoint, probe)
        record["computed_in"] = cost["precision"] = precision_on(device, params.unwatched["precision"])
        cost["training_seconds"] = round(savepoint.seconds, 3)
        unlearned = rebuild(model.state_dict(), record).to(device)  # weights alone, like the attacked model
        failure = done.outcome.reason
        if done.outcome.status == "ok":
            failure = differs_from_its_weights(done.answers, answers_to(unlearned, probe))
        answer = {"failure": np.array(failure)}
        if failure is None:
            answer = {"logits": predict_logits(unlearned, data.train_images[pool], data.normalisation).numpy()}
    write_arrays(snakemake.output.logits, answer | {"made_by": np.array(json.dumps(record))})
