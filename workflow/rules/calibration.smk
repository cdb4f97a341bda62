"""On request: the baselines with each line of the protocol otherwise that its publication leaves open."""

CALIBRATION = ["results/calibration.md"] if config["calibrate"] else []


rule calibrate:
    input:
        metrics=plan.calibrated("metrics.json", BASELINES, LINES),
        scores=plan.calibrated("scores.npz", BASELINES, LINES),
        published=relative([PUBLISHED])[0],
    output:
        report="results/calibration.md",
        rows="results/calibration.csv",
    log:
        "results/calibration.log",
    conda:
        "../../envs/unlearning.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        *code("calibrate.py"),
        lines=LINES,
        order=[plan.suite["benchmarks"], BASELINES, plan.suite["seeds"]],
        as_published=as_published(config),
    script:
        "../../scripts/calibrate.py"
