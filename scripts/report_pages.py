"""Rule report_pages: what the report has next to the table, as pages."""

from unlearning.files import read_json, read_table, write_text
from unlearning.tables.audit import audit_blocks, audits_of
from unlearning.tables.columns import dictionary
from unlearning.tables.html_page import as_html
from unlearning.tables.report_pages import configuration, costs, origin
from unlearning.workflow.job import job

with job(snakemake, "pages of the report"):
    inputs = snakemake.input
    metrics, provenance = read_table(inputs.metrics), read_json(inputs.provenance)
    pages = {
        "columns": dictionary(),
        "audit": audit_blocks(audits_of(metrics, read_table(inputs.floor))),
        "configuration": configuration(provenance["config"], metrics),
        "origin": origin(provenance),
        "costs": costs(read_table(inputs.costs)),
    }
    for name, blocks in pages.items():
        write_text(snakemake.output[name], as_html(blocks, inputs.page))
