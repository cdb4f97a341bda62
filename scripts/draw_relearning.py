"""Rule draw_relearning: how soon fine-tuning brings the forget class back, for one benchmark."""

from unlearning.figures.output import save, styled
from unlearning.figures.relearning import relearning
from unlearning.files import read_table
from unlearning.workflow.job import job

inputs, benchmark = snakemake.input, snakemake.wildcards.benchmark

with job(snakemake, benchmark), styled(inputs.style):
    figure = relearning(read_table(inputs.metrics), read_table(inputs.summary), benchmark)
    save(figure, dict(snakemake.output.items()))
