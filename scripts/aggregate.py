"""Rule aggregate: metrics.csv (one row per cell), costs.csv (one per job), means and paired differences over seeds."""

import pandas

from unlearning.files import read_arrays, read_json, write_csv, write_json
from unlearning.tables.cells import join_cells, join_costs, read_cell, without_misfits
from unlearning.tables.columns import COMPARED
from unlearning.tables.intervals import paired_differences, summary
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
    write_csv(outputs.costs, join_costs(costs))
    write_json(outputs.provenance, provenance(snakemake.config, costs))
    metrics = pandas.DataFrame(rows)
    compared = [metric for metric in COMPARED if metric in metrics]
    write_csv(outputs.summary, summary(metrics, compared).to_dict("records"))
    write_csv(outputs.comparisons, paired_differences(metrics, compared).to_dict("records"))
