"""Rule draw_routing: the classes that each model names for images of the forget class, for one benchmark."""

from unlearning.figures.output import save, styled
from unlearning.figures.routing import routing
from unlearning.files import read_json, read_table
from unlearning.workflow.job import job

inputs, benchmark = snakemake.input, snakemake.wildcards.benchmark

with job(snakemake, benchmark), styled(inputs.style):
    figure = routing(read_table(inputs.metrics), map(read_json, inputs.compared), benchmark)
    save(figure, dict(snakemake.output.items()))
