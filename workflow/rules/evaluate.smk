"""The metrics of each cell: a method, or a reference, on a benchmark with a seed."""


rule evaluate:
    input:
        dataset=dataset,
        split="results/{model}-{dataset}-class{forget_class}/split.npz",
        checkpoint=checkpoint_of,
        code=code("evaluate.py"),
    output:
        metrics="results/{model}-{dataset}-class{forget_class}/seed{seed}/{method}/metrics.json",
        scores="results/{model}-{dataset}-class{forget_class}/seed{seed}/{method}/scores.npz",
        cost="results/{model}-{dataset}-class{forget_class}/seed{seed}/{method}/evaluation_cost.json",
    log:
        "results/{model}-{dataset}-class{forget_class}/seed{seed}/{method}/evaluate.log",
    wildcard_constraints:
        method="|".join([*REFERENCES, *config["methods"]]),
    conda:
        "../../envs/unlearning.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=60,
        gpu_slots=GPU_SLOTS,
    params:
        code=code_digest("evaluate.py"),
        data=data_digest,
        missing=missing(checkpoint_of),
        images=image_settings,
        protocol=evaluation_protocol,
    script:
        "../../scripts/evaluate.py"
