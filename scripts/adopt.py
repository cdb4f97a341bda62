"""Rule adopt: take a model that another program unlearned. The checkpoint says if it does not fit the benchmark."""

from dataclasses import asdict
from pathlib import Path

from unlearning.data.batches import TensorData
from unlearning.models import build_model
from unlearning.runner.outcomes import MISFIT, Outcome
from unlearning.training.checkpoints import save_checkpoint
from unlearning.training.foreign import MisfitError, fitted, read_weights
from unlearning.workflow.checkpoint_job import record_of_data
from unlearning.workflow.job import cell_of, job
from unlearning.workflow.job_sources import dataset_of

wildcards, params = snakemake.wildcards, snakemake.params

with job(snakemake, "{method} on {benchmark}, seed {seed}".format(**cell_of(wildcards))):
    data = TensorData.read(dataset_of(snakemake), "cpu", **params.images)
    record = {**wildcards, **record_of_data(params, data), "width": params.width}
    state, outcome = read_weights(Path(snakemake.input.weights)), Outcome()
    try:
        model = build_model(wildcards.model, data.classes, data.channels, params.width)
        state = fitted(state, model, wildcards.model)
    except MisfitError as error:
        state, outcome = None, Outcome(MISFIT, f"{snakemake.input.weights}: {error}")
        print(outcome.reason)
    save_checkpoint(snakemake.output.checkpoint, state, record | {"outcome": asdict(outcome)})
