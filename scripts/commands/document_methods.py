"""make docs: write docs/methods.md from the docstrings in scripts/methods/."""

import sys

import yaml

from unlearning.config.model import method_file
from unlearning.errors import UserError
from unlearning.files import write_text
from unlearning.tables.pages import render_catalogue
from unlearning.watched_code import SCRIPTS

ROOT = SCRIPTS.parent


def catalogue() -> str:
    """Return what docs/methods.md has to be."""
    methods = yaml.safe_load((ROOT / "config.yaml").read_text(encoding="utf-8"))["methods"]
    return render_catalogue({name: method_file(name, settings or {}) for name, settings in methods.items()}, methods)


def main() -> int:
    try:
        write_text(ROOT / "docs" / "methods.md", catalogue())
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
