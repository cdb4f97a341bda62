"""Rule table: render results/table.md and the data dictionary."""

from unlearning.files import read_table, write_text
from unlearning.paths import TABLES
from unlearning.tables.columns import render_dictionary
from unlearning.tables.comparison import render_table
from unlearning.tables.numbers import Numbers
from unlearning.workflow.job import job

with job(snakemake, f"suite {snakemake.params.suite}"):
    inputs = snakemake.input
    numbers = Numbers(**{name: read_table(inputs[name]) for name in TABLES})
    published = read_table(inputs.published)
    published = published[published["benchmark"].isin(snakemake.params.as_published)]
    write_text(snakemake.output.table, render_table(numbers, snakemake.params.suite, published))
    write_text(snakemake.output.dictionary, render_dictionary())
