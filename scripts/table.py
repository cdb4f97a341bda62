"""Rule table: render the table in Markdown, as a page and for LaTeX, and the data dictionary."""

from unlearning.files import read_table, write_text
from unlearning.paths import TABLES
from unlearning.tables.blocks import as_markdown
from unlearning.tables.columns import render_dictionary
from unlearning.tables.comparison import table_blocks
from unlearning.tables.html_page import as_html
from unlearning.tables.latex import as_latex
from unlearning.tables.numbers import Numbers
from unlearning.workflow.job import job

with job(snakemake, f"suite {snakemake.params.suite}"):
    inputs = snakemake.input
    numbers = Numbers(**{name: read_table(inputs[name]) for name in TABLES})
    published = read_table(inputs.published)
    published = published[published["benchmark"].isin(snakemake.params.as_published)]
    blocks = table_blocks(numbers, snakemake.params.suite, published)
    write_text(snakemake.output.table, as_markdown(blocks))
    write_text(snakemake.output.page, as_html(blocks, inputs.page))
    write_text(snakemake.output.latex, as_latex(blocks))
    write_text(snakemake.output.dictionary, render_dictionary())
