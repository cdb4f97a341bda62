"""A page as a sequence of blocks, before it is written as Markdown, as HTML or as LaTeX."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from unlearning.tables.markdown import markdown_table


@dataclass(frozen=True)
class Heading:
    """A heading; ``level`` 1 is the title of the page. Words in backquotes are code."""

    text: str
    level: int = 2


TEXT, LEGEND, WARNING = "text", "legend", "warning"
"""What a paragraph is for: LEGEND says how to read the page."""


@dataclass(frozen=True)
class Words:
    """A paragraph, in which `*word*`, `**word**` and words in backquotes mean what they mean in Markdown."""

    text: str
    role: str = TEXT


@dataclass(frozen=True)
class Items:
    """A list of lines that may quote a program. They are shown as they are: nothing in them is markup."""

    lines: Sequence[str]


@dataclass(frozen=True)
class Grid:
    """A table: rows of cells, marked up as `Words`, below ``titles``. The first cell of a row names the row.

    A row of empty cells separates groups of rows. The first ``texts`` columns are text, the others numbers. ``name``
    says in a word what the table shows, ``words`` is the sentence above it, and ``meanings`` explains titles.
    """

    name: str
    titles: Sequence[str]
    rows: Sequence[Sequence[str]]
    words: str = ""
    meanings: Mapping[str, str] = field(default_factory=dict)
    texts: int = 1

    @property
    def names_methods(self) -> bool:
        """Whether the rows are of methods and references."""
        return self.titles[0] == "method"

    @property
    def groups(self) -> list[list[Sequence[str]]]:
        """The rows between two separators."""
        groups: list[list[Sequence[str]]] = [[]]
        for row in self.rows:
            if any(row):
                groups[-1].append(row)
            else:
                groups.append([])
        return [group for group in groups if group]


@dataclass(frozen=True)
class Terms:
    """A list of terms, marked up as `Words`, each with its explanation, which is not."""

    entries: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Listing:
    """Text whose lines and spaces count."""

    text: str


Block = Heading | Words | Items | Grid | Terms | Listing


def as_markdown(blocks: Sequence[Block]) -> str:
    """Return the page in Markdown, readable both as text and rendered."""
    return "\n\n".join(map(_markdown, blocks)) + "\n"


def _markdown(block: Block) -> str:
    match block:
        case Heading():
            return f"{'#' * block.level} {block.text}"
        case Words():
            return f"**{_in_a_line(block.text)}**" if block.role == WARNING else block.text
        case Items():
            return "\n".join(f"- {_in_a_line(line)}" for line in block.lines)
        case Grid():
            table = markdown_table(block.rows, block.titles, block.texts)
            return f"{block.words}\n\n{table}" if block.words else table
        case Terms():
            return "\n".join(f"- {term}: {words}" for term, words in block.entries)
        case Listing():
            return f"```\n{block.text}\n```"


def _in_a_line(text: str) -> str:
    """Return text in which no sign begins a cell of a table."""
    return text.replace("|", "\\|")
