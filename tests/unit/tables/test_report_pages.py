"""The pages of the report that are not the table."""

import json

import pandas
import pytest
from project import ROOT

from unlearning.files import read_json, read_table
from unlearning.shown_paths import PAGE
from unlearning.tables.audit import audit_blocks, audits_of, render_audits
from unlearning.tables.blocks import WARNING, Grid, Items, Listing, Terms, Words
from unlearning.tables.columns import FILES, dictionary
from unlearning.tables.html_page import as_html
from unlearning.tables.report_pages import configuration, costs, origin

REFERENCE = ROOT / "results/reference"


@pytest.fixture(scope="module")
def provenance():
    return read_json(REFERENCE / "digits-provenance.json")["runs"][0]


@pytest.fixture(scope="module")
def cells():
    return read_table(REFERENCE / "digits-metrics.csv")


def of_kind(blocks, kind):
    return [block for block in blocks if isinstance(block, kind)]


def test_the_configuration_names_what_was_compared_with_its_settings(provenance, cells):
    blocks = configuration(provenance["config"], cells)
    assert blocks[1].text.startswith("Suite `digits`: resnet20-digits-class0, vgg16bn-digits-class0, ")
    methods, benchmarks = of_kind(blocks, Grid)
    scrub = next(row for row in methods.rows if row[0] == "scrub")
    assert scrub[1] == "baseline"
    assert "temperature 4.0" in scrub[3]
    assert {row[0] for row in methods.rows} == set(cells["method"]) - {"original", "retrain"}
    assert [row[0] for row in benchmarks.rows] == ["resnet20-digits", "vgg16bn-digits", "mobilenetv2-digits"]
    protocol, whole = (json.loads(listing.text) for listing in of_kind(blocks, Listing))
    assert protocol == provenance["config"]["protocols"]["digits"]
    assert whole == provenance["config"]


def test_the_origin_has_the_commit_the_versions_and_what_was_trained_elsewhere(provenance):
    (grid,) = of_kind(origin(provenance), Grid)
    values = dict(grid.rows)
    assert values["commit of the project"].startswith(provenance["commit"])
    assert values["version of torch"] == provenance["versions"]["torch"]
    assert values["device of the jobs"] == "cpu"
    elsewhere = provenance | {"commit": None, "dirty": None, "carried": [{"rule": "pretrain", "commit": "abc"}]}
    blocks = origin(elsewhere)
    assert dict(of_kind(blocks, Grid)[0].rows)["commit of the project"] == "unknown: not in a git repository"
    assert of_kind(blocks, Items)[0].lines == ['rule "pretrain", commit "abc"']


def test_the_costs_are_those_of_the_jobs_and_their_sums():
    jobs = [
        {"rule": "pretrain", "benchmark": "a-b", "seed": 1, "seconds": 3600.0, "training_seconds": 3500.5},
        {"rule": "evaluate", "benchmark": "a-b-class0", "method": "scrub", "seed": 1, "seconds": 2.04},
        {"rule": "evaluate", "benchmark": "a-b-class0", "method": "delete", "seed": 2, "seconds": 3.0, "steps": 10.0},
    ]
    blocks = costs(pandas.DataFrame(jobs))
    assert blocks[1].text == "3 jobs made or measured a model, in 1.00 hours of computing."
    sums, each = of_kind(blocks, Grid)
    assert sums.rows == [["pretrain", "1", "3600.0", "3500.5"], ["evaluate", "2", "5.0", "–"]]
    assert each.titles == ["rule", "method", "benchmark", "seed", "seconds", "training_seconds", "steps"]
    assert each.rows[0] == ["pretrain", "–", "a-b", "1", "3600.0", "3500.5", "–"]
    assert each.rows[2] == ["evaluate", "delete", "a-b-class0", "2", "3.0", "–", "10"]
    assert set(each.meanings) <= set(each.titles)


def test_the_audit_says_on_its_page_what_it_says_in_the_terminal(cells):
    audits = audits_of(cells, read_table(REFERENCE / "digits-floor.csv"))
    text, blocks = " ".join(render_audits(audits).split()), audit_blocks(audits)
    assert "Left out, because the table has no values" in text
    assert all(" ".join(block.text.split()) in text for block in of_kind(blocks, Words) if block.role != WARNING)
    assert [block for block in of_kind(blocks, Words) if block.text.startswith("Left out, because")]
    grids = of_kind(blocks, Grid)
    assert len(grids) == 3
    for grid in grids:
        assert all(cell in text for row in grid.rows for cell in row)
    warnings = [block.text for block in of_kind(blocks, Words) if block.role == WARNING]
    assert warnings == [problem for audit in audits for problem in audit.problems()] != []
    assert all(f"FAIL: {warning}" in text for warning in warnings)


def test_the_page_of_the_columns_has_every_column():
    entries = [entry for terms in of_kind(dictionary(), Terms) for entry in terms.entries]
    assert len(entries) == sum(map(len, FILES.values()))
    html = as_html(dictionary(), PAGE)
    assert "<dt><code>retain_acc</code> (share, 0 to 1, ↑)</dt>" in html
    assert html.count("<dt>") == len(entries)
