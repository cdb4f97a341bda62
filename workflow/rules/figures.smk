"""On request (make figures): figures of the finished table. The table does not wait for them."""

ALWAYS_DRAWN = ["tradeoff", "scores", "attack", "cost", "routing", "agreement", "curves"]


rule figures:
    input:
        expand(
            FIGURE,
            figure=[*ALWAYS_DRAWN, *(["relearning"] if chosen.is_relearning else [])],
            benchmark=plan.suite.benchmarks,
            format=FIGURE_FORMATS,
        ),
        expand(FIGURE, figure="sensitivity", benchmark=SWEPT if chosen.sweep else [], format=FIGURE_FORMATS),


rule draw_tradeoff:
    input:
        metrics=TABLES["metrics"],
        published=relative([PUBLISHED])[0],
        style=relative([STYLE])[0],
    output:
        **drawn("tradeoff", "Results", "retain_acc and AUC"),
    log:
        "results/figures/tradeoff-{benchmark}.log",
    conda:
        "../../envs/unlearning.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        *code("draw_tradeoff.py"),
        as_published=as_published(config),
    script:
        "../../scripts/draw_tradeoff.py"


rule draw_scores:
    input:
        metrics=TABLES["metrics"],
        summary=TABLES["summary"],
        published=relative([PUBLISHED])[0],
        style=relative([STYLE])[0],
    output:
        **drawn("scores", "Results", "unlearn_score"),
    log:
        "results/figures/scores-{benchmark}.log",
    conda:
        "../../envs/unlearning.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        *code("draw_scores.py"),
        as_published=as_published(config),
    script:
        "../../scripts/draw_scores.py"


rule draw_attack:
    input:
        metrics=TABLES["metrics"],
        scores=lambda wildcards: plan.cells("scores.npz", plan.rows, [wildcards.benchmark]),
        style=relative([STYLE])[0],
    output:
        **drawn("attack", "Erasure", "membership attack"),
    log:
        "results/figures/attack-{benchmark}.log",
    conda:
        "../../envs/unlearning.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        *code("draw_attack.py"),
    script:
        "../../scripts/draw_attack.py"


rule draw_cost:
    input:
        metrics=TABLES["metrics"],
        costs=TABLES["costs"],
        floor=TABLES["floor"],
        style=relative([STYLE])[0],
    output:
        **drawn("cost", "Costs", "seconds"),
    log:
        "results/figures/cost-{benchmark}.log",
    conda:
        "../../envs/unlearning.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        *code("draw_cost.py"),
    script:
        "../../scripts/draw_cost.py"


rule draw_routing:
    input:
        metrics=TABLES["metrics"],
        compared=lambda wildcards: plan.cells("compare.json", plan.rows, [wildcards.benchmark]),
        style=relative([STYLE])[0],
    output:
        **drawn("routing", "Erasure", "routing"),
    log:
        "results/figures/routing-{benchmark}.log",
    conda:
        "../../envs/unlearning.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        *code("draw_routing.py"),
    script:
        "../../scripts/draw_routing.py"


rule draw_agreement:
    input:
        agreement=TABLES["agreement"],
        style=relative([STYLE])[0],
    output:
        **drawn("agreement", "Metrics", "Kendall's τ"),
    log:
        "results/figures/agreement-{benchmark}.log",
    conda:
        "../../envs/unlearning.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        *code("draw_agreement.py"),
    script:
        "../../scripts/draw_agreement.py"


rule draw_curves:
    input:
        metrics=TABLES["metrics"],
        pretraining=lambda wildcards: plan.files(f"{PRETRAINING}/history.csv", ["original"], [wildcards.benchmark]),
        histories=lambda wildcards: plan.cells("history.csv", ["retrain", *plan.suite.methods], [wildcards.benchmark]),
        style=relative([STYLE])[0],
    output:
        **drawn("curves", "Training", "accuracy by epoch"),
    log:
        "results/figures/curves-{benchmark}.log",
    conda:
        "../../envs/unlearning.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        *code("draw_curves.py"),
    script:
        "../../scripts/draw_curves.py"


rule draw_relearning:
    input:
        metrics=TABLES["metrics"],
        summary=TABLES["summary"],
        relearned=lambda wildcards: (
            plan.cells("relearning.json", plan.rows, [wildcards.benchmark]) if chosen.is_relearning else []
        ),
        style=relative([STYLE])[0],
    output:
        **drawn("relearning", "Erasure", "relearning"),
    log:
        "results/figures/relearning-{benchmark}.log",
    conda:
        "../../envs/unlearning.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        *code("draw_relearning.py"),
    script:
        "../../scripts/draw_relearning.py"


rule draw_sensitivity:
    input:
        sweep="results/sweep.csv",
        style=relative([STYLE])[0],
    output:
        **drawn("sensitivity", "Settings", "gap by setting"),
    log:
        "results/figures/sensitivity-{benchmark}.log",
    conda:
        "../../envs/unlearning.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        *code("draw_sensitivity.py"),
    script:
        "../../scripts/draw_sensitivity.py"
