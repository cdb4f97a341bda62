"""Training from scratch: the original model, and the oracle that never saw the forget class."""


rule pretrain:
    input:
        dataset=dataset,
        code=code("pretrain.py"),
    output:
        checkpoint="results/{model}-{dataset}/seed{seed}/pretrained.pt",
        history="results/{model}-{dataset}/seed{seed}/history.csv",
        cost="results/{model}-{dataset}/seed{seed}/cost.json",
    log:
        "results/{model}-{dataset}/seed{seed}/pretrain.log",
    conda:
        "../../envs/unlearning.yaml"
    threads: 1
    resources:
        mem_mb=6000,
        runtime=1440,
        gpu_slots=GPU_SLOTS,
    params:
        code=code_digest("pretrain.py"),
        data=data_digest,
        images=image_settings,
        training=training_settings,
    script:
        "../../scripts/pretrain.py"


rule retrain:
    input:
        dataset=dataset,
        split="results/{model}-{dataset}-class{forget_class}/split.npz",
        code=code("retrain.py"),
    output:
        checkpoint="results/{model}-{dataset}-class{forget_class}/seed{seed}/retrain/retrained.pt",
        history="results/{model}-{dataset}-class{forget_class}/seed{seed}/retrain/history.csv",
        cost="results/{model}-{dataset}-class{forget_class}/seed{seed}/retrain/cost.json",
    log:
        "results/{model}-{dataset}-class{forget_class}/seed{seed}/retrain/retrain.log",
    conda:
        "../../envs/unlearning.yaml"
    threads: 1
    resources:
        mem_mb=6000,
        runtime=1440,
        gpu_slots=GPU_SLOTS,
    params:
        code=code_digest("retrain.py"),
        data=data_digest,
        images=image_settings,
        training=training_settings,
    script:
        "../../scripts/retrain.py"
