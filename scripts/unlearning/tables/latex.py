"""A page as LaTeX: its tables as floats with booktabs, for a paper."""

from __future__ import annotations

import re
from collections.abc import Sequence

from unlearning.tables.blocks import LEGEND, Block, Grid, Heading, Words
from unlearning.tables.columns import COMPARE, HIGHER, LOWER
from unlearning.tables.markup import marked_up, slug

HEAD = r"""% One table for each benchmark and block: \input{table}, or copy what you need.
% Needs \usepackage{booktabs}. With \usepackage{graphicx}, a table that is wider than the line is made to fit.
% Captions and labels of your own: define \unlearningcaption{NAME}{TEXT} and \unlearninglabel{NAME} before the \input.
% How to read them:
"""

COMMANDS = r"""\providecommand{\unlearningcaption}[2]{#2}
\providecommand{\unlearninglabel}[1]{tab:#1}
\providecommand{\fitted}[1]{\sbox0{#1}%
  \ifdim\wd0>\linewidth \ifdefined\resizebox \resizebox{\linewidth}{!}{\usebox0}\else \usebox0\fi \else \usebox0\fi}
"""

BEST = "Bold: the best of the methods that forget, keep the rest and do not over-forget."

_MARKS = {"strong": (r"\textbf{", "}"), "emphasis": (r"\emph{", "}"), "code": (r"\texttt{", "}")}

_SIGNS = str.maketrans(
    {sign: f"\\{sign}" for sign in "#$%&_{}"}
    | {"\\": r"\textbackslash{}", "^": r"\textasciicircum{}", "~": r"\textasciitilde{}"}
    | {HIGHER: r"$\uparrow$", LOWER: r"$\downarrow$", COMPARE: r"$\rightarrow$", "≈": r"$\approx$", "±": r"$\pm$"}
    | {"▲": r"$\bigtriangleup$", "▼": r"$\bigtriangledown$", "†": r"\dag{}", "‡": r"\ddag{}", "τ": r"$\tau$"}
    | {"×": r"$\times$", "−": "$-$", "–": "--", "·": r"$\cdot$", "…": r"\ldots{}", "‘": "`", "’": "'"}
)


def as_latex(blocks: Sequence[Block]) -> str:
    """Return the tables of a page, each below a caption that names its benchmark, with the legend as a comment."""
    parts, place = [], ""
    for block in blocks:
        if isinstance(block, Heading):
            place = block.text
        elif isinstance(block, Grid):
            parts.append(_float(block, place))
    legend = [block.text for block in blocks if isinstance(block, Words) and block.role == LEGEND]
    comment = "".join(f"% {line}\n" for text in legend for line in text.splitlines())
    return "\n".join([HEAD + comment + COMMANDS, *parts])


def _float(grid: Grid, place: str) -> str:
    words = (grid.words or grid.name).rstrip(":")
    is_bold = any(cell.startswith("**") for row in grid.rows for cell in row)
    rest = f"{words}.{f' {BEST}' if is_bold else ''}"
    caption = f"{_text(place)}{'' if place.endswith('?') else '.'} {_text(rest)}"  # apart: place may have one asterisk
    # Without the counts of classes and seeds, so that a reference holds when they change.
    name = f"{slug(place.partition(':')[0].replace('*', '-all'))}:{slug(grid.name.lower())}"
    lines = [
        r"\begin{table}[tbp]",
        r"\centering\footnotesize",
        rf"\caption{{\unlearningcaption{{{name}}}{{{caption}}}}}",
        rf"\label{{\unlearninglabel{{{name}}}}}",
        r"\fitted{%",
        rf"\begin{{tabular}}{{l{'r' * (len(grid.titles) - 1)}}}",
        r"\toprule",
        _row(grid.titles),
        r"\midrule",
        "\n\\midrule\n".join("\n".join(map(_row, group)) for group in grid.groups),
        r"\bottomrule",
        r"\end{tabular}}",
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


def _row(cells: Sequence[str]) -> str:
    name, *values = map(_text, cells)
    return " & ".join([name, *map(_small_spread, values)]) + r" \\"


def _small_spread(value: str) -> str:
    return re.sub(r"\(.*?\)", r"{\\scriptsize \g<0>}", value)


def _text(text: str) -> str:
    return marked_up(text, _plain, _MARKS)


def _plain(text: str) -> str:
    """Return plain text for LaTeX. A hyphen before a number is a minus."""
    return re.sub(r"(?<![\w.])-(?=\.?\d)", "−", text).translate(_SIGNS)
