"""docs/methods.md: the docstrings of all methods in scripts/methods/ on one page."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from unlearning.errors import UserError
from unlearning.tables.markdown import shown

LABELS = ("Formula", "Cost", "Source", "Defaults", "Deviations", "When to use")

INTRODUCTION = """\
# Methods

Each method is one file in scripts/methods/. All have the same interface and the same budget: Adam at a fixed learning
rate, a fixed number of passes over the retain set. `make docs` makes this page from the docstrings there; a test
compares. CE is the cross-entropy, KL the Kullback-Leibler divergence, a step one pair of mini-batches, a forward or
backward the forward or backward pass of one mini-batch.

*Source* is where the formula and the settings were checked. *Measured* is the distance to the oracle on parts of
CIFAR-10 and of FashionMNIST (two numbers; ≈: as near as another oracle), mean of 3 seeds;
[Methods, measured](methods-measured.md) has the tables. *scratch* is the control that starts anew with the same budget.
"""


def describe(file: Path) -> dict[str, str]:
    """Return the description in a method's file: title, idea and the labelled lines of the class.

    Raises UserError if one of them is missing.
    """
    tree = ast.parse(file.read_text(encoding="utf-8"))
    classes = [node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == "UnlearningMethod"]
    title, text = ast.get_docstring(tree), ast.get_docstring(classes[-1]) if classes else None
    if not title or not text:
        raise UserError(f"{file}: the module and the class UnlearningMethod need docstrings")
    starts = "|".join(LABELS)
    idea, *labelled = re.split(rf"^({starts}): ", inspect.cleandoc(text), flags=re.MULTILINE)
    entries = dict(zip(labelled[::2], labelled[1::2], strict=True))
    missing = [label for label in LABELS if label not in entries]
    if missing:
        raise UserError(f"{file}: the docstring of UnlearningMethod has no line that begins with {missing[0]}:")
    parts = {"title": title.split("\n\n")[0], "idea": idea} | entries
    return {name: " ".join(part.split()) for name, part in parts.items()}


def render_catalogue(
    files: Mapping[str, Path], hyperparameters: Mapping[str, Mapping[str, Any]], reached: Mapping[str, str | None]
) -> str:
    """Return docs/methods.md for the ``files`` of methods, their hyperparameters in the configuration, and in a line
    what each reached, None if it was not measured.
    """
    names_of: dict[Path, list[str]] = {}
    for name, file in sorted(files.items()):
        names_of.setdefault(file.resolve(), []).append(name)
    parts = [INTRODUCTION]
    for file, names in sorted(names_of.items(), key=lambda item: item[1]):
        entry = describe(file)
        lines = [f"## {', '.join(names)}", "", entry["title"], "", entry["idea"], ""]
        lines += [f"- {label}: {entry[label]}" for label in LABELS]
        for name in names:
            of_name = f" of {name}" if len(names) > 1 else ""
            values = shown(hyperparameters[name])
            lines.append(f"- Hyperparameters{of_name} in config.yaml: {values}")
            if reached[name] is not None:
                lines.append(f"- Measured{of_name}: {reached[name]}")
        parts.append("\n".join(lines) + "\n")
    return "\n".join(parts)
