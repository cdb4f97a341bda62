"""On request: the grid of every method, at most eight settings, on a validation part of the training data."""

SWEEP = ["results/sweep.md"] if chosen.sweep else []
SWEPT = [name.replace("-class", f"{VALIDATION}-class") for name in plan.suite.benchmarks]
SWEPT_ROWS = ["original", "retrain", *(variant for variants in VARIANTS.values() for variant in variants)]
SWEPT_CELLS = (SWEPT_ROWS, SWEPT, plan.suite.seeds[:1]) if chosen.sweep else ([], [], [])


# Only the training part is used: a sweep never reads the test data, on which the table is measured.
rule carve:
    input:
        dataset=plan.dataset,
    output:
        dataset=f"{DATASETS}/{{dataset}}{VALIDATION}.npz",
    log:
        f"{DATASETS}/{{dataset}}{VALIDATION}.log",
    conda:
        "../../envs/unlearning.yaml"
    threads: 1
    resources:
        mem_mb=6000,
        runtime=30,
    params:
        *code("carve.py"),
        data=plan.data,
        classes=plan.of_dataset("classes"),
        share=chosen.validation_share,
        unwatched=plan.unwatched(),
    script:
        "../../scripts/carve.py"


rule sweep:
    input:
        metrics=plan.cells("metrics.json", *SWEPT_CELLS),
        scores=plan.cells("scores.npz", *SWEPT_CELLS),
        style=relative([STYLE])[0],
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
        mem_mb=2000,
        runtime=10,
    params:
        *code("sweep.py"),
        # As pairs, because the report keeps their order, and Snakemake compares parameters by their text.
        variants=[
            (variant, name, by_meaning(chosen.methods[variant].hyperparameters))
            for name, variants in VARIANTS.items()
            for variant in variants
        ],
        kinds={variant: chosen.methods[variant].kind for variant in SWEPT_ROWS[2:]},
        benchmarks=SWEPT,
        seed=plan.suite.seeds[0],
        share=chosen.validation_share,
    script:
        "../../scripts/sweep.py"
