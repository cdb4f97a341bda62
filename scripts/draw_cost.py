"""Rule draw_cost: the seconds of each method, against its score and its distance to the oracle, for one benchmark."""

from unlearning.figures.cost import cost
from unlearning.figures.output import save, styled
from unlearning.files import read_table
from unlearning.workflow.job import job

inputs, benchmark = snakemake.input, snakemake.wildcards.benchmark

with job(snakemake, benchmark), styled(inputs.style):
    figure = cost(*(read_table(inputs[name]) for name in ("metrics", "costs", "floor")), benchmark)
    save(figure, dict(snakemake.output.items()))
