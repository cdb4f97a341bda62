"""What a suite asks for beside the usual evaluation: relearning, and U-LiRA with its shadow models."""

SHADOW = "results/{model}-{dataset}-class{forget_class}/shadow{shadow}"


rule relearn:
    input:
        dataset=dataset,
        split="results/{model}-{dataset}-class{forget_class}/split.npz",
        checkpoint=checkpoint_of,
        original="results/{model}-{dataset}-class{forget_class}/seed{seed}/original/metrics.json",
        code=code("relearn.py"),
    output:
        relearning="results/{model}-{dataset}-class{forget_class}/seed{seed}/{method}/relearning.json",
    log:
        "results/{model}-{dataset}-class{forget_class}/seed{seed}/{method}/relearn.log",
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
        code=code_digest("relearn.py"),
        data=data_digest,
        images=image_settings,
        protocol=relearning_protocol,
    script:
        "../../scripts/relearn.py"


# Shared by all methods and seeds. That of `retrain` never saw the forget class.
rule train_shadow:
    input:
        dataset=dataset,
        split="results/{model}-{dataset}-class{forget_class}/split.npz",
        code=code("train_shadow.py"),
    output:
        checkpoint=f"{SHADOW}/{{reference}}/trained.pt",
        logits=f"{SHADOW}/{{reference}}/logits.npz",
    log:
        f"{SHADOW}/{{reference}}/train_shadow.log",
    wildcard_constraints:
        reference="|".join(REFERENCES),
    conda:
        "../../envs/unlearning.yaml"
    threads: 1
    resources:
        mem_mb=6000,
        runtime=1440,
        gpu_slots=GPU_SLOTS,
    params:
        code=code_digest("train_shadow.py"),
        data=data_digest,
        images=image_settings,
        training=training_settings,
        # Those that never saw the forget class do not depend on how it is divided.
        shadows=lambda wildcards: SHADOW_MODELS if wildcards.reference == "original" else None,
    script:
        "../../scripts/train_shadow.py"


rule unlearn_shadow:
    input:
        dataset=dataset,
        split="results/{model}-{dataset}-class{forget_class}/split.npz",
        checkpoint=f"{SHADOW}/original/trained.pt",
        method=method,
        method_code=method_code,
        code=code("unlearn_shadow.py"),
    output:
        logits=f"{SHADOW}/{{method}}/logits.npz",
    log:
        f"{SHADOW}/{{method}}/unlearn_shadow.log",
    wildcard_constraints:
        method="|".join(config["methods"]),
    conda:
        "../../envs/unlearning.yaml"
    threads: 1
    resources:
        mem_mb=6000,
        runtime=720,
        gpu_slots=GPU_SLOTS,
    params:
        code=code_digest("unlearn_shadow.py", of_method=True),
        data=data_digest,
        images=image_settings,
        protocol=unlearning_protocol,
        hyperparameters=hyperparameters,
        shadows=SHADOW_MODELS,
    script:
        "../../scripts/unlearn_shadow.py"


rule ulira:
    input:
        scores="results/{model}-{dataset}-class{forget_class}/seed{seed}/{method}/scores.npz",
        shadows=expand(
            "results/{{model}}-{{dataset}}-class{{forget_class}}/shadow{shadow}/{{method}}/logits.npz",
            shadow=range(SHADOW_MODELS),
        ),
        code=code("ulira.py"),
    output:
        ulira="results/{model}-{dataset}-class{forget_class}/seed{seed}/{method}/ulira.json",
    log:
        "results/{model}-{dataset}-class{forget_class}/seed{seed}/{method}/ulira.log",
    wildcard_constraints:
        method="|".join([*REFERENCES, *config["methods"]]),
    conda:
        "../../envs/unlearning.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        code=code_digest("ulira.py"),
    script:
        "../../scripts/ulira.py"
