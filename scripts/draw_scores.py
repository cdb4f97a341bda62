"""Rule draw_scores: the score of each method, with its seeds and its spread, for one benchmark."""

from unlearning.figures.output import save, styled
from unlearning.figures.scores import scores
from unlearning.files import read_table
from unlearning.workflow.job import job

inputs, benchmark = snakemake.input, snakemake.wildcards.benchmark

with job(snakemake, benchmark), styled(inputs.style):
    metrics, summary, published = (read_table(inputs[name]) for name in ("metrics", "summary", "published"))
    published = published[published["benchmark"].isin(snakemake.params.as_published)]
    figure = scores(metrics, summary, published, benchmark)
    save(figure, dict(snakemake.output.items()))
