"""Rule relearn: how many epochs of fine-tuning bring the forget class back to one cell's model."""

from unlearning.data.batches import TensorData
from unlearning.evaluation.relearning import relearning_epochs
from unlearning.files import read_arrays, read_json, write_json
from unlearning.streams import seed_global_streams
from unlearning.training.checkpoints import expected_of, load_checkpoint
from unlearning.workflow.job import cell_of, job, use_device
from unlearning.workflow.job_sources import dataset_of

params, cell = snakemake.params, cell_of(snakemake.wildcards)

with job(snakemake, "{method} on {benchmark}, seed {seed}".format(**cell)):
    device = use_device(snakemake)
    model, _ = load_checkpoint(snakemake.input.checkpoint, device, expected_of(snakemake.wildcards))
    original = read_json(snakemake.input.original)
    epochs = None
    if model is not None and original["status"] == "ok":
        data = TensorData.read(dataset_of(snakemake), device, **params.images)
        split = read_arrays(snakemake.input.split)
        seed_global_streams(cell["seed"], "relearning")
        epochs = relearning_epochs(model, data, split, params.protocol, original["forget_acc"] / 2, cell["seed"])
    write_json(snakemake.output.relearning, cell | {"relearn_epochs": epochs})
