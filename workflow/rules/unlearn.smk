"""The methods, each on the pretrained model of its benchmark and seed."""


rule unlearn:
    input:
        dataset=plan.dataset,
        split=f"{BENCHMARK}/split.npz",
        checkpoint=f"{PRETRAINING}/pretrained.pt",
    output:
        checkpoint=f"{CELL}/unlearned.pt",
        history=f"{CELL}/history.csv",
        cost=f"{CELL}/cost.json",
    log:
        f"{CELL}/unlearn.log",
    wildcard_constraints:
        method="|".join(plan.methods),
    conda:
        "../../envs/unlearning.yaml"
    threads: 1
    resources:
        mem_mb=growing(6000),
        runtime=growing(240),
        gpu=GPUS,
        gpu_slots=GPU_SLOTS,
    params:
        *code("unlearn.py"),
        method_code=plan.method_code,
        data=plan.data,
        images=plan.images,
        protocol=plan.unlearning,
        hyperparameters=plan.hyperparameters,
        lost=plan.lost(f"{CELL}/unlearned.pt", "history.csv", "unlearn.log"),
        unwatched=plan.unwatched("method", "hyperparameters", "draws_as", "precision", "evaluate_every"),
    script:
        "../../scripts/unlearn.py"


# A model that another program unlearned, on request (--config checkpoint=...).
rule adopt:
    input:
        dataset=plan.dataset,
        weights=plan.weights,
    output:
        checkpoint=f"{CELL}/unlearned.pt",
    log:
        f"{CELL}/adopt.log",
    wildcard_constraints:
        method="|".join(plan.externals) or "none",
    conda:
        "../../envs/unlearning.yaml"
    threads: 1
    resources:
        mem_mb=6000,
        runtime=30,
    params:
        *code("adopt.py"),
        weights=plan.weights_digest,
        data=plan.data,
        images=plan.images,
        width=plan.width,
        unwatched=plan.unwatched(),
    script:
        "../../scripts/adopt.py"
