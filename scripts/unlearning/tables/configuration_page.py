"""docs/configuration.md: every key of the configuration, from the descriptions in the schema."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from unlearning.tables.markdown import markdown_table

INTRODUCTION = """\
# Configuration

Every key of [config.yaml](../config.yaml). This page is made from the descriptions in
[workflow/schemas/config.schema.yaml](../workflow/schemas/config.schema.yaml) by `make docs`; a test compares. A key
that is not listed here is an error that names the nearest key.

Settings of your own do not need an edit of `config.yaml`:

- A few values of the top level go on the command line: `make table SUITE=paper`, or
  `snakemake --cores 4 results/table.md --config suite=paper relearning=true`. One `--config` takes all of them.
- Everything else goes into a file that is laid over `config.yaml`, level by level: `make table CONFIG=mine.yaml`, or
  `snakemake --cores 4 results/table.md --configfile mine.yaml`. A list, such as the methods of a suite, is replaced
  as a whole. A nested value belongs here: in `--config`, the numbers in it would be read as text.
- On the command line, `benchmarks=`, `methods=` and `seeds=` (in make `BENCHMARKS=`, `METHODS=`, `SEEDS=`) choose a
  part of the suite by names: see [paper-suite.md](paper-suite.md).

NAME stands for a name of your choice: lower-case letters, digits and underscores, a letter first. A default that
reads *required* has no value: the key must be there. A dash means that the key may be absent.
"""

KINDS = {"integer": "integer", "number": "number", "string": "text", "boolean": "true, false", "object": "mapping"}
PLURALS = {"integer": "integers", "number": "numbers", "text": "texts"}


def render_configuration(schema: Mapping[str, Any], config: Mapping[str, Any]) -> str:
    """Return docs/configuration.md for the ``schema`` of the configuration, and the content of config.yaml."""
    parts = [INTRODUCTION, names_in(config)]
    for title, level in levels_of(schema, schema):
        parts.append(f"## {title}\n")
        if "description" in level and title != TOP:
            parts.append(f"{sentence(level['description'])}\n")
        parts.append(markdown_table(list(rows_of(level, schema)), ["key", "type", "default", "what it is"], 4) + "\n")
    return "\n".join(parts)


def names_in(config: Mapping[str, Any]) -> str:
    """Return the list of the names that config.yaml defines, to be used in a configuration of one's own."""
    models = dict.fromkeys(benchmark.split("-")[0] for benchmark in config["benchmarks"])
    names = {"suites": config["suites"], "models": models} | {key: config[key] for key in ("datasets", "protocols")}
    lines = [f"- {key}: {', '.join(f'`{name}`' for name in its)}" for key, its in names.items()]
    return "\n".join(["Names that are there, explained in `config.yaml`:\n", *lines]) + "\n"


TOP = "Top level"


def levels_of(level: Mapping[str, Any], schema: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the title and the schema of each mapping with known keys, from the top level downwards."""
    yield (f"`{path}`" if path else TOP), level
    for key, its in level["properties"].items():
        its = resolved(its, schema)
        here = f"{path}.{key}" if path else key
        named = resolved(its.get("additionalProperties") or {}, schema)
        if "properties" in its:
            yield from levels_of(its, schema, here)
        elif "properties" in named:
            name = "MODEL-DATASET" if key == "benchmarks" else "NAME"
            yield from levels_of(named, schema, f"{here}.{name}")


def rows_of(level: Mapping[str, Any], schema: Mapping[str, Any]) -> Iterator[list[str]]:
    """Yield the row of each key of ``level``: name, type, default, description."""
    for key, its in level["properties"].items():
        its = resolved(its, schema)
        if key in level.get("required", []):
            default = "*required*"
        else:
            default = f"`{yaml_text(its['default'])}`" if "default" in its else "–"
        yield [f"`{key}`", kind_of(its, schema), default, sentence(its["description"])]


def resolved(its: Mapping[str, Any], schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a part of the schema with its reference to #/$defs/NAME filled in. Its own keys take precedence."""
    if "$ref" not in its:
        return its
    return {**schema["$defs"][its["$ref"].rsplit("/", 1)[1]], **{key: its[key] for key in its if key != "$ref"}}


def kind_of(its: Mapping[str, Any], schema: Mapping[str, Any]) -> str:
    """Return which values are allowed, e.g. "integer, at least 1", "list of text"."""
    if "enum" in its:
        return "one of " + ", ".join(f"`{yaml_text(value)}`" for value in its["enum"])
    if its["type"] == "array":
        one, *bounds = kind_of(resolved(its["items"], schema), schema).split(", ")
        return ", ".join([f"list of {PLURALS.get(one, one)}", *bounds])
    bounds = [
        f"{words} {its[key]}"
        for key, words in {
            "minimum": "at least",
            "exclusiveMinimum": "above",
            "maximum": "at most",
            "exclusiveMaximum": "below",
        }.items()
        if key in its
    ]
    return ", ".join([KINDS[its["type"]], *bounds])


def yaml_text(value: Any) -> str:
    return yaml.safe_dump(value, default_flow_style=True).removesuffix("\n").removesuffix("\n...")


def sentence(text: str) -> str:
    return text[0].upper() + text[1:] + "."
