"""All cells together, and the table."""

PRETRAINING_COSTS = suite_cells(PRETRAINING + "/cost.json", ["original"])
RULE_COSTS = suite_cells(CELL + "/cost.json", ["retrain", *SUITE["methods"]])
EVALUATION_COSTS = suite_cells(CELL + "/evaluation_cost.json", [*REFERENCES, *SUITE["methods"]])


rule aggregate:
    input:
        metrics=suite_cells(CELL + "/metrics.json", [*REFERENCES, *SUITE["methods"]]),
        costs=list(dict.fromkeys(PRETRAINING_COSTS + RULE_COSTS + EVALUATION_COSTS)),
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
