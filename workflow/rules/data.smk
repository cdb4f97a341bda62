"""The data sets and their division into retain and forget set."""


# Without inputs, and with an output that Snakemake does not delete: a file that is there is used as it is.
rule dataset:
    output:
        update(dataset_file(config, "{dataset}")),
    log:
        "results/datasets/{dataset}.log",
    retries: 2  # a download may fail once
    conda:
        "../../envs/unlearning.yaml"
    threads: 1
    resources:
        mem_mb=3000,
        runtime=120,
    params:
        source=dataset_settings("source"),
    script:
        "../../scripts/dataset.py"


rule split:
    input:
        dataset=dataset,
        code=code("split.py"),
    output:
        split="results/{model}-{dataset}-class{forget_class}/split.npz",
    log:
        "results/{model}-{dataset}-class{forget_class}/split.log",
    conda:
        "../../envs/unlearning.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        code=code_digest("split.py"),
        data=data_digest,
        classes=dataset_settings("classes"),
    script:
        "../../scripts/split.py"
