"""make docs: fill the tables of docs/calibration.md from the calibrations in results/reference/.

The tables of calibration-NAME.csv stand between two marks, <!-- calibration NAME --> and <!-- end -->.
"""

import sys

from commands.verify import REFERENCE
from unlearning.files import read_table, write_text
from unlearning.tables.calibration import render_calibration
from unlearning.tables.markdown import fill_marked
from unlearning.watched_code import SCRIPTS
from unlearning.workflow.paths import PUBLISHED

PAGE = SCRIPTS.parent / "docs" / "calibration.md"


def page() -> str:
    """Return the text that docs/calibration.md must have."""
    return fill_marked(PAGE.read_text(encoding="utf-8"), {"calibration": tables})


def tables(name: str) -> str:
    rows = read_table(REFERENCE / f"calibration-{name}.csv").to_dict("records")
    return render_calibration(rows, read_table(PUBLISHED))


def main() -> int:
    write_text(PAGE, page())
    return 0


if __name__ == "__main__":
    sys.exit(main())
