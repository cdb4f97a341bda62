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
        **{name: in_report(path, "numbers", "Numbers", file=Path(path).name) for name, path in TABLES.items()},
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
        suite=chosen.suite,
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
        page=in_report("results/table.html", "table", "All tables", page="To sort and search"),
        latex=in_report("results/table.tex", "latex", "All tables", page="For LaTeX"),
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


PAGES = {name: f"results/report/{name}.html" for name in ("columns", "audit", "configuration", "origin", "costs")}


rule report_pages:
    input:
        metrics=TABLES["metrics"],
        floor=TABLES["floor"],
        costs=TABLES["costs"],
        provenance="results/provenance.json",
        page=relative(PAGE),
    output:
        columns=in_report(PAGES["columns"], "columns", "Explanations", page="What the columns mean"),
        audit=in_report(PAGES["audit"], "audit", "Explanations", page="Can the checks tell erasure?"),
        configuration=in_report(PAGES["configuration"], "configuration", "Origin", page="Configuration"),
        origin=in_report(PAGES["origin"], "origin", "Origin", page="Code, versions, devices"),
        costs=in_report(PAGES["costs"], "costs", "Origin", page="What the jobs took"),
    log:
        "results/report_pages.log",
    conda:
        "../../envs/unlearning.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        *code("report_pages.py"),
        missing=plan.missing(*(TABLES[name] for name in ("metrics", "floor", "costs")), "results/provenance.json"),
    script:
        "../../scripts/report_pages.py"
