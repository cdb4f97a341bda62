"""Rule evaluate: the metrics and scores of one cell of the table."""

from dataclasses import asdict

import numpy as np

from unlearning.batches import TensorData
from unlearning.checkpoints import load_checkpoint
from unlearning.evaluation import evaluate_model
from unlearning.files import write_arrays, write_json
from unlearning.jobs import cell_of, job, use_device
from unlearning.outcomes import Outcome

params, cell = snakemake.params, cell_of(snakemake.wildcards)

with job(snakemake, "{method} on {benchmark}, seed {seed}".format(**cell)):
    device = use_device(snakemake)
    model, record = load_checkpoint(snakemake.input.checkpoint, device)
    outcome, metrics, scores = Outcome(**record.get("outcome", {})), {}, {}
    if model is not None:
        data = TensorData.read(snakemake.input.dataset, params.classes, params.image_size, params.fit, device)
        outcome, metrics, scores = evaluate_model(
            model, data, np.load(snakemake.input.split), params.protocol, cell["seed"]
        )
    write_json(snakemake.output.metrics, cell | asdict(outcome) | metrics)
    write_arrays(snakemake.output.scores, scores)
