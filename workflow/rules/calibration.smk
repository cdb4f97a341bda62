"""On request: rerun the baselines, changing one unpublished choice of the protocol at a time."""

CALIBRATION = ["results/calibration.md"] if chosen.calibrate else []


rule calibrate:
    input:
        metrics=plan.calibrated("metrics.json", BASELINES, CHOICES),
        scores=plan.calibrated("scores.npz", BASELINES, CHOICES),
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
        mem_mb=2000,
        runtime=10,
    params:
        *code("calibrate.py"),
        choices=CHOICES,
        order=[list(plan.suite.benchmarks), BASELINES, list(plan.suite.seeds)],
        as_published=as_published(config),
    script:
        "../../scripts/calibrate.py"
