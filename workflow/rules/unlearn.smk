"""The update rules, each on the pretrained model of its benchmark and seed."""


rule unlearn:
    input:
        dataset=dataset,
        split=BENCHMARK + "/split.npz",
        checkpoint=PRETRAINING + "/pretrained.pt",
        method=method,
        method_code=method_code,
        code=code("unlearn.py"),
    output:
        checkpoint=CELL + "/unlearned.pt",
        history=CELL + "/history.csv",
        cost=CELL + "/cost.json",
    log:
        CELL + "/unlearn.log",
    wildcard_constraints:
        method="|".join(config["methods"]),
    conda:
        "../../envs/unlearning.yaml"
    threads: 1
    resources:
        mem_mb=6000,
        runtime=720,
    params:
        classes=dataset_settings("classes"),
        fit=dataset_settings("fit"),
        image_size=image_size,
        protocol=unlearning_protocol,
        hyperparameters=lambda wildcards: by_key(config["methods"][wildcards.method]["hyperparameters"]),
    script:
        "../../scripts/unlearn.py"
