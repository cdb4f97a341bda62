"""One-line messages about mistakes in a configuration."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable
from typing import Any

from jsonschema.exceptions import ValidationError

from unlearning.errors import UserError


def known(name: str, choices: Iterable[str], where: str) -> str:
    """Return ``name`` if it is one of ``choices``. If not, raises UserError that names the nearest and all choices."""
    choices = list(choices)
    if name in choices:
        return name
    near = difflib.get_close_matches(name, choices, n=1)
    hint = f"did you mean {near[0]}? " if near else ""
    raise UserError(f"{where}: unknown name {name!r}; {hint}known: {', '.join(choices) or 'none'}")


def location(error: ValidationError) -> str:
    """Return the path of the offending key as a user writes it, e.g. suites.digits.seeds[0]."""
    path = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in error.absolute_path)
    return path.lstrip(".") or "top level"


def explanation(error: ValidationError) -> str:
    value, rule = error.instance, error.schema
    if error.validator == "additionalProperties":
        allowed = sorted(rule.get("properties", {}))
        unknown = min(set(value) - set(allowed), key=str)
        near = difflib.get_close_matches(str(unknown), allowed, n=1)
        hint = f"did you mean {near[0]}? " if near else ""
        return f"unknown key {unknown!r}; {hint}allowed: {', '.join(allowed)}"
    if error.validator == "required":
        missing = next(key for key in error.validator_value if key not in value)
        return f"the key {missing!r} is missing"
    if error.validator == "type":
        return f"{value!r} is not {_kind(error.validator_value)}{_text_number_hint(value, error.validator_value)}"
    if error.validator == "enum":
        return f"{value!r} must be one of: {', '.join(map(str, error.validator_value))}"
    if error.validator == "pattern" and "propertyNames" in error.absolute_schema_path:
        return f"the key {value!r} is not allowed; {rule.get('description', f'it must match {error.validator_value}')}"
    description = f" ({rule['description']})" if isinstance(rule, dict) and "description" in rule else ""
    return f"{error.message}{description}"


def _kind(type_name: str) -> str:
    names = {"integer": "an integer", "number": "a finite number", "string": "text", "boolean": "true or false"}
    return names.get(type_name, {"array": "a list", "object": "a mapping of keys to values"}.get(type_name, type_name))


def _text_number_hint(value: Any, type_name: str) -> str:
    """Explain the two ways in which a number becomes text: written as 1e-3 in YAML, or nested in a --config value."""
    if type_name not in ("number", "integer") or not isinstance(value, str):
        return ""
    try:
        number = float(value)
    except ValueError:
        return ""
    if not math.isfinite(number):
        return ""
    shown = int(number) if number.is_integer() else number
    return f": it was read as text; write {shown} in a YAML file (1e-3 and values nested in --config are read as text)"
