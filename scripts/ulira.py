"""Rule ulira: the attacks with shadow models on one cell. There is no result if the method failed on one of them."""

import numpy as np

from unlearning.evaluation.on_request import FORMATS
from unlearning.evaluation.ulira import attack, class_attack, class_attack_by_chance, shadow_failure
from unlearning.files import read_arrays, write_json
from unlearning.workflow.job import cell_of, job

inputs, cell = snakemake.input, cell_of(snakemake.wildcards)
forget_class = int(snakemake.wildcards.forget_class)


def answers(scores):
    return np.concatenate([scores["member_logits"], scores["non_member_logits"]])


with job(snakemake, "{method} on {benchmark}, seed {seed}".format(**cell) + f", {len(inputs.shadows)} shadow models"):
    scores, oracle = read_arrays(inputs.scores), read_arrays(inputs.oracle)
    shadows, strangers = ([read_arrays(path) for path in paths] for paths in (inputs.shadows, inputs.strangers))
    facts = {"format": FORMATS["ulira.json"], "ulira_shadows": len(shadows), "ulira_failure": shadow_failure(shadows)}
    found = dict.fromkeys(["ulira_class_auc", "ulira_class_auc_by_chance"])
    if scores and facts["ulira_failure"] is None:
        logits = [shadow["logits"] for shadow in shadows]
        found |= attack(scores["member_logits"], scores["non_member_logits"], logits, forget_class)
        if oracle and shadow_failure(strangers) is None:
            against = (answers(oracle), logits, [stranger["logits"] for stranger in strangers], forget_class)
            found["ulira_class_auc"] = class_attack(answers(scores), *against)
            if cell["method"] != "retrain":  # there, both kinds of shadow models are the same
                found["ulira_class_auc_by_chance"] = class_attack_by_chance(*against)
    write_json(snakemake.output.ulira, cell | facts | found)
