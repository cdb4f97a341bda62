"""All cells together, and the table."""

METRICS = cell_files("metrics.json", ROWS)
SCORES = cell_files("scores.npz", ROWS)
COSTS = [
    *suite_files("results/{model}-{dataset}/seed{seed}/cost.json", ["original"]),
    *cell_files("cost.json", ["retrain", *SUITE["methods"]]),
    *cell_files("evaluation_cost.json", ROWS),
]


rule aggregate:
    input:
        metrics=METRICS,
        scores=SCORES,
        on_request=[
            *(cell_files("relearning.json", ROWS) if RELEARNING else []),
            *(cell_files("ulira.json", ROWS) if SHADOW_MODELS else []),
        ],
        costs=COSTS,
        code=code("aggregate.py"),
    output:
        metrics="results/metrics.csv",
        costs="results/costs.csv",
        summary="results/summary.csv",
        comparisons="results/comparisons.csv",
        provenance="results/provenance.json",
    log:
        "results/aggregate.log",
    conda:
        "../../envs/unlearning.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        code=code_digest("aggregate.py"),
        missing=missing(*METRICS, *SCORES, *COSTS),
        kinds=kinds_of_rows(),
        settings=settings_of_rows(),
        order=[SUITE["benchmarks"], SUITE["seeds"]],  # Snakemake itself compares inputs without their order
    script:
        "../../scripts/aggregate.py"


TABLES = [
    f"results/{name}" for name in ("metrics.csv", "costs.csv", "summary.csv", "comparisons.csv", "provenance.json")
]


rule table:
    input:
        metrics="results/metrics.csv",
        costs="results/costs.csv",
        beside=TABLES,  # not shown in it, but to be there with it
        published=relative([Path(workflow.basedir) / "resources" / "published.csv"])[0],
        code=code("table.py"),
    output:
        table="results/table.md",
        dictionary="results/metrics.md",
    log:
        "results/table.log",
    conda:
        "../../envs/unlearning.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        code=code_digest("table.py"),
        missing=missing(*TABLES),
        suite=config["suite"],
        as_published=as_published(config),
    script:
        "../../scripts/table.py"
