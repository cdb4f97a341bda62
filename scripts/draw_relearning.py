"""Rule draw_relearning: how soon fine-tuning brings the forget class back, for one benchmark."""

from unlearning.figures.output import save, styled
from unlearning.figures.relearning import curves_of, relearning
from unlearning.files import read_json, read_table
from unlearning.workflow.job import job

inputs, benchmark = snakemake.input, snakemake.wildcards.benchmark

with job(snakemake, benchmark), styled(inputs.style):
    curves = curves_of(map(read_json, inputs.relearned))
    figure = relearning(read_table(inputs.metrics), read_table(inputs.summary), curves, benchmark)
    save(figure, dict(snakemake.output.items()))
