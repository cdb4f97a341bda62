"""make bench: the report from known numbers, and the documented runs."""

import csv
import re
from statistics import median

import pytest
from project import ROOT
from tabulate import tabulate

from benches.report import render_report

WHERE = {"device": "cpu, 1 thread", "precision": "float32", "torch": "2.13.0"}


def rows(part, unit, values, **columns):
    """Return rows of bench.csv: ``values`` has the name of each measurement, and its rounds."""
    return [
        {"part": part} | WHERE | columns | {"what": what, "round": number, "value": value, "unit": unit}
        for what, rounds in values.items()
        for number, value in enumerate(rounds)
    ]


def test_ratios_are_of_what_was_measured_side_by_side():
    """A machine that slows down in one round changes no ratio, but it would change the ratio of the medians."""
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
    # 10,000 test images at 500 per second, after four times 50,000 training images at 190 per second: 20 s of 1,072.6.
    assert "test accuracy of every 4th epoch takes: resnet20 1.9%." in report


def test_the_workflows_seconds_are_added_up():
    whole = rows("workflow", "s", {"wall clock": [20], "processor": [30]}, model="")
    jobs = rows("workflow", "s", {"imports": [4], "training": [15]}, model="pretrain")
    jobs += rows("workflow", "s", {"imports": [3], "evaluation": [5]}, model="evaluate")
    report = render_report([*whole, *rows("workflow", "s", {"other": [3]}, model="Snakemake"), *jobs])
    assert "Wall clock 20 s; processor 30 s, 1.50 times training and evaluation." in report
    (line,) = [line for line in report.splitlines() if line.startswith("| all ")]
    assert [cell.strip() for cell in line.split("|")[2:-1]] == ["0.0", "7.0", "0.0", "15.0", "5.0", "3.0", "30.0"]


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
    """The targets are for a CPU with one thread; the document says by how much they are met."""
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
