"""Rule ulira: the attack with shadow models on one cell; no result if the rule failed here or on a shadow model."""

import numpy as np

from unlearning.files import write_json
from unlearning.jobs import job
from unlearning.ulira import attack

wildcards = snakemake.wildcards
benchmark, seed = f"{wildcards.model}-{wildcards.dataset}-class{wildcards.forget_class}", int(wildcards.seed)

with job(snakemake, f"{wildcards.method} on {benchmark}, seed {seed}, {len(snakemake.input.shadows)} shadow models"):
    scores, shadows = np.load(snakemake.input.scores), [np.load(path) for path in snakemake.input.shadows]
    result = {"ulira_auc": None, "ulira_tpr_at_1pct_fpr": None}
    if scores.files and all(shadow.files for shadow in shadows):
        targets = (scores["member_logits"], scores["non_member_logits"])
        result = attack(*targets, [shadow["logits"] for shadow in shadows], int(wildcards.forget_class))
    write_json(snakemake.output.ulira, {"benchmark": benchmark, "method": wildcards.method, "seed": seed} | result)
