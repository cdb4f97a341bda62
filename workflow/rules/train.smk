"""Training from scratch: the original model, and the oracle that never saw the forget class."""


rule pretrain:
    input:
        dataset=dataset,
        code=code("pretrain.py"),
    output:
        checkpoint=PRETRAINING + "/pretrained.pt",
        history=PRETRAINING + "/history.csv",
        cost=PRETRAINING + "/cost.json",
    log:
        PRETRAINING + "/pretrain.log",
    conda:
        "../../envs/unlearning.yaml"
    threads: 1
    resources:
        mem_mb=6000,
        runtime=1440,
    params:
        classes=dataset_settings("classes"),
        fit=dataset_settings("fit"),
        image_size=image_size,
        training=training_settings,
    script:
        "../../scripts/pretrain.py"


rule retrain:
    input:
        dataset=dataset,
        split=BENCHMARK + "/split.npz",
        code=code("retrain.py"),
    output:
        checkpoint=BENCHMARK + "/seed{seed}/retrain/retrained.pt",
        history=BENCHMARK + "/seed{seed}/retrain/history.csv",
        cost=BENCHMARK + "/seed{seed}/retrain/cost.json",
    log:
        BENCHMARK + "/seed{seed}/retrain/retrain.log",
    conda:
        "../../envs/unlearning.yaml"
    threads: 1
    resources:
        mem_mb=6000,
        runtime=1440,
    params:
        classes=dataset_settings("classes"),
        fit=dataset_settings("fit"),
        image_size=image_size,
        training=training_settings,
    script:
        "../../scripts/retrain.py"
