"""make docs: fill the tables of docs/calibration.md from the calibrations that are kept in results/reference/.

The tables of calibration-NAME.csv stand between two marks, <!-- calibration NAME --> and <!-- end -->.
"""

import re
import sys

from verify import PUBLISHED, REFERENCE

from unlearning.calibration_report import render_calibration
from unlearning.dependencies import SCRIPTS
from unlearning.files import read_table, write_text

PAGE = SCRIPTS.parent / "docs" / "calibration.md"
MARKED = re.compile(r"(<!-- calibration (\w+) -->\n).*?(?=<!-- end -->)", re.DOTALL)


def page() -> str:
    """Return what docs/calibration.md has to be."""
    return MARKED.sub(lambda match: f"{match[1]}\n{tables(match[2])}\n", PAGE.read_text(encoding="utf-8"))


def tables(name: str) -> str:
    rows = read_table(REFERENCE / f"calibration-{name}.csv").to_dict("records")
    return render_calibration(rows, read_table(PUBLISHED))


def main() -> int:
    write_text(PAGE, page())
    return 0


if __name__ == "__main__":
    sys.exit(main())
