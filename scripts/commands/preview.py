"""make preview: write the table, or the calibration, of all finished cells to results/preview.md, also during a run."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from commands import run, tells_mistakes
from commands.request import Request, add_request, request_of
from unlearning.config.model import Benchmark, as_published
from unlearning.errors import UserError
from unlearning.files import read_arrays, read_json, read_table, write_csv, write_text
from unlearning.paths import BENCHMARK, CELL, DATASETS, PRETRAINING, PUBLISHED, RESULTS, cell_at
from unlearning.tables.calibration import Row, render_calibration, rows_of_calibration
from unlearning.tables.cells import ORACLE, PENDING, join_cells, join_costs, read_cell, read_on_request, without_misfits
from unlearning.tables.columns import COSTS_CSV
from unlearning.tables.comparison import PREVIEW_MARK, render_table
from unlearning.tables.numbers import numbers_of_cells
from unlearning.workflow.progress import failure_in, finished_files, is_going_on, planned_jobs

if TYPE_CHECKING:
    import pandas

PREVIEW, TABLE = Path(RESULTS) / "preview.md", Path(RESULTS) / "table.md"
ROWS = PREVIEW.with_suffix(".csv")
"""The rows of a calibration: results/reference/ can keep those of the finished cells."""


@tells_mistakes
def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="make preview", description=__doc__)
    add_request(parser)
    parser.add_argument("--as-table", action="store_true", help="also as results/table.md, if there is none yet")
    given = parser.parse_args(arguments)
    request = request_of(given)
    if request.config.calibrate and not given.as_table:
        text, rows, done, cells = render_finished_calibration(request)
        write_csv(ROWS, rows)
    else:
        text, done, cells = render(request, is_over=given.as_table or not is_going_on())
        if given.as_table and (not TABLE.exists() or PREVIEW_MARK in TABLE.read_text(encoding="utf-8")):
            write_text(TABLE, text)
    write_text(PREVIEW, text)
    print(f"{PREVIEW}: {done} of {cells} cells")
    return 0


def render(request: Request, is_over: bool) -> tuple[str, int, int]:
    """Return the table of the finished cells, the number of finished cells, and the number of all cells.

    ``is_over`` says whether the last run has ended: see `failure_in`.
    """
    import pandas

    plan, done = request.plan, finished_files(planned_jobs(request.arguments))
    files = list(zip(plan.table_cells("metrics.json"), plan.table_cells("scores.npz"), strict=True))
    cells, scores = [], []
    for metrics, of_cell in files:
        is_done = {metrics, of_cell} <= done
        cells.append(read_cell(metrics) if is_done else cell_at(metrics) | {"status": PENDING})
        scores.append(read_arrays(of_cell) if is_done else {})
    cells, scores = without_misfits(cells, scores)
    logits = [its.get("non_member_logits") for its in scores]
    further = [read_json(file) for file in plan.table_cells("compare.json") if file in done]
    further += [read_on_request(file) for file in plan.on_request() if file in done]
    rows = pandas.DataFrame(join_cells(cells, further, logits, plan.kinds(), plan.settings()))
    costs = [read_json(file) for file in plan.costs() if file in done]
    if not costs:
        raise UserError("nothing is finished yet; make status says how far the run is")
    table = pandas.DataFrame(join_costs(costs))
    known = [name for column in COSTS_CSV for name in column.name.split(", ")]  # also of jobs to come
    table = table.reindex(columns=list(dict.fromkeys([*table.columns, *known])))
    pending = [cell for cell in cells if cell["status"] == PENDING]
    features = [file for file in plan.cells("features.npz", [ORACLE]) if file in done]
    shadows = [file for file in plan.shadow_oracles() if file in done]
    numbers = numbers_of_cells(rows, table, cells, scores, features, shadows)
    text = render_table(numbers, request.config.suite, published_of(request), errors_behind(pending, is_over))
    return text, sum(cell["status"] != PENDING for cell in cells), len(cells)


def render_finished_calibration(request: Request) -> tuple[str, list[Row], int, int]:
    """Return the report of a calibration's finished cells, their rows, their number, and the number of all cells."""
    done = finished_files(planned_jobs(request.arguments, request.report))
    files = list(zip(request.cells("metrics.json"), request.cells("scores.npz"), strict=True))
    finished = [pair for pair in files if set(pair) <= done]
    if not finished:
        raise UserError("no cell of the calibration is finished yet")
    cells, scores = [read_cell(metrics) for metrics, _ in finished], [read_arrays(its) for _, its in finished]
    rows = rows_of_calibration(cells, scores, request.choices)
    text = f"# Calibration, {len(finished)} of {len(files)} cells\n\n{render_calibration(rows, published_of(request))}"
    return text, rows, len(finished), len(files)


def published_of(request: Request) -> pandas.DataFrame:
    """Return the published rows of the benchmarks that the request runs as published."""
    published = read_table(PUBLISHED)
    return published[published["benchmark"].isin(as_published(request.config.as_plain()))]


def errors_behind(cells: list[dict[str, Any]], is_over: bool) -> dict[str, list[str]]:
    """Return, by benchmark, why jobs behind ``cells`` did not end well in the last run."""
    errors: dict[str, dict[str, None]] = {}
    for cell in cells:
        benchmark = vars(Benchmark.parse(cell["benchmark"]))
        folders = [each.format(**benchmark, **cell) for each in (BENCHMARK, PRETRAINING, CELL)]
        logs = [Path(DATASETS, f"{benchmark['dataset']}.log"), *(log for f in folders for log in Path(f).glob("*.log"))]
        for log in logs:
            if (why := failure_in(log, is_over)) is not None:
                errors.setdefault(cell["benchmark"], {})[why] = None
    return {benchmark: list(lines) for benchmark, lines in errors.items()}


if __name__ == "__main__":
    run(main, sys.argv[1:])
