"""Rule compare: what one cell's model has kept of the forget class, by its features, beside the oracle's."""

from unlearning.evaluation.erasure import erasure
from unlearning.evaluation.sample import unpack
from unlearning.files import read_arrays, write_json
from unlearning.workflow.job import cell_of, job

cell, inputs = cell_of(snakemake.wildcards), snakemake.input

with job(snakemake, "{method} on {benchmark}, seed {seed}".format(**cell)):
    models = [unpack(read_arrays(path)) for path in (inputs.features, inputs.oracle, inputs.original)]
    write_json(snakemake.output.comparison, cell | erasure(*models))
