"""A page as HTML: one file that needs nothing else, neither a network nor a server."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from itertools import pairwise
from pathlib import Path
from string import Template

from unlearning.tables.blocks import LEGEND, WARNING, Block, Grid, Heading, Items, Listing, Terms, Words
from unlearning.tables.columns import ARROWS, HIGHER
from unlearning.tables.markup import marked_up, slug

_MARKS = {"strong": ("<strong>", "</strong>"), "emphasis": ("<em>", "</em>"), "code": ("<code>", "</code>")}
LONG = 40
"""A text with more characters may take several lines."""

_NUMBER = re.compile(r"\**([+-]?\d*\.?\d+)")

SEARCH = """\
<div class="tools" role="search" hidden>
<label for="search">Find methods</label>
<input id="search" type="search" placeholder="a part of a name, or several" autocomplete="off" spellcheck="false">
<output for="search"></output>
</div>"""


def as_html(blocks: Sequence[Block], files: Sequence[str | Path]) -> str:
    """Return a page. ``files`` are the frame of a page (.html), its style (.css) and its program (.js)."""
    frame, style, script = (_text_of(files, suffix) for suffix in (".html", ".css", ".js"))
    title = next(block.text for block in blocks if isinstance(block, Heading))
    body = "\n".join(_body(blocks))
    return Template(frame).substitute(title=escape(title.replace("`", "")), style=style, script=script, body=body)


def _text_of(files: Sequence[str | Path], suffix: str) -> str:
    (file,) = (Path(file) for file in files if Path(file).suffix == suffix)
    return file.read_text(encoding="utf-8")


def _body(blocks: Sequence[Block]) -> Iterator[str]:
    """Yield the parts of the page: what stands on top, and a section for each heading of level 2."""
    starts = {index: block.text for index, block in enumerate(blocks) if isinstance(block, Heading) and block.level > 1}
    ends = [*starts, len(blocks)]
    top = blocks[: ends[0]]
    legend = [block for block in top if isinstance(block, Words) and block.role == LEGEND]
    yield "<main>"
    yield from (_html(block) for block in top if block not in legend)
    if legend:
        yield _legend(legend)
    if len(starts) > 1:
        yield _contents(list(starts.values()))
    if any(isinstance(block, Grid) and block.names_methods for block in blocks):
        yield SEARCH
    for start, end in pairwise(ends):
        yield "\n".join([f'<section id="{slug(starts[start])}">', *map(_html, blocks[start:end]), "</section>"])
    yield "</main>"


def _contents(places: Sequence[str]) -> str:
    links = "\n".join(f'<a href="#{slug(place)}">{_text(place)}</a>' for place in places)
    return f'<nav class="contents" aria-label="On this page">\n{links}\n</nav>'


def _legend(blocks: Sequence[Block]) -> str:
    paragraphs = "\n".join(map(_html, blocks))
    summary = "<summary>How to read the tables</summary>"
    return f'<details class="legend" open>\n{summary}\n<div>\n{paragraphs}\n</div>\n</details>'


def _html(block: Block) -> str:
    match block:
        case Heading():
            return f"<h{block.level}>{_text(block.text)}</h{block.level}>"
        case Words():
            kind = ' class="warning"' if block.role == WARNING else ""
            return f"<p{kind}>{_text(block.text)}</p>"
        case Items():
            lines = "\n".join(f"<li>{escape(line)}</li>" for line in block.lines)
            return f'<ul class="quoted">\n{lines}\n</ul>'
        case Grid():
            return _figure(block)
        case Terms():
            return _terms(block.entries)
        case Listing():
            return f"<pre>{escape(block.text)}</pre>"


def _figure(grid: Grid) -> str:
    caption = _text((grid.words or grid.name).rstrip(":"))
    kinds = f"sortable{' named' if grid.names_methods else ''}"
    titles = "\n".join(
        _heading(title, grid.meanings.get(title, ""), index < grid.texts) for index, title in enumerate(grid.titles)
    )
    groups = "\n".join(_group(group, index, grid) for index, group in enumerate(grid.groups))
    label = escape(re.sub(r"<.*?>", "", caption), quote=True)
    return (
        f"<figure>\n<figcaption>{caption}</figcaption>\n"
        f'<div class="scroll" role="region" aria-label="{label}" tabindex="0">\n<table class="{kinds}">\n'
        f"<thead>\n<tr>\n{titles}\n</tr>\n</thead>\n{groups}\n</table>\n</div>\n{_meanings(grid.meanings)}</figure>"
    )


def _heading(title: str, meaning: str, is_text: bool) -> str:
    """Return the heading of a column. The first click sorts the better values to the top."""
    words, _, arrow = title.rpartition(" ") if title[-1:] in ARROWS else (title, "", "")
    attributes = f' title="{escape(meaning)}"' if meaning else ""
    attributes += ' class="text"' if is_text else ""
    is_difference = title.startswith("− ")  # of a score: higher is better
    attributes += ' data-first="descending"' if arrow == HIGHER or is_difference else ""
    shown = _text(words) or '<span class="unseen">name</span>'
    sign = f' <span class="arrow" title="{ARROWS[arrow]}">{arrow}</span>' if arrow else ""
    return f'<th scope="col"{attributes}>{shown}{sign}</th>'


def _group(rows: Sequence[Sequence[str]], index: int, grid: Grid) -> str:
    is_of_references = grid.names_methods and index == 0 and len(grid.groups) > 1
    kind = ' class="references"' if is_of_references else ""
    lines = "\n".join(_row(row, grid.texts) for row in rows)
    return f"<tbody{kind}>\n{lines}\n</tbody>"


def _row(row: Sequence[str], texts: int) -> str:
    name = _text(row[0]).replace("_", "_<wbr>")
    cells = [f'<td class="text{" long" if len(value) > LONG else ""}">{_text(value)}</td>' for value in row[1:texts]]
    return f'<tr><th scope="row" class="text">{name}</th>{"".join([*cells, *map(_cell, row[texts:])])}</tr>'


def _cell(value: str) -> str:
    number = _NUMBER.match(value)
    attributes = f' data-value="{number[1]}"' if number else ""
    attributes += ' class="best"' if value.startswith("**") else ""
    spread = re.sub(r" (\(.*?\)|± [\d.]+)", r' <span class="spread">\1</span>', _text(value))
    return f"<td{attributes}>{spread}</td>"


def _meanings(meanings: Mapping[str, str]) -> str:
    if not meanings:
        return ""
    summary = "<summary>What the columns mean</summary>"
    return f'<details class="meanings">\n{summary}\n{_terms(list(meanings.items()))}\n</details>\n'


def _terms(entries: Sequence[tuple[str, str]]) -> str:
    lines = "\n".join(f"<dt>{_text(term)}</dt>\n<dd>{escape(words)}</dd>" for term, words in entries)
    return f"<dl>\n{lines}\n</dl>"


def _text(text: str) -> str:
    return marked_up(text, escape, _MARKS)
