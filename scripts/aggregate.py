"""Rule aggregate: one row a cell in metrics.csv, one row a job in costs.csv."""

from unlearning.files import read_json, write_csv
from unlearning.jobs import job

with job(snakemake, f"{len(snakemake.input.metrics)} cells, {len(snakemake.input.costs)} jobs"):
    write_csv(snakemake.output.metrics, [read_json(path) for path in snakemake.input.metrics])
    write_csv(snakemake.output.costs, [read_json(path) for path in snakemake.input.costs])
