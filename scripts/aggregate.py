"""Rule aggregate: join the cells and the costs, and compute the means, differences and errors that follow."""

import pandas

from unlearning.files import read_arrays, read_json, write_csv, write_json, write_text
from unlearning.paths import FOLLOWING
from unlearning.tables.cells import join_cells, join_costs, read_cell, read_on_request, without_misfits
from unlearning.tables.numbers import numbers_of_cells
from unlearning.tables.provenance import provenance
from unlearning.workflow.job import job

inputs, outputs = snakemake.input, snakemake.output

with job(snakemake, f"{len(inputs.metrics)} cells, {len(inputs.costs)} jobs"):
    scores = [read_arrays(path) for path in inputs.scores]
    cells, scores = without_misfits([read_cell(path) for path in inputs.metrics], scores)
    logits = [its.get("non_member_logits") for its in scores]
    further = [*map(read_json, inputs.compared), *map(read_on_request, inputs.on_request)]
    rows = join_cells(cells, further, logits, snakemake.params.kinds, snakemake.params.settings)
    write_csv(outputs.metrics, rows)
    costs = [read_json(path) for path in inputs.costs]
    jobs = join_costs(costs)
    write_csv(outputs.costs, jobs)
    write_json(outputs.provenance, provenance(snakemake.config, costs))
    tables = (pandas.DataFrame(rows), pandas.DataFrame(jobs))
    numbers = numbers_of_cells(*tables, cells, scores, inputs.oracles, inputs.shadow_oracles)
    for name in ("floor", "image_errors", *FOLLOWING):
        table = getattr(numbers, name)
        write_text(outputs[name], table.to_csv(index=False, lineterminator="\n"))  # with its titles, even if empty
