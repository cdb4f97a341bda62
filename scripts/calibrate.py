"""Rule calibrate: how each unpublished choice of the protocol changes the baselines, next to the published rows."""

from unlearning.files import read_arrays, read_table, write_csv, write_text
from unlearning.tables.calibration import render_calibration, rows_of_calibration
from unlearning.tables.cells import read_cell
from unlearning.workflow.job import job

inputs, outputs, params = snakemake.input, snakemake.output, snakemake.params

with job(snakemake, f"{len(inputs.metrics)} cells"):
    cells = [read_cell(path) for path in inputs.metrics]
    rows = rows_of_calibration(cells, [read_arrays(path) for path in inputs.scores], params.choices)
    write_csv(outputs.rows, rows)
    published = read_table(inputs.published)
    published = published[published["benchmark"].isin(params.as_published)]
    write_text(outputs.report, f"# Calibration\n\n{render_calibration(rows, published)}")
