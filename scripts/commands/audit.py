"""make audit: ask of each check of the last table whether it tells erasure from a mask, by rows whose outcome is known.

It reads results/metrics.csv, and results/floor.csv if it is there. It exits with status 1 (make: 2) if the oracle fails
a check of outputs on a benchmark, or if no check of features does what it should: tell head_mask, which erases nothing,
from the oracle. A check that has no power on a benchmark is only named.
"""

import sys
from pathlib import Path

from commands import run
from unlearning.paths import TABLES

METRICS, FLOOR = (Path(TABLES[name]) for name in ("metrics", "floor"))


def main() -> int:
    if not METRICS.exists():
        print(f"error: {METRICS} is not there; make it with: make table", file=sys.stderr)
        return 1
    from unlearning.files import read_table
    from unlearning.tables.audit import audits_of, render_audits

    audits = audits_of(read_table(METRICS), read_table(FLOOR) if FLOOR.exists() else None)
    print(render_audits(audits))
    return 1 if any(audit.problems() for audit in audits) else 0


if __name__ == "__main__":
    run(main)
