"""Rule evaluate: the metrics, scores and features of one cell of the table."""

from dataclasses import asdict

from unlearning.data.batches import TensorData
from unlearning.evaluation.cell import evaluate_model
from unlearning.evaluation.metrics import METRICS_FORMAT
from unlearning.files import read_arrays, write_arrays, write_json
from unlearning.runner.outcomes import Outcome
from unlearning.training.checkpoints import expected_of, load_checkpoint
from unlearning.workflow.job import cell_of, job, use_device
from unlearning.workflow.job_sources import dataset_of

params, cell = snakemake.params, cell_of(snakemake.wildcards)

with job(snakemake, "{method} on {benchmark}, seed {seed}".format(**cell)):
    device = use_device(snakemake)
    model, record = load_checkpoint(snakemake.input.checkpoint, device, expected_of(snakemake.wildcards))
    outcome, metrics, scores, features = Outcome(**record.get("outcome", {})), {}, {}, {}
    if model is not None:
        data = TensorData.read(dataset_of(snakemake), device, **params.images)
        split = read_arrays(snakemake.input.split)
        evaluation = evaluate_model(model, data, split, params.protocol, cell["seed"], record)
        outcome, metrics, scores, features = evaluation
    facts = {"format": METRICS_FORMAT, "classes": params.images["classes"]}
    facts |= {"changed_weights": record.get("changed_weights")}
    write_json(snakemake.output.metrics, cell | facts | asdict(outcome) | metrics)
    write_arrays(snakemake.output.scores, scores)
    write_arrays(snakemake.output.features, features)
