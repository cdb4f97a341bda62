"""Rule draw_tradeoff: what each method keeps, against what the attack finds, for one benchmark."""

from unlearning.figures.output import save, styled
from unlearning.figures.tradeoff import tradeoff
from unlearning.files import read_table
from unlearning.workflow.job import job

inputs, benchmark = snakemake.input, snakemake.wildcards.benchmark

with job(snakemake, benchmark), styled(inputs.style):
    metrics, published = read_table(inputs.metrics), read_table(inputs.published)
    published = published[published["benchmark"].isin(snakemake.params.as_published)]
    figure = tradeoff(metrics, published, benchmark)
    save(figure, dict(snakemake.output.items()))
