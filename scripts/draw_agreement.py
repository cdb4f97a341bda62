"""Rule draw_agreement: whether the metrics put the methods into the same order, for one benchmark."""

from unlearning.figures.agreement import agreement
from unlearning.figures.output import save, styled
from unlearning.files import read_table
from unlearning.workflow.job import job

inputs, benchmark = snakemake.input, snakemake.wildcards.benchmark

with job(snakemake, benchmark), styled(inputs.style):
    figure = agreement(read_table(inputs.agreement), benchmark)
    save(figure, dict(snakemake.output.items()))
