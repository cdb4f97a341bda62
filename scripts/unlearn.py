"""Rule unlearn: apply a method to the pretrained model. A mistake of the method is an outcome, not an error."""

from dataclasses import asdict
from functools import partial

from unlearning.data.batches import TensorData
from unlearning.files import read_arrays
from unlearning.runner.answers import probe_of
from unlearning.runner.interface import load_method
from unlearning.runner.look import look_every
from unlearning.runner.loop import unlearn
from unlearning.streams import generator, seed_global_streams
from unlearning.training.checkpoints import expected_of, load_checkpoint
from unlearning.training.precision import computing_in
from unlearning.workflow.checkpoint_job import Trained, make_checkpoint, record_of_unlearning
from unlearning.workflow.job import job, use_device
from unlearning.workflow.job_sources import dataset_of

wildcards, params = snakemake.wildcards, snakemake.params
seed = int(wildcards.seed)

with job(
    snakemake,
    f"{wildcards.method} on {wildcards.model}, {wildcards.dataset}, forget class {wildcards.forget_class}, seed {seed}",
) as cost:
    device = use_device(snakemake)
    data = TensorData.read(dataset_of(snakemake), device, **params.images)
    split = read_arrays(snakemake.input.split)
    expected = expected_of(dict(wildcards) | {"method": "original"})
    model, original = load_checkpoint(snakemake.input.checkpoint, device, expected)
    record = record_of_unlearning(snakemake, original, model)

    def train(savepoint):
        retain, forget = (
            data.unlearning_batches(split[f"{part}_train"], params.protocol, generator(seed, f"{part} batches"))
            for part in ("retain", "forget")
        )
        file = params.unwatched["method"]
        make_method = partial(load_method, file, params.unwatched["hyperparameters"])
        seed_global_streams(seed, "method", params.unwatched["draws_as"])
        with computing_in(params.unwatched["precision"], device):
            protocol, probe = params.protocol["unlearn"], probe_of(data, split)
            look = look_every(params.unwatched["evaluate_every"], model, data, split)
            done = unlearn(model, make_method, file, retain, forget, protocol, savepoint, probe, look)
        facts = {"outcome": asdict(done.outcome), "changed_weights": done.changed_weights}
        facts["answers_to_probe"] = done.answers
        is_ok = done.outcome.status == "ok"
        return Trained(model if is_ok else None, done.history, facts, {"steps": done.steps})

    make_checkpoint(snakemake, cost, device, record, train)
