"""Rule aggregate: one row a cell in metrics.csv, one a job in costs.csv; means and paired differences over seeds."""

import numpy as np
import pandas

from unlearning.aggregation import join_cells, join_costs
from unlearning.dictionary import COMPARED
from unlearning.files import read_json, write_csv
from unlearning.intervals import paired_differences, summary
from unlearning.jobs import job

inputs, outputs = snakemake.input, snakemake.output

with job(snakemake, f"{len(inputs.metrics)} cells, {len(inputs.costs)} jobs"):
    logits = [np.load(path).get("non_member_logits") for path in inputs.scores]
    on_request = [read_json(path) for path in inputs.on_request]
    rows = join_cells([read_json(path) for path in inputs.metrics], on_request, logits, snakemake.params.kinds)
    write_csv(outputs.metrics, rows)
    write_csv(outputs.costs, join_costs([read_json(path) for path in inputs.costs]))
    metrics = pandas.DataFrame(rows)
    compared = [metric for metric in COMPARED if metric in metrics]
    write_csv(outputs.summary, summary(metrics, compared).to_dict("records"))
    write_csv(outputs.comparisons, paired_differences(metrics, compared).to_dict("records"))
