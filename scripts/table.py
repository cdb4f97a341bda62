"""Rule table: render results/table.md."""

import pandas

from unlearning.files import write_text
from unlearning.jobs import job
from unlearning.tables import render_table

with job(snakemake, f"suite {snakemake.params.suite}"):
    metrics, costs = (pandas.read_csv(path) for path in (snakemake.input.metrics, snakemake.input.costs))
    write_text(snakemake.output.table, render_table(metrics, costs, snakemake.params.suite))
