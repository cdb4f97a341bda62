"""The table for LaTeX: its structure, its signs, and one run of pdflatex where there is one."""

import re
import shutil
import subprocess
from functools import cache

import pytest

from unlearning.tables.blocks import LEGEND, Grid, Heading, Words
from unlearning.tables.comparison import table_blocks
from unlearning.tables.latex import BEST, as_latex
from unlearning.tables.markup import marked_up, slug
from unlearning.tables.reference import numbers_of


@cache
def kept(suite):
    """Return the blocks of a table in results/reference/."""
    return table_blocks(numbers_of(suite), suite)


ROWS = [
    ["*retrain* (the oracle)", "0.990 (.98–1.00)", "–"],
    ["", "", ""],
    ["my_method", "**0.900** (.88–.92)", "-0.010 ± 0.004 ▼"],
    ["100%_{x}", "0.006 ≈", "+0.1 ‡†"],
]


def grid(rows=ROWS, titles=("method", "ret_acc ↑", "− my_method"), words=""):
    return as_latex([Heading("net-data-class0"), Grid("Scores", titles, rows, words)])


def tabulars(text):
    """Return the alignment and the lines of each tabular."""
    found = re.findall(r"\\begin\{tabular\}\{(\w+)\}\n(.*?)\\end\{tabular\}", text, re.DOTALL)
    return [(alignment, [line for line in body.splitlines() if not line.endswith("rule")]) for alignment, body in found]


def test_a_table_is_a_float_with_caption_label_and_rules():
    text = grid()
    assert r"\caption{\unlearningcaption{net-data-class0:scores}{net-data-class0. Scores. " + BEST + "}}" in text
    assert r"\label{\unlearninglabel{net-data-class0:scores}}" in text
    ((alignment, lines),) = tabulars(text)
    assert alignment == "lrr"
    assert lines == [
        r"method & ret\_acc $\uparrow$ & $-$ my\_method \\",
        r"\emph{retrain} (the oracle) & 0.990 {\scriptsize (.98--1.00)} & -- \\",
        r"my\_method & \textbf{0.900} {\scriptsize (.88--.92)} & $-$0.010 $\pm$ 0.004 $\bigtriangledown$ \\",
        r"100\%\_\{x\} & 0.006 $\approx$ & +0.1 \ddag{}\dag{} \\",
    ]
    assert [text.count(rf"\{rule}rule") for rule in ("top", "mid", "bottom")] == [1, 2, 1]


def test_the_block_of_all_classes_has_its_caption_and_one_label_whatever_its_counts():
    texts = []
    for seeds in (2, 3):
        place = f"net-data-class*: mean (standard deviation) over 5 classes and {seeds} seeds"
        texts.append(as_latex([Heading(place), Grid("Distance", ["method", "gap"], ROWS, "Distance to *retrain*:")]))
        assert (
            rf"class*: mean (standard deviation) over 5 classes and {seeds} seeds. Distance to \emph{{retrain}}."
            in texts[-1]
        )
    labels = [re.findall(r"label\{\\unlearninglabel\{(.*?)\}", text) for text in texts]
    assert labels == [["net-data-class-all:distance"]] * 2


def test_without_a_best_value_the_caption_does_not_speak_of_it():
    assert BEST not in grid([["alpha", "0.1", "0.2"]])
    text = grid([["a", "1", "2"]], words="Costs, means over seeds:")
    assert "{net-data-class0. Costs, means over seeds.}}\n" in text


def test_the_legend_is_a_comment():
    text = as_latex([Words("first % line\nsecond", LEGEND), Words("not this")])
    assert "\n% first % line\n% second\n" in text
    assert "not this" not in text


@pytest.mark.parametrize("suite", ["digits", "paper", "failures"])
def test_the_kept_tables_are_well_formed(suite):
    text = as_latex(kept(suite))
    found = tabulars(text)
    assert len(found) == text.count(r"\begin{table}") == text.count(r"\end{table}") > 3
    for alignment, lines in found:
        for line in lines:
            assert len(re.split(r"(?<!\\)&", line)) == len(alignment)
            assert line.endswith(r" \\")
    code = re.sub(r"^%.*\n", "", text, flags=re.MULTILINE)
    assert code.isascii()  # every sign of our tables has its command
    assert not re.search(r"(?<![\\\w])_|\*\*|`", code)
    depth = 0
    for brace in re.findall(r"(?<!\\)[{}]", code):
        depth += 1 if brace == "{" else -1
        assert depth >= 0
    assert depth == 0
    labels = re.findall(r"\\label\{\\unlearninglabel\{(.*?)\}", code)
    assert len(set(labels)) == len(labels) == len(found)


@pytest.mark.skipif(not shutil.which("pdflatex"), reason="no pdflatex is installed")
@pytest.mark.parametrize("packages", ["booktabs", "booktabs,graphicx"])
def test_latex_takes_the_table(tmp_path, packages):
    (tmp_path / "table.tex").write_text(as_latex(kept("digits")))
    frame = rf"\documentclass{{article}}\usepackage{{{packages}}}\begin{{document}}\input{{table}}\end{{document}}"
    (tmp_path / "paper.tex").write_text(frame)
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "paper.tex"]
    done = subprocess.run(command, cwd=tmp_path, text=True, capture_output=True)
    assert done.returncode == 0, done.stdout[-2000:]
    assert ("Overfull" in done.stdout) == ("graphicx" not in packages)
    assert (tmp_path / "paper.pdf").exists()


@pytest.mark.skipif(not shutil.which("pdflatex"), reason="no pdflatex is installed")
def test_a_paper_may_have_captions_and_labels_of_its_own(tmp_path):
    """They stand in the paper, so that a table that is made again has them as well."""
    (tmp_path / "table.tex").write_text(as_latex(kept("digits")))
    (tmp_path / "paper.tex").write_text(
        r"""\documentclass{article}\usepackage{booktabs}\begin{document}
        \newcommand{\unlearningcaption}[2]{Our words on #1.}
        \newcommand{\unlearninglabel}[1]{appendix:#1}
        \input{table}\end{document}"""
    )
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "paper.tex"]
    done = subprocess.run(command, cwd=tmp_path, text=True, capture_output=True)
    assert done.returncode == 0, done.stdout[-2000:]
    known = (tmp_path / "paper.aux").read_text()
    assert r"\newlabel{appendix:resnet20-digits-class0:scores}" in known
    assert "Our words on resnet20-digits-class0:scores." in known
    assert "tab:" not in known
    assert BEST not in known


def test_marks_may_stand_within_each_other():
    marks = {"strong": ("<", ">"), "emphasis": ("(", ")"), "code": ("[", "]")}
    assert marked_up("a **b *c* d** `*e*` f*", str.upper, marks) == "A <B (C) D> [*E*] F*"
    assert slug("net-data-class*: Is it?") == "net-data-class-Is-it"
