"""Rule retrain: the oracle, trained from scratch on the retain set exactly as the original model was on everything."""

from unlearning.data.batches import TensorData
from unlearning.files import read_arrays, write_csv
from unlearning.training.checkpoints import save_checkpoint
from unlearning.training.loop import train_from_scratch
from unlearning.training.precision import precision_on
from unlearning.training.savepoint import Savepoint
from unlearning.workflow.job import job, use_device

wildcards, params = snakemake.wildcards, snakemake.params
seed = int(wildcards.seed)

what = f"train {wildcards.model} on {wildcards.dataset} without class {wildcards.forget_class}, seed {seed}"

with job(snakemake, what) as cost:
    device = use_device(snakemake)
    data = TensorData.read(snakemake.input.dataset, device, **params.images)
    split = read_arrays(snakemake.input.split)
    retain = (split["retain_train"], split["retain_test"])
    savepoint = Savepoint.of_job(snakemake, device)
    model, history = train_from_scratch(wildcards.model, data, params.training, seed, *retain, savepoint)
    precision = precision_on(device, params.training["protocol"]["precision"])
    cost |= {"training_seconds": round(savepoint.seconds, 3), "precision": precision}
    record = dict(wildcards) | params.training | {"classes": data.classes, "channels": data.channels}
    save_checkpoint(snakemake.output.checkpoint, model, record)
    write_csv(snakemake.output.history, history)
