"""The report: made by the real Snakemake, unpacked, and opened in a real browser without a network."""

import json
import re
import shutil
import zipfile

import pytest
from browser import CHROMIUM, MISSING, Browser
from project import ROOT, Project

needs_browser = pytest.mark.skipif(CHROMIUM is None, reason=MISSING)

MADE = ("all", "figures", "report_pages")
REPORT = (*MADE, "--report", "results/report.zip", "--report-stylesheet", "workflow/report/report.css")
PAGES = ["audit", "columns", "configuration", "costs", "origin", "table"]

KNOWN = "cdn.tailwindcss.com should not be used in production"
"""What Snakemake's own page of the report says in the console. The style is in the page; nothing is asked for there."""


@pytest.fixture(scope="module")
def project(finished_project, tmp_path_factory):
    """Return a finished project that has a report. A test that edits it must undo the edit."""
    project = Project.at(shutil.copytree(finished_project.folder, tmp_path_factory.mktemp("report") / "copy"))
    project.make(*MADE)
    project.make(*REPORT)
    return project


def unpacked(project, folder):
    with zipfile.ZipFile(project.folder / "results/report.zip") as archive:
        archive.extractall(folder)
    return folder / "report"


@pytest.fixture
def report(project, tmp_path):
    """Return the folder that a colleague gets."""
    return unpacked(project, tmp_path)


@pytest.fixture(scope="module")
def browser():
    with Browser() as browser:
        yield browser


def content(report, name):
    """Return a part of Snakemake's page, which holds the report as JSON."""
    text = (report / "report.html").read_text()
    return json.loads(re.search(rf"<script id=[^>]*>\s*var {name} = (.*);\s*</script>", text)[1])


def test_the_report_has_the_table_the_numbers_and_their_origin_each_explained(report):
    results = content(report, "results")
    files = {path.rpartition("/")[2] for path in results}
    assert files >= {f"{page}.html" for page in PAGES}
    assert files >= {"table.tex", "metrics.csv", "summary.csv", "costs.csv"}
    for path, result in results.items():
        assert len(result["caption"]) > 50, path
        assert result["labels"], path
        assert (report / result["data_uri"]).is_file(), path
    assert set(content(report, "categories")) >= {"All tables", "Numbers", "Origin", "Explanations"}


def test_the_introduction_says_what_was_compared(report):
    text = " ".join(re.sub(r"<.*?>", "", content(report, "workflow_desc")).split())
    assert "Suite digits: 5 methods and controls on 1 benchmark (resnet20-digits-class0), seed 1." in text
    for word in ("unlearn_score", "head_mask", "the oracle", "never saw the class"):
        assert word in text
    assert "System Message" not in text  # how docutils marks a mistake in the text


def test_the_report_names_no_folder_of_the_machine_where_it_was_made(project, report):
    for file in (file for file in report.rglob("*") if file.is_file()):
        assert str(project.folder) not in file.read_text(), file


def test_an_edit_of_a_caption_remakes_the_report_alone(project, tmp_path):
    caption = project.folder / "workflow/report/table.rst"
    before = caption.read_text()
    caption.write_text(before + "\nRead this first.\n")
    try:
        assert project.planned(*MADE) == []
        project.make(*REPORT)
        result = content(unpacked(project, tmp_path), "results")["results/table.html"]
        assert "Read this first." in result["caption"]
    finally:
        caption.write_text(before)


def test_an_edit_of_the_style_remakes_the_pages_alone(project):
    style = project.folder / "workflow/report/page.css"
    before = style.read_text()
    style.write_text(before + "\nb { color: red }\n")
    try:
        assert project.planned(*MADE) == ["all", "report_pages", "table"]
    finally:
        style.write_text(before)
    assert project.planned(*MADE) == []


def test_a_page_that_was_deleted_is_made_again(project):
    """Snakemake does not miss an output that nobody asks for, and the report could then not be made."""
    for name, rule in {"table.html": "table", "report/origin.html": "report_pages"}.items():
        page = project.folder / "results" / name
        text = page.read_text()
        page.unlink()
        try:
            assert rule in project.planned(*MADE)
        finally:
            page.write_text(text)


@needs_browser
@pytest.mark.parametrize("width", [390, 1440])
def test_every_page_fits_the_window_is_quiet_and_asks_for_nothing(browser, report, width):
    pages = sorted(report.rglob("*.html"))
    assert len(pages) >= 1 + len(PAGES)
    for page in pages:
        browser.open(page, width)
        assert browser.asked_outside() == [], page
        complaints = [each for each in browser.complaints() if KNOWN not in str(each)]
        assert complaints == [], page
        assert browser.overflow() == 0, page


@needs_browser
def test_every_result_can_be_seen_in_the_report(browser, report):
    """As a reader sees it: the report shows an image or a page next to its menu."""
    browser.open(report / "report.html")
    shown = "const of = results['{}']; app.setView({{content: '{}', contentPath: of.data_uri, resultPath: '{}'}})"
    for path, result in content(report, "results").items():
        kind = result["mime_type"].partition("/")[0]
        if kind == "image":
            browser.run(f"{{{shown.format(path, 'img', path)}}}")
            image = f"[...document.querySelectorAll('img')].find(each => each.src.endsWith(\"{result['data_uri']}\"))"
            assert browser.run(f"{image}.decode().then(() => {image}.naturalWidth)") > 0, path
        elif path.endswith(".html"):
            browser.run(f"{{{shown.format(path, 'html', path)}}}")
            frames = browser.run("[...document.querySelectorAll('iframe')].map(each => each.src)")
            assert [frame.endswith(result["data_uri"]) for frame in frames] == [True], path
    assert browser.asked_outside() == []


@needs_browser
@pytest.mark.parametrize("width", [390, 1440])
def test_the_introduction_begins_within_the_window_and_leads_to_the_table(browser, report, width):
    browser.open(report / "report.html", width, height=600)
    top = "[...document.querySelectorAll('p')].find(p => p.textContent.startsWith('Machine unlearning'))"
    assert 0 <= browser.run(f"{top}.getBoundingClientRect().top") < 300
    browser.run("[...document.querySelectorAll('a')].find(a => a.textContent == 'the table').click()")
    browser.run("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done(1))))")
    assert browser.run("document.querySelector('iframe').src").endswith("/table.html")


@needs_browser
def test_something_from_outside_is_found_in_the_report(browser, report):
    page = report / "report.html"
    page.write_text(page.read_text().replace("</body>", '<img src="https://example.org/a.png"></body>'))
    browser.open(page)
    assert browser.asked_outside() == ["https://example.org/a.png"]


def test_the_style_of_the_report_is_for_this_snakemake():
    """The rules in report.css name classes of Snakemake's page: an upgrade that renames them shows here."""
    import snakemake.report.html_reporter as reporter

    components = (ROOT / reporter.__path__[0] / "template/components").glob("*.js")
    text = "".join(file.read_text() for file in components)
    for classes in ("h-screen overflow-auto", "prose prose-sm max-w-lg", "grow flex gap-3 p-3 items-start", "w-0"):
        assert classes in text
