"""make preview: the table of what is finished so far, in results/preview.md, also while a run is going on."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from commands.request import PUBLISHED, Request, add_request, request_of
from unlearning.config.model import as_published
from unlearning.errors import UserError
from unlearning.files import read_arrays, read_json, read_table, write_text
from unlearning.tables.cells import PENDING, join_cells, join_costs, read_cell, without_misfits
from unlearning.tables.columns import COSTS_CSV
from unlearning.tables.comparison import render_table
from unlearning.workflow.paths import RESULTS, cell_at
from unlearning.workflow.progress import planned_jobs

PREVIEW = Path(RESULTS) / "preview.md"


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="make preview", description=__doc__)
    add_request(parser)
    try:
        request = request_of(parser.parse_args(arguments))
        text, done, cells = render(request)
        write_text(PREVIEW, text)
    except (UserError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"{PREVIEW}: {done} of {cells} cells")
    return 0


def render(request: Request) -> tuple[str, int, int]:
    """Return the table of the cells that are done, and how many those are of how many."""
    import pandas

    plan, done = request.plan, set()
    for job in planned_jobs(request.arguments):
        done |= set(job.outputs) if job.is_done else set()
    files = list(zip(plan.table_cells("metrics.json"), plan.table_cells("scores.npz"), strict=True))
    cells, logits = [], []
    for metrics, scores in files:
        is_done = {metrics, scores} <= done
        cells.append(read_cell(metrics) if is_done else cell_at(metrics) | {"status": PENDING})
        logits.append(read_arrays(scores).get("non_member_logits") if is_done else None)
    cells, logits = without_misfits(cells, logits)
    on_request = [read_json(file) for file in plan.on_request() if file in done]
    rows = pandas.DataFrame(join_cells(cells, on_request, logits, plan.kinds(), plan.settings()))
    costs = [read_json(file) for file in plan.costs() if file in done]
    if not costs:
        raise UserError("nothing is finished yet; make status says how far the run is")
    published = read_table(PUBLISHED)
    published = published[published["benchmark"].isin(as_published(request.config))]
    table = pandas.DataFrame(join_costs(costs))
    known = [name for column in COSTS_CSV for name in column.name.split(", ")]  # whatever jobs are still to come
    table = table.reindex(columns=list(dict.fromkeys([*table.columns, *known])))
    text = render_table(rows, table, request.config["suite"], published)
    return text, sum(cell["status"] != PENDING for cell in cells), len(cells)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
