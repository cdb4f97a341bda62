"""The table as a page, opened in a real browser without a network, and its HTML where the browser cannot tell."""

import re
from functools import cache

import pytest
from browser import CHROMIUM, MISSING, Browser
from project import ROOT

from unlearning.shown_paths import PAGE
from unlearning.tables.blocks import LEGEND, WARNING, Grid, Heading, Items, Words, as_markdown
from unlearning.tables.comparison import table_blocks
from unlearning.tables.html_page import as_html
from unlearning.tables.reference import numbers_of

needs_browser = pytest.mark.skipif(CHROMIUM is None, reason=MISSING)


@cache
def kept(suite):
    """Return the blocks of a table in results/reference/."""
    return table_blocks(numbers_of(suite), suite)


ROWS = [
    ["*original*", "0.988 (.98–.99)", "0.400", "–"],
    ["*retrain* (the oracle)", "0.990", "0.500", "–"],
    ["", "", "", ""],
    ["alpha_beta", "**0.900** (.88–.92)", "+0.010 ± 0.004 ▲", "own"],
    ["gamma", "0.100", "-0.200 ± 0.004", "authors"],
    ["delta", "failed (1 of 3 seeds)", "–", "–"],
    ["epsilon", "1.000", "-0.020", "tuned"],
]
MEANINGS = {"score ↑": "share of <right> answers, 95 % & more", "− alpha_beta": "a difference"}
BLOCKS = [
    Heading("Bench: suite `a_b`", 1),
    Words("Seeds 1"),
    Words("**Bold**: the *best*; 1 − AUC < .5 & more", LEGEND),
    Heading("net-data-class0"),
    Words("Nothing to forget: *original* never knew it", WARNING),
    Grid("Scores", ["method", "score ↑", "− alpha_beta", "settings"], ROWS, "", MEANINGS),
    Items(["delta, seed 1: failed: ValueError: <script>alert(1)</script> *a* | **b** `c`"]),
    Heading("Do the metrics agree?"),
    Grid("Agreement", ["", "one", "two"], [["one", "1.00", "–"], ["two", "0.50", "1.00"]]),
]


@pytest.fixture(scope="module")
def browser():
    with Browser() as browser:
        yield browser


@pytest.fixture
def page(tmp_path):
    """Return the file of the page of BLOCKS."""
    file = tmp_path / "table.html"
    file.write_text(as_html(BLOCKS, PAGE))
    return file


def test_a_page_needs_nothing_else():
    html = as_html(BLOCKS, PAGE)
    assert not re.search(r"https?:|//\w|@import|url\(|type=.module|<link (?!rel=\"icon\" href=\"data:,\")", html)
    assert "default-src 'none'" in html


def test_the_first_click_on_a_difference_or_a_score_puts_the_largest_on_top():
    html = as_html(kept("digits"), PAGE)
    assert 'data-first="descending">− scrub</th>' in html
    assert re.search(r'data-first="descending">unlearn_score <span', html)
    assert re.search(r'<th scope="col" title="[^"]*">gap <span', html)  # the smallest first


def test_what_a_method_said_is_no_markup():
    html = as_html(BLOCKS, PAGE)
    assert "<li>delta, seed 1: failed: ValueError: &lt;script&gt;alert(1)&lt;/script&gt; *a* | **b** `c`</li>" in html
    assert "share of &lt;right&gt; answers, 95 % &amp; more" in html
    assert "1 − AUC &lt; .5 &amp; more" in html
    assert "`c` *" not in as_markdown(BLOCKS)
    assert as_markdown(BLOCKS).count("\\|") == 1


def test_every_cell_of_the_table_is_on_the_page():
    """Of the digits: the same blocks are the table in Markdown, which other tests compare."""
    blocks = kept("digits")
    text = re.sub(r"<.*?>", "", as_html(blocks, PAGE).split("<body>")[1])
    for block in blocks:
        if isinstance(block, Grid):
            for cell in (cell for row in block.rows for cell in row):
                assert re.sub(r"\*+", "", cell) in text


@needs_browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1440])
def test_the_digits_table_fits_the_window_is_quiet_and_asks_for_nothing(browser, tmp_path, width, scheme):
    file = tmp_path / "table.html"
    file.write_text(as_html(kept("digits"), PAGE))
    browser.open(file, width, scheme=scheme)
    assert browser.overflow() == 0
    assert (browser.complaints(), browser.asked_outside()) == ([], [])
    wide = "[...document.querySelectorAll('.scroll')].filter(each => each.scrollWidth > each.clientWidth).length"
    assert (browser.run(wide) > 0) == (width == 390)  # a wide table scrolls inside of its frame
    assert browser.run("document.querySelectorAll('table').length") == 16
    paper = browser.run("getComputedStyle(document.body).backgroundColor")
    assert paper == {"light": "rgb(255, 255, 255)", "dark": "rgb(20, 23, 27)"}[scheme]


