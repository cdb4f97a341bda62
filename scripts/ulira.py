"""Rule ulira: the attack with shadow models on one cell; without result if the rule failed on one of them."""

import numpy as np

from unlearning.files import write_json
from unlearning.jobs import job
from unlearning.ulira import attack, shadow_failure

wildcards = snakemake.wildcards
benchmark, seed = f"{wildcards.model}-{wildcards.dataset}-class{wildcards.forget_class}", int(wildcards.seed)

with job(snakemake, f"{wildcards.method} on {benchmark}, seed {seed}, {len(snakemake.input.shadows)} shadow models"):
    scores, shadows = np.load(snakemake.input.scores), [np.load(path) for path in snakemake.input.shadows]
    result = {"ulira_failure": shadow_failure(shadows)}
    if scores.files and result["ulira_failure"] is None:
        targets = (scores["member_logits"], scores["non_member_logits"])
        result |= attack(*targets, [shadow["logits"] for shadow in shadows], int(wildcards.forget_class))
    write_json(snakemake.output.ulira, {"benchmark": benchmark, "method": wildcards.method, "seed": seed} | result)
