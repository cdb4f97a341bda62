"""Rule aggregate: metrics.csv (one row per cell), costs.csv (one per job), means and paired differences over seeds."""

import pandas

from unlearning.files import read_arrays, read_json, write_csv, write_json, write_text
from unlearning.tables.cells import join_cells, join_costs, read_cell, without_misfits
from unlearning.tables.numbers import numbers_from
from unlearning.tables.provenance import provenance
from unlearning.workflow.job import job

inputs, outputs = snakemake.input, snakemake.output

with job(snakemake, f"{len(inputs.metrics)} cells, {len(inputs.costs)} jobs"):
    cells, logits = without_misfits(
        [read_cell(path) for path in inputs.metrics],
        [read_arrays(path).get("non_member_logits") for path in inputs.scores],
    )
    on_request = [read_json(path) for path in inputs.on_request]
    rows = join_cells(cells, on_request, logits, snakemake.params.kinds, snakemake.params.settings)
    write_csv(outputs.metrics, rows)
    costs = [read_json(path) for path in inputs.costs]
    jobs = join_costs(costs)
    write_csv(outputs.costs, jobs)
    write_json(outputs.provenance, provenance(snakemake.config, costs))
    numbers = numbers_from(pandas.DataFrame(rows), pandas.DataFrame(jobs))
    for path, table in ((outputs.summary, numbers.summary), (outputs.comparisons, numbers.comparisons)):
        write_text(path, table.to_csv(index=False, lineterminator="\n"))  # with its titles, even if empty