@needs_browser
@pytest.mark.parametrize(
    "planted",
    [
        '<img src="https://example.org/a.png">',
        '<script src="https://example.org/a.js"></script>',
        '<link rel="stylesheet" href="https://example.org/a.css">',
        "<script>fetch('https://example.org/')</script>",
    ],
)
def test_something_from_outside_is_found(browser, page, planted):
    """By the policy in the page, and also without it."""
    html = page.read_text().replace("</main>", f"</main>{planted}")
    page.write_text(html)
    browser.open(page)
    assert any("example.org" in str(complaint) for complaint in browser.complaints())
    page.write_text(re.sub(r"<meta http-equiv=.*?>", "", html))
    browser.open(page)
    assert [each.startswith("https://example.org/") for each in browser.asked_outside()] == [True]


@needs_browser
def test_an_error_of_the_program_is_found(browser, page):
    page.write_text(page.read_text().replace('"use strict";', '"use strict"; missing();'))
    browser.open(page)
    assert "missing is not defined" in str(browser.complaints())


def names(browser):
    rows = "[...document.querySelectorAll('table.named tbody tr')].filter(row => !row.hidden)"
    return browser.run(f"{rows}.map(row => row.cells[0].textContent)")


def click(browser, column):
    browser.run(f"document.querySelectorAll('table.named thead button')[{column}].click()")
    return browser.run(f"document.querySelectorAll('table.named thead th')[{column}].getAttribute('aria-sort')")


FIRST = ["original", "retrain (the oracle)"]


@needs_browser
def test_a_click_sorts_within_the_groups_better_values_first_and_the_third_restores_the_order(browser, page):
    browser.open(page)
    written = [*FIRST, "alpha_beta", "gamma", "delta", "epsilon"]
    assert names(browser) == written
    assert click(browser, 1) == "descending"  # higher is better
    assert names(browser) == ["retrain (the oracle)", "original", "epsilon", "alpha_beta", "gamma", "delta"]
    assert click(browser, 1) == "ascending"
    assert names(browser) == [*FIRST, "gamma", "alpha_beta", "epsilon", "delta"]  # what failed stays last
    assert click(browser, 1) == "none"
    assert names(browser) == written
    assert click(browser, 2) == "ascending"
    assert names(browser) == [*FIRST, "gamma", "epsilon", "alpha_beta", "delta"]
    assert click(browser, 3) == "ascending"
    assert names(browser) == [*FIRST, "gamma", "alpha_beta", "epsilon", "delta"]  # authors, own, tuned
    assert click(browser, 0) == "ascending"
    assert names(browser) == [*FIRST, "alpha_beta", "delta", "epsilon", "gamma"]
    assert browser.run("document.querySelectorAll('[aria-sort]:not([aria-sort=none])').length") == 1


@needs_browser
def test_the_headings_and_the_search_work_by_keyboard(browser, page):
    browser.open(page)
    browser.run("document.querySelectorAll('table.named thead button')[1].focus()")
    browser.press("Enter", 13)
    assert names(browser)[:2] == FIRST[::-1]
    browser.run("document.querySelector('#search').focus()")
    browser.type("GAM eps")
    assert names(browser) == ["retrain (the oracle)", "original", "epsilon", "gamma"]
    assert browser.run("document.querySelector('output').textContent") == "2 of 4 shown"
    browser.run("document.querySelector('#search').select()")
    browser.type("nobody")
    assert names(browser) == FIRST[::-1]
    assert (
        browser.run("document.querySelectorAll('table:not(.named) tbody tr').length") == 2
    )  # no methods: not searched


@needs_browser
def test_columns_are_explained_and_links_lead_to_benchmarks(browser, page):
    browser.open(page)
    assert browser.run("document.querySelectorAll('thead th')[1].title") == MEANINGS["score ↑"]
    assert browser.run("document.querySelector('details.meanings dd').textContent") == MEANINGS["score ↑"]
    lead = "[...document.querySelectorAll('nav a')].map(a => document.querySelector(a.getAttribute('href')).innerText)"
    assert [text.split("\n")[0] for text in browser.run(lead)] == ["net-data-class0", "Do the metrics agree?"]


@needs_browser
def test_the_legend_is_open_unless_the_screen_is_small(browser, page):
    is_open = "document.querySelector('details.legend').open"
    browser.open(page, 390)
    assert browser.run(is_open) is False
    browser.run("window.dispatchEvent(new Event('beforeprint'))")
    assert browser.run(is_open) is True
    browser.open(page)
    assert browser.run(is_open) is True


def test_the_program_is_of_the_kind_that_every_browser_runs():
    script = (ROOT / "workflow/report/page.js").read_text()
    assert not re.search(r"=>|\b(?:let|const|class|import|export|async)\b|`", re.sub(r"//.*", "", script))
