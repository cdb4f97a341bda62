"""The metrics of each cell: a method or a reference, on a benchmark, with a seed."""


rule evaluate:
    input:
        dataset=plan.dataset,
        split=f"{BENCHMARK}/split.npz",
        checkpoint=plan.checkpoint,
    output:
        metrics=f"{CELL}/metrics.json",
        scores=f"{CELL}/scores.npz",
        cost=f"{CELL}/evaluation_cost.json",
    log:
        f"{CELL}/evaluate.log",
    wildcard_constraints:
        method="|".join([*REFERENCES, *chosen.methods]),
    conda:
        "../../envs/unlearning.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=60,
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
