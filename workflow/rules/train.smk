"""Training from scratch: the original model, and the oracle that never saw the forget class."""


rule pretrain:
    input:
        dataset=plan.dataset,
    output:
        checkpoint=f"{PRETRAINING}/pretrained.pt",
        history=f"{PRETRAINING}/history.csv",
        cost=f"{PRETRAINING}/cost.json",
    log:
        f"{PRETRAINING}/pretrain.log",
    conda:
        "../../envs/unlearning.yaml"
    threads: 1
    resources:
        mem_mb=growing(6000),
        runtime=growing(480),
        gpu=GPUS,
        gpu_slots=GPU_SLOTS,
    params:
        *code("pretrain.py"),
        data=plan.data,
        images=plan.images,
        training=plan.training,
        lost=plan.lost(f"{PRETRAINING}/pretrained.pt", "history.csv", "pretrain.log"),
        unwatched=plan.unwatched("precision", "evaluate_every"),
    script:
        "../../scripts/pretrain.py"


rule retrain:
    input:
        dataset=plan.dataset,
        split=f"{BENCHMARK}/split.npz",
    output:
        checkpoint=f"{BENCHMARK}/seed{{seed}}/retrain/retrained.pt",
        history=f"{BENCHMARK}/seed{{seed}}/retrain/history.csv",
        cost=f"{BENCHMARK}/seed{{seed}}/retrain/cost.json",
    log:
        f"{BENCHMARK}/seed{{seed}}/retrain/retrain.log",
    conda:
        "../../envs/unlearning.yaml"
    threads: 1
    resources:
        mem_mb=growing(6000),
        runtime=growing(480),
        gpu=GPUS,
        gpu_slots=GPU_SLOTS,
    params:
        *code("retrain.py"),
        data=plan.data,
        images=plan.images,
        training=plan.training,
        lost=plan.lost(f"{BENCHMARK}/seed{{seed}}/retrain/retrained.pt", "history.csv", "retrain.log"),
        unwatched=plan.unwatched("precision", "evaluate_every"),
    script:
        "../../scripts/retrain.py"
