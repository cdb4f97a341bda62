"""The update rules, each on the pretrained model of its benchmark and seed."""


rule unlearn:
    input:
        dataset=dataset,
        split="results/{model}-{dataset}-class{forget_class}/split.npz",
        checkpoint="results/{model}-{dataset}/seed{seed}/pretrained.pt",
        method=method,
        method_code=method_code,
        code=code("unlearn.py"),
    output:
        checkpoint="results/{model}-{dataset}-class{forget_class}/seed{seed}/{method}/unlearned.pt",
        history="results/{model}-{dataset}-class{forget_class}/seed{seed}/{method}/history.csv",
        cost="results/{model}-{dataset}-class{forget_class}/seed{seed}/{method}/cost.json",
    log:
        "results/{model}-{dataset}-class{forget_class}/seed{seed}/{method}/unlearn.log",
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
        code=code_digest("unlearn.py", of_method=True),
        data=data_digest,
        images=image_settings,
        protocol=unlearning_protocol,
        hyperparameters=hyperparameters,
    script:
        "../../scripts/unlearn.py"
