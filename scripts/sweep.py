"""Rule sweep: the results of every setting in every method's grid, the chosen settings, and a plot."""

from unlearning.config.model import REFERENCES
from unlearning.figures.output import save, styled
from unlearning.figures.settings import settings
from unlearning.files import read_arrays, write_csv, write_text
from unlearning.tables.cells import join_cells, read_cell
from unlearning.tables.sweep import render_sweep, rows_of_sweep
from unlearning.workflow.job import job

inputs, outputs, params = snakemake.input, snakemake.output, snakemake.params

with job(snakemake, f"{len(params.variants)} settings"):
    logits = [read_arrays(path).get("non_member_logits") for path in inputs.scores]
    cells = [read_cell(path) for path in inputs.metrics]
    kinds = dict.fromkeys(REFERENCES, "reference") | params.kinds
    rows = rows_of_sweep(join_cells(cells, [], logits, kinds), params.variants)
    write_csv(outputs.rows, rows)
    write_text(outputs.report, render_sweep(rows, params.seed, params.share))
    with styled(inputs.style):
        save(settings(rows), {"png": outputs.plot})
