"""make bench: its report from known numbers, its mistakes, and one small run."""

import csv
import os
import re
import subprocess
import sys
from statistics import median

import pytest
from conftest import ROOT
from tabulate import tabulate

from benches.report import render_report
from benches.workflow import large_plan, training_of

WHERE = {"device": "cpu, 1 thread", "precision": "float32", "torch": "2.13.0"}


def rows(part, unit, values, **columns):
    """Return rows of bench.csv: ``values`` has what was measured, and its rounds."""
    return [
        {"part": part} | WHERE | columns | {"what": what, "round": number, "value": value, "unit": unit}
        for what, rounds in values.items()
        for number, value in enumerate(rounds)
    ]


def bench(folder, *arguments):
    command, environment = [sys.executable, "-m", "commands.bench", *arguments], {"PYTHONPATH": str(ROOT / "scripts")}
    return subprocess.run(command, cwd=folder, env=os.environ | environment, text=True, capture_output=True)


def test_ratios_are_of_what_was_measured_side_by_side():
    """A machine that slows down in one round changes no ratio, but would change that of the medians."""
    rates = {
        "bare step, default layout": [100, 50, 100],
        "bare step, our layout": [200, 100, 200],
        "our loop": [190, 95, 198],
        "conventional loop": [95, 50, 99],
        "evaluation": [500, 250, 500],
    }
    report = render_report(rows("training", "images/s", rates, model="resnet20"))
    assert "Median (smallest – largest) of\n3 rounds" in report
    (line,) = [line for line in report.splitlines() if line.startswith("| resnet20")]
    cells = [cell.strip() for cell in line.split("|")[2:-1]]
    assert cells[:4] == ["100 (50 – 100)", "200 (100 – 200)", "190 (95 – 198)", "95.0 (50.0 – 99.0)"]
    assert cells[4:] == ["1.900", "0.950", "2.000"]
    # 10,000 test images at 500 a second, after four times 50,000 training images at 190: 20 s of 1,072.6.
    assert "test accuracy of every 4th epoch takes: resnet20 1.9%." in report


def test_the_workflows_seconds_are_added_up():
    whole = rows("workflow", "s", {"wall clock": [20], "processor": [30]}, model="")
    jobs = rows("workflow", "s", {"imports": [4], "training": [15]}, model="pretrain")
    jobs += rows("workflow", "s", {"imports": [3], "evaluation": [5]}, model="evaluate")
    report = render_report([*whole, *rows("workflow", "s", {"other": [3]}, model="Snakemake"), *jobs])
    assert "Wall clock 20 s; processor 30 s, 1.50 times training and evaluation." in report
    (line,) = [line for line in report.splitlines() if line.startswith("| all ")]
    assert [cell.strip() for cell in line.split("|")[2:-1]] == ["0.0", "7.0", "0.0", "15.0", "5.0", "3.0", "30.0"]


def test_a_plan_of_600_cells_and_a_long_training_stay_small(tmp_path):
    assert large_plan(tmp_path).peak_mb < 500
    short, long = (training_of(epochs, tmp_path).peak_mb for epochs in (2, 20))
    assert long < 1.05 * short


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--method", "scrubb"], "--method scrubb: not in config.yaml, which has head_mask, "),
        (["--model", "alexnet"], "invalid choice: 'alexnet'"),
        (["--device", "gpu"], "invalid choice: 'gpu'"),
    ],
)
def test_a_mistake_is_named_in_one_line(tmp_path, arguments, message):
    done = bench(tmp_path, *arguments)
    assert done.returncode == 2
    assert message in done.stderr.splitlines()[-1]
    assert not (tmp_path / "results").exists()


def test_a_narrowed_run_writes_what_it_measured(tmp_path):
    arguments = ["--device", "cpu", "--unlearning", "--model", "resnet20", "--method", "head_mask"]
    done = bench(tmp_path, *arguments, "--rounds", "2", "--seconds", "0.01")
    assert done.returncode == 0, done.stderr
    written = list(csv.DictReader((tmp_path / "results/bench.csv").read_text().splitlines()))
    assert [(row["what"], row["round"]) for row in written] == [
        ("bare step", "0"),
        ("our loop", "0"),
        ("bare step", "1"),
        ("our loop", "1"),
    ]
    assert all(float(row["value"]) > 0 for row in written)
    assert (tmp_path / "results/bench.md").read_text() == render_report(written)
    assert "| resnet20 | head_mask |" in render_report(written)


# --- the documentation

REFERENCE = ROOT / "results/reference"
DOCUMENT = (ROOT / "docs/performance.md").read_text()


def read(name):
    return list(csv.DictReader((REFERENCE / name).read_text().splitlines()))


def tables_of(text):
    return [block.strip() for block in re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE)]


@pytest.mark.parametrize("name", ["bench", "bench-avx512", "bench-default-allocator"])
def test_the_documentation_shows_the_reference_run(name):
    report = render_report(read(f"{name}.csv"))
    assert report == (REFERENCE / f"{name}.md").read_text()
    for table in tables_of(report):
        assert table in DOCUMENT
    for line in re.findall(r"^(?:Share of|Wall clock) .*$", report, re.MULTILINE):
        assert line in DOCUMENT or name == "bench-default-allocator"


def test_the_documented_steps_are_those_that_were_measured():
    rows = [[value or "–" for value in row.values()] for row in read("steps.csv")]
    titles = ["step", "processor s", "of it Snakemake's own", "wall clock s"]
    table = tabulate(rows, titles, "pipe", colalign=["left", *["right"] * 3], disable_numparse=True)
    assert table in DOCUMENT


def test_the_targets_are_met():
    """On a CPU with one thread; by how much is in the document."""
    rates = {}
    for row in read("bench.csv"):
        if row["part"] == "training":
            rates.setdefault((row["model"], row["what"]), []).append(float(row["value"]))

    def ratio(model, other):
        return median(a / b for a, b in zip(rates[model, "our loop"], rates[model, other], strict=True))

    for model in ("resnet20", "vgg16bn", "mobilenetv2"):
        assert ratio(model, "bare step, our layout") >= 0.97
        assert ratio(model, "conventional loop") >= 1
    assert ratio("resnet20", "bare step, default layout") >= 1.05
    assert ratio("mobilenetv2", "bare step, default layout") >= 1.4
    shares = re.findall(r"\w+ (\d\.\d)%", re.search(r"^Share of the time .*", DOCUMENT, re.MULTILINE)[0])
    assert len(shares) == 3
    assert max(map(float, shares)) <= 2
    assert float(re.search(r"processor \d+ s, (\d\.\d\d) times", DOCUMENT)[1]) <= 1.5
