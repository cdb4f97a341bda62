"""Rule ulira: the attack with shadow models on one cell. There is no result if the method failed on one of them."""

from unlearning.evaluation.ulira import attack, shadow_failure
from unlearning.files import read_arrays, write_json
from unlearning.workflow.job import cell_of, job

cell = cell_of(snakemake.wildcards)
what = "{method} on {benchmark}, seed {seed}".format(**cell)

with job(snakemake, f"{what}, {len(snakemake.input.shadows)} shadow models"):
    scores, shadows = read_arrays(snakemake.input.scores), [read_arrays(path) for path in snakemake.input.shadows]
    result = {"ulira_failure": shadow_failure(shadows)}
    if scores and result["ulira_failure"] is None:
        targets = (scores["member_logits"], scores["non_member_logits"])
        result |= attack(*targets, [shadow["logits"] for shadow in shadows], int(snakemake.wildcards.forget_class))
    write_json(snakemake.output.ulira, cell | result)
