"""All cells together, and the table."""

ROWS = [*REFERENCES, *SUITE["methods"]]


rule aggregate:
    input:
        metrics=cell_files("metrics.json", ROWS),
        costs=[
            *suite_files("results/{model}-{dataset}/seed{seed}/cost.json", ["original"]),
            *cell_files("cost.json", ["retrain", *SUITE["methods"]]),
            *cell_files("evaluation_cost.json", ROWS),
        ],
        code=code("aggregate.py"),
    output:
        metrics="results/metrics.csv",
        costs="results/costs.csv",
    log:
        "results/aggregate.log",
    conda:
        "../../envs/unlearning.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    script:
        "../../scripts/aggregate.py"


rule table:
    input:
        metrics="results/metrics.csv",
        costs="results/costs.csv",
        code=code("table.py"),
    output:
        table="results/table.md",
    log:
        "results/table.log",
    conda:
        "../../envs/unlearning.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        suite=config["suite"],
    script:
        "../../scripts/table.py"
