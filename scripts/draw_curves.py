"""Rule draw_curves: accuracies epoch by epoch, for one benchmark."""

from unlearning.figures.curves import curves, read_history
from unlearning.figures.output import save, styled
from unlearning.files import read_table
from unlearning.paths import CELL_FILE
from unlearning.workflow.job import job

inputs, benchmark = snakemake.input, snakemake.wildcards.benchmark

with job(snakemake, benchmark), styled(inputs.style):
    histories = {"original": [read_history(path) for path in inputs.pretraining]}
    for path in inputs.histories:
        histories.setdefault(CELL_FILE.fullmatch(path)["method"], []).append(read_history(path))
    save(curves(read_table(inputs.metrics), histories, benchmark), dict(snakemake.output.items()))
