"""On request: every method's grid, at most eight settings, on a validation part of the training data."""

SWEEP = ["results/sweep.md"] if config["sweep"] else []
SWEPT = [name.replace("-class", f"{VALIDATION}-class") for name in SUITE["benchmarks"]]
SWEPT_ROWS = ["original", "retrain", *(variant for variants in VARIANTS.values() for variant in variants)]
SWEPT_CELLS = (SWEPT_ROWS, SWEPT, SUITE["seeds"][:1]) if config["sweep"] else ([], [], [])


# Of the training part alone: what the table is judged by is not looked at.
rule carve:
    input:
        dataset=dataset,
        code=code("carve.py"),
    output:
        dataset=f"results/datasets/{{dataset}}{VALIDATION}.npz",
    log:
        f"results/datasets/{{dataset}}{VALIDATION}.log",
    conda:
        "../../envs/unlearning.yaml"
    threads: 1
    resources:
        mem_mb=6000,
        runtime=30,
    params:
        code=code_digest("carve.py"),
        data=data_digest,
        classes=dataset_settings("classes"),
        share=config["validation_share"],
    script:
        "../../scripts/carve.py"


rule sweep:
    input:
        metrics=cell_files("metrics.json", *SWEPT_CELLS),
        scores=cell_files("scores.npz", *SWEPT_CELLS),
        code=code("sweep.py"),
    output:
        report="results/sweep.md",
        rows="results/sweep.csv",
        plot="results/sweep.png",
    log:
        "results/sweep.log",
    conda:
        "../../envs/unlearning.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        code=code_digest("sweep.py"),
        # As pairs, because their order is that of the report and Snakemake compares parameters by their text.
        variants=[
            (variant, name, by_key(config["methods"][variant]["hyperparameters"]))
            for name, variants in VARIANTS.items()
            for variant in variants
        ],
        kinds={variant: config["methods"][variant]["kind"] for variant in SWEPT_ROWS[2:]},
        seed=SUITE["seeds"][0],
        share=config["validation_share"],
    script:
        "../../scripts/sweep.py"
