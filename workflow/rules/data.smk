"""The data sets and their division into retain and forget set."""


# Without inputs, and with an output that Snakemake does not delete: a file that is there is used as it is.
rule dataset:
    output:
        update(Path(chosen.data_dir).expanduser() / "{dataset}.npz"),
    log:
        f"{DATASETS}/{{dataset}}.log",
    wildcard_constraints:
        dataset="|".join(plan.fetched()) or "none",  # what is put there by hand, no rule makes, or may remove
    conda:
        "../../envs/unlearning.yaml"
    threads: 1
    resources:
        mem_mb=3000,
        runtime=120,
    params:
        source=plan.of_dataset("source"),
    script:
        "../../scripts/dataset.py"


rule split:
    input:
        dataset=plan.dataset,
    output:
        split=f"{BENCHMARK}/split.npz",
    log:
        f"{BENCHMARK}/split.log",
    conda:
        "../../envs/unlearning.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        *code("split.py"),
        data=plan.data,
        classes=plan.of_dataset("classes"),
        unwatched=plan.unwatched(),
    script:
        "../../scripts/split.py"
