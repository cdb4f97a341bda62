"""Rule draw_sensitivity: every setting of a sweep, by method, for one benchmark."""

from unlearning.figures.output import save, styled
from unlearning.figures.sensitivity import sensitivity
from unlearning.files import read_table
from unlearning.workflow.job import job

inputs, benchmark = snakemake.input, snakemake.wildcards.benchmark

with job(snakemake, benchmark), styled(inputs.style):
    figure = sensitivity(read_table(inputs.sweep), benchmark)
    save(figure, dict(snakemake.output.items()))
