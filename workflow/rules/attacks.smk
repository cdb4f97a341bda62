"""On request, in addition to the usual evaluation: relearning, and U-LiRA with its shadow models."""


rule relearn:
    input:
        dataset=plan.dataset,
        split=f"{BENCHMARK}/split.npz",
        checkpoint=plan.checkpoint,
        original=f"{PRETRAINING}/pretrained.pt",
    output:
        relearning=f"{CELL}/relearning.json",
    log:
        f"{CELL}/relearn.log",
    wildcard_constraints:
        method="|".join([*REFERENCES, *chosen.methods]),
    conda:
        "../../envs/unlearning.yaml"
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=growing(60),
        gpu=GPUS,
        gpu_slots=GPU_SLOTS,
    params:
        *code("relearn.py"),
        data=plan.data,
        images=plan.images,
        protocol=plan.relearning,
        retain=chosen.is_retain_relearning,
        unwatched=plan.unwatched(),
    script:
        "../../scripts/relearn.py"


# Shared by all methods and seeds. The shadow model of `retrain` never saw the forget class.
rule train_shadow:
    input:
        dataset=plan.dataset,
        split=f"{BENCHMARK}/split.npz",
    output:
        checkpoint=f"{SHADOW}/{{reference}}/trained.pt",
        logits=f"{SHADOW}/{{reference}}/logits.npz",
        cost=f"{SHADOW}/{{reference}}/cost.json",
    log:
        f"{SHADOW}/{{reference}}/train_shadow.log",
    wildcard_constraints:
        reference="|".join(REFERENCES),
    conda:
        "../../envs/unlearning.yaml"
    threads: 1
    resources:
        mem_mb=growing(6000),
        runtime=growing(480),
        gpu=GPUS,
        gpu_slots=GPU_SLOTS,
    params:
        *code("train_shadow.py"),
        data=plan.data,
        images=plan.images,
        training=plan.training,
        shadows=plan.shadows,
        lost=plan.lost(f"{SHADOW}/{{reference}}/trained.pt"),
        unwatched=plan.unwatched("precision", "evaluate_every"),
    script:
        "../../scripts/train_shadow.py"


rule unlearn_shadow:
    input:
        dataset=plan.dataset,
        split=f"{BENCHMARK}/split.npz",
        checkpoint=f"{SHADOW}/original/trained.pt",
    output:
        logits=f"{SHADOW}/{{method}}/logits.npz",
        cost=f"{SHADOW}/{{method}}/cost.json",
    log:
        f"{SHADOW}/{{method}}/unlearn_shadow.log",
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
        *code("unlearn_shadow.py"),
        method_code=plan.method_code,
        data=plan.data,
        images=plan.images,
        protocol=plan.unlearning,
        hyperparameters=plan.hyperparameters,
        shadows=chosen.shadows,
        lost=plan.lost(f"{SHADOW}/{{method}}/logits.npz"),
        unwatched=plan.unwatched("method", "hyperparameters", "precision"),
    script:
        "../../scripts/unlearn_shadow.py"


rule ulira:
    input:
        scores=f"{CELL}/scores.npz",
        shadows=expand(
            f"{BENCHMARK}/shadow{{shadow}}/{{method}}/logits.npz",
            shadow=range(chosen.shadows),
            allow_missing=True,
        ),
        oracle=f"{BENCHMARK}/seed{{seed}}/retrain/scores.npz",
        strangers=expand(
            f"{BENCHMARK}/shadow{{shadow}}/retrain/logits.npz",
            shadow=range(chosen.shadows),
            allow_missing=True,
        ),
    output:
        ulira=f"{CELL}/ulira.json",
    log:
        f"{CELL}/ulira.log",
    wildcard_constraints:
        method="|".join([*REFERENCES, *chosen.methods]),
    conda:
        "../../envs/unlearning.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        *code("ulira.py"),
        shadows=chosen.shadows,
    script:
        "../../scripts/ulira.py"
