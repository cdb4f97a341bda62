"""The metrics of each cell (a method or a reference, on a benchmark, with a seed), and its comparison with the oracle."""


rule evaluate:
    input:
        dataset=plan.dataset,
        split=f"{BENCHMARK}/split.npz",
        checkpoint=plan.checkpoint,
    output:
        metrics=f"{CELL}/metrics.json",
        scores=f"{CELL}/scores.npz",
        features=f"{CELL}/features.npz",
        cost=f"{CELL}/evaluation_cost.json",
    log:
        f"{CELL}/evaluate.log",
    wildcard_constraints:
        method="|".join([*REFERENCES, *chosen.methods]),
    conda:
        "../../envs/unlearning.yaml"
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=growing(30),
        gpu=GPUS,
        gpu_slots=GPU_SLOTS,
    params:
        *code("evaluate.py"),
        data=plan.data,
        missing=plan.missing(plan.checkpoint),
        images=plan.images,
        protocol=plan.evaluation,
        unwatched=plan.unwatched(),
    script:
        "../../scripts/evaluate.py"


# Without the model: the features of a sample of images say all, and a job that loads no torch is seven times as fast.
rule compare:
    input:
        features=f"{CELL}/features.npz",
        oracle=f"{BENCHMARK}/seed{{seed}}/retrain/features.npz",
        original=f"{BENCHMARK}/seed{{seed}}/original/features.npz",
    output:
        comparison=f"{CELL}/compare.json",
    log:
        f"{CELL}/compare.log",
    wildcard_constraints:
        method="|".join([*REFERENCES, *chosen.methods]),
    conda:
        "../../envs/unlearning.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        *code("compare.py"),
    script:
        "../../scripts/compare.py"
