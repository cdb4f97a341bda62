"""Rule relearn: how many epochs of fine-tuning bring the forget class back to one cell's model."""

from unlearning.data.batches import TensorData
from unlearning.evaluation.on_request import FORMATS
from unlearning.evaluation.relearning import accuracies_before, fresh_model, relearning, retain_relearned_accuracy
from unlearning.files import read_arrays, write_json
from unlearning.streams import seed_global_streams
from unlearning.training.checkpoints import expected_of, load_checkpoint
from unlearning.workflow.job import cell_of, job, use_device
from unlearning.workflow.job_sources import dataset_of

params, cell = snakemake.params, cell_of(snakemake.wildcards)
seed, of_original = cell["seed"], dict(snakemake.wildcards) | {"method": "original"}

with job(snakemake, "{method} on {benchmark}, seed {seed}".format(**cell)):
    device = use_device(snakemake)
    model, record = load_checkpoint(snakemake.input.checkpoint, device, expected_of(snakemake.wildcards))
    found = {"relearn_epochs": None}
    if model is not None:
        data = TensorData.read(dataset_of(snakemake), device, **params.images)
        setting = (data, read_arrays(snakemake.input.split), params.protocol)
        original, _ = load_checkpoint(snakemake.input.original, device, expected_of(of_original))
        before = accuracies_before(original, *setting[:2])
        if before is not None:
            seed_global_streams(seed, "relearning")
            found |= relearning(model, *setting, before, seed)
            if params.retain:
                found["retain_relearned_acc"] = retain_relearned_accuracy(model, *setting, seed)
            if cell["method"] == "original":  # once per benchmark and seed
                random = fresh_model(record, *setting, seed)
                of_random = relearning(random, *setting, before, seed)
                found["relearn_epochs_random"] = of_random["relearn_epochs"]
                found["curves"]["relearn_epochs_random"] = of_random["curves"]["relearn_epochs_as_is"]
    write_json(snakemake.output.relearning, cell | {"format": FORMATS["relearning.json"]} | found)
