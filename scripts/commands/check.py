"""Say which cells of results/metrics.csv are not ok, and exit with status 1 if there are any (make with its 2)."""

import csv
import sys
from pathlib import Path

METRICS = Path("results/metrics.csv")


def main() -> int:
    if not METRICS.exists():
        print(f"error: {METRICS} is not there; make it with: make table", file=sys.stderr)
        return 1
    with METRICS.open(newline="") as file:
        cells = list(csv.DictReader(file))
    failed = [cell for cell in cells if cell["status"] != "ok"]
    for cell in failed:
        name = f"{cell['method']} on {cell['benchmark']}, seed {cell['seed']}"
        print(f"{name}: {cell['status']}: {cell['reason']}", file=sys.stderr)
    print(f"{len(cells) - len(failed)} of {len(cells)} cells are ok")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
