"""The figures: made on request, from the table's files alone, and made again only if what they show has changed."""

import json

import pytest

FIGURES = ["tradeoff", "scores", "attack", "cost", "routing", "agreement", "curves"]


def test_the_figures_are_made_of_a_finished_table_and_again_only_where_needed(copied_project):
    table = [job for job in copied_project.planned("results/table.md") if job.startswith("draw")]
    assert table == []  # the table does not wait for them
    jobs = copied_project.planned("figures")
    assert jobs == sorted(["figures", *(f"draw_{name}" for name in FIGURES)])  # nothing else is made again
    copied_project.make("figures")
    for name in FIGURES:
        stem = f"results/figures/{name}-resnet20-digits-class0"
        assert "resnet20-digits-class0" in copied_project.read(f"{stem}.svg")
        for suffix in ("pdf", "png"):
            assert (copied_project.folder / f"{stem}.{suffix}").stat().st_size > 1000

    caption = copied_project.folder / "workflow/report/scores.rst"
    caption.write_text("Another caption.\n")
    assert copied_project.planned("figures") == []
    one = copied_project.folder / "scripts/unlearning/figures/routing.py"
    one.write_text(one.read_text().replace("MOST_NAMED = 20", "MOST_NAMED = 5"))
    assert copied_project.planned("figures") == ["draw_routing", "figures"]
    style = copied_project.folder / "scripts/unlearning/figures/style.mplstyle"
    style.write_text(style.read_text().replace("font.size: 6.5", "font.size: 7"))
    assert copied_project.planned("figures") == jobs


def test_relearning_is_drawn_with_the_way_of_every_cell(copied_project):
    copied_project.make("results/figures/relearning-resnet20-digits-class0.svg", "--config", "relearning=true")
    drawn = copied_project.read("results/figures/relearning-resnet20-digits-class0.svg")
    assert "from the model as it is" in drawn
    assert drawn.count("epochs of fine-tuning") == 2  # the axes of the ways, below those of the epochs
    cells = sorted(copied_project.folder.glob("results/*-class0/seed1/*/relearning.json"))
    for found in (json.loads(cell.read_text()) for cell in cells):
        for column, curve in found["curves"].items():
            assert len(curve) in (found[column], found[column] + 1), (found["method"], column)


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("scores-resnet20-digits-class1.svg", "'resnet20-digits-class1'"),
        ("sensitivity-resnet20-digits_validation-class0.svg", "is made with: --config sweep=true"),
    ],
)
def test_a_figure_that_the_table_does_not_have_is_named_in_one_line(copied_project, target, message):
    done = copied_project.run("-n", f"results/figures/{target}")
    assert done.returncode == 1
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("error: ")]
    assert message in line
