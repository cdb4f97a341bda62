"""Rule evaluate: the metrics of one cell of the table."""

import numpy as np

from unlearning.batches import TensorData
from unlearning.checkpoints import load_checkpoint
from unlearning.evaluation import evaluate_model
from unlearning.files import write_json
from unlearning.jobs import job, use_device

wildcards, params = snakemake.wildcards, snakemake.params
benchmark = f"{wildcards.model}-{wildcards.dataset}-class{wildcards.forget_class}"

with job(snakemake, f"{wildcards.method} on {benchmark}, seed {wildcards.seed}"):
    device = use_device(snakemake)
    data = TensorData.read(snakemake.input.dataset, params.classes, params.image_size, params.fit, device)
    model, _ = load_checkpoint(snakemake.input.checkpoint, device)
    cell = {"benchmark": benchmark, "method": wildcards.method, "seed": int(wildcards.seed)}
    write_json(snakemake.output.metrics, cell | evaluate_model(model, data, np.load(snakemake.input.split)))
