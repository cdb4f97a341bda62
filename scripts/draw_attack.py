"""Rule draw_attack: the attack's scores of members and non-members, and its ROC curve, for one benchmark."""

from unlearning.figures.attack import attack, chosen_methods, sides_by_method
from unlearning.figures.cells import Cells
from unlearning.figures.output import save, styled
from unlearning.files import read_arrays, read_table
from unlearning.paths import cell_at
from unlearning.workflow.job import job

inputs, benchmark = snakemake.input, snakemake.wildcards.benchmark

with job(snakemake, benchmark), styled(inputs.style):
    metrics = read_table(inputs.metrics)
    cells = ((cell_at(path)["method"], read_arrays(path)) for path in inputs.scores)
    sides = sides_by_method(chosen_methods(Cells(metrics, benchmark)), cells)
    save(attack(metrics, sides, benchmark), dict(snakemake.output.items()))
