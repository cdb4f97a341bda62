"""make docs: write docs/methods.md from the docstrings in scripts/methods/."""

import sys

from unlearning.config.reading import shipped_config
from unlearning.errors import UserError
from unlearning.files import write_text
from unlearning.tables.pages import render_catalogue
from unlearning.watched_code import SCRIPTS

ROOT = SCRIPTS.parent


def catalogue() -> str:
    """Return the text that docs/methods.md must have."""
    config = shipped_config()
    files = {name: config.method_file(name) for name in config.methods}
    return render_catalogue(files, {name: its.hyperparameters for name, its in config.methods.items()})


def main() -> int:
    try:
        write_text(ROOT / "docs" / "methods.md", catalogue())
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
