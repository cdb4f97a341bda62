"""Rule unlearn: apply an update rule to the pretrained model. What the rule does wrong is an outcome, not an error."""

from dataclasses import asdict
from functools import partial

from unlearning.data.batches import TensorData
from unlearning.files import read_arrays, write_csv
from unlearning.runner.loop import load_method, unlearn
from unlearning.streams import generator, seed_global_streams
from unlearning.training.checkpoints import load_checkpoint, save_checkpoint
from unlearning.training.precision import computing_in, precision_on
from unlearning.training.savepoint import Savepoint
from unlearning.workflow.job import job, use_device

wildcards, params = snakemake.wildcards, snakemake.params
seed = int(wildcards.seed)

with job(
    snakemake,
    f"{wildcards.method} on {wildcards.model}, {wildcards.dataset}, forget class {wildcards.forget_class}, seed {seed}",
) as cost:
    device = use_device(snakemake)
    data = TensorData.read(snakemake.input.dataset, device, **params.images)
    split = read_arrays(snakemake.input.split)
    retain, forget = (
        data.unlearning_batches(split[f"{part}_train"], params.protocol, generator(seed, f"{part} batches"))
        for part in ("retain", "forget")
    )
    model, record = load_checkpoint(snakemake.input.checkpoint, device, snakemake.wildcards)
    make_rule = partial(load_method, snakemake.input.method, params.hyperparameters)
    seed_global_streams(seed, "method", wildcards.method)
    savepoint = Savepoint.of_job(snakemake, device)
    precision = precision_on(device, params.protocol["precision"])
    with computing_in(precision, device):
        done = unlearn(model, make_rule, snakemake.input.method, retain, forget, params.protocol["unlearn"], savepoint)
    cost |= {"training_seconds": round(savepoint.seconds, 3), "steps": done.steps, "precision": precision}
    unlearning = {
        "hyperparameters": params.hyperparameters,
        "unlearning_protocol": params.protocol,
        "outcome": asdict(done.outcome),
    }
    is_ok = done.outcome.status == "ok"
    save_checkpoint(snakemake.output.checkpoint, model if is_ok else None, record | dict(wildcards) | unlearning)
    write_csv(snakemake.output.history, done.history)
