"""Join all cells, and render the table."""


rule aggregate:
    input:
        metrics=plan.table_cells("metrics.json"),
        scores=plan.table_cells("scores.npz"),
        compared=plan.table_cells("compare.json"),
        on_request=plan.on_request(),
        oracles=plan.cells("features.npz", ["retrain"]),
        shadow_oracles=plan.shadow_oracles(),
        costs=plan.costs(),
    output:
        **TABLES,
        provenance="results/provenance.json",
    log:
        "results/aggregate.log",
    conda:
        "../../envs/unlearning.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        *code("aggregate.py"),
        missing=plan.missing(*plan.needed_for_the_table()),
        kinds=plan.kinds(),
        settings=plan.settings(),
        order=[list(plan.suite.benchmarks), list(plan.suite.seeds), by_meaning(plan.externals)],
        on_request=[chosen.is_relearning, chosen.shadows],
    script:
        "../../scripts/aggregate.py"


rule table:
    input:
        **TABLES,
        provenance="results/provenance.json",  # not shown in the table, but has to be there with it
        published=relative([PUBLISHED])[0],
        page=relative(PAGE),
    output:
        table="results/table.md",
        dictionary="results/metrics.md",
        page="results/table.html",
        latex="results/table.tex",
    log:
        "results/table.log",
    conda:
        "../../envs/unlearning.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        *code("table.py"),
        missing=plan.missing(*TABLES.values(), "results/provenance.json"),
        suite=chosen.suite,
        as_published=as_published(config),
    script:
        "../../scripts/table.py"
