"""Data sets, and their division into retain set and forget set."""


# The rule has no inputs, and an output that Snakemake does not delete: an existing file is used as it is.
rule dataset:
    output:
        update(Path(chosen.data_dir).expanduser() / "{dataset}.npz"),
    log:
        f"{DATASETS}/{{dataset}}.log",
    wildcard_constraints:
        dataset="|".join(plan.fetched("--delete-all-output" in sys.argv)) or "none",  # no rule makes or may remove a file put there by hand
    conda:
        "../../envs/unlearning.yaml"
    threads: 1
    resources:
        mem_mb=3000,
        runtime=120,
    params:
        source=plan.of_dataset("source"),
        mirror=lambda wildcards, output: plan.mirror(wildcards),
    script:
        "../../scripts/dataset.py"


# A part of a data set is a result: made again when its original or its size changes.
rule part:
    input:
        dataset=plan.of_original(plan.dataset),
    output:
        dataset=f"{DATASETS}/{{dataset}}.npz",
    log:
        f"{DATASETS}/{{dataset}}.log",
    wildcard_constraints:
        dataset="|".join(plan.parts()) or "none",
    conda:
        "../../envs/unlearning.yaml"
    threads: 1
    resources:
        mem_mb=6000,
        runtime=30,
    params:
        *code("part.py"),
        data=plan.of_original(plan.data),
        classes=plan.of_original(plan.of_dataset("classes")),
        part=plan.part,
        original=plan.of_dataset("part_of"),
        unwatched=plan.unwatched_of_original(),
    script:
        "../../scripts/part.py"


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
        mem_mb=2000,
        runtime=10,
    params:
        *code("split.py"),
        data=plan.data,
        classes=plan.of_dataset("classes"),
        unwatched=plan.unwatched(),
    script:
        "../../scripts/split.py"
