"""Rule draw_attack: the attack's scores of members and non-members, and its ROC curve, for one benchmark."""

from unlearning.figures.attack import attack, chosen_methods
from unlearning.figures.cells import Cells
from unlearning.figures.output import save, styled
from unlearning.files import read_arrays, read_table
from unlearning.paths import cell_at
from unlearning.workflow.job import job

inputs, benchmark = snakemake.input, snakemake.wildcards.benchmark

with job(snakemake, benchmark), styled(inputs.style):
    metrics = read_table(inputs.metrics)
    scores: dict = {name: [] for name in chosen_methods(Cells(metrics, benchmark))}
    for path in inputs.scores:
        method = cell_at(path)["method"]
        if method in scores:
            scores[method].append(read_arrays(path))
    save(attack(metrics, scores, benchmark), dict(snakemake.output.items()))
