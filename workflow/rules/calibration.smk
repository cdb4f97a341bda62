"""On request: the baselines with each line of the protocol that its publication leaves open otherwise."""

CALIBRATION = ["results/calibration.md"] if config["calibrate"] else []


rule calibrate:
    input:
        metrics=calibration_files("metrics.json") if config["calibrate"] else [],
        scores=calibration_files("scores.npz") if config["calibrate"] else [],
        published=relative([Path(workflow.basedir) / "resources" / "published.csv"])[0],
        code=code("calibrate.py"),
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
        code=code_digest("calibrate.py"),
        lines=LINES,
        order=[SUITE["benchmarks"], BASELINES, SUITE["seeds"]],
        as_published=as_published(config),
    script:
        "../../scripts/calibrate.py"
