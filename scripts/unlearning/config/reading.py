"""Make one checked configuration from config.yaml and the settings laid over it."""

from __future__ import annotations

import copy
import math
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError, best_match
from jsonschema.validators import extend

from unlearning.config.checks import check_names
from unlearning.config.classes import with_single_classes
from unlearning.config.messages import explanation, known, location
from unlearning.config.model import Config
from unlearning.config.variants import choose_parts, take_parts, with_checkpoint, with_curves, with_own_method
from unlearning.errors import UserError
from unlearning.watched_code import SCRIPTS

CONFIG = SCRIPTS.parent / "config.yaml"
SCHEMA = SCRIPTS.parent / "workflow" / "schemas" / "config.schema.yaml"

OLD_WORDS = {"rule": "method"}
"""Keys of the top level, and values of a method's kind, that have a new name. The old name works for one release."""


class _StrictLoader(yaml.SafeLoader):
    """YAML without tags that make objects, without aliases, and without repeated keys.

    The first of two equal keys would be lost without a message; aliases can make an endless structure from a few lines.
    """

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            event = self.peek_event()
            problem = f"the alias *{event.anchor} is not allowed; write the value out"
            raise yaml.composer.ComposerError(None, None, problem, event.start_mark)
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict:
        seen = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, Hashable):
                continue  # the base class refuses such a key
            if key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key!r} stands twice", key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep)


def read_config(files: Sequence[Path], given: Mapping[str, Any]) -> Config:
    """Return the configuration made from ``files``, each laid over the files before it, with ``given`` on top of all.

    Paths in the first file, the project's config.yaml, are relative to its folder; all other paths are relative to the
    working directory. ``given`` holds the settings of ``--config``; `take_parts` describes the forms for parts of a
    suite. The schema's defaults are filled in. Raises UserError, which says what to write instead, for any setting that
    is not possible.
    """
    parts, settings = take_parts(given)
    settings_of_files = [read_yaml(file) for file in files]
    settings_of_files[0] = from_folder(settings_of_files[0], files[0].parent)
    read: dict[str, Any] = {}
    for layer in (*settings_of_files, settings):
        read = laid_over(read, in_todays_words(layer))
    read_switches(read)
    read = with_originals(read)
    schema = read_yaml(SCHEMA)
    check_schema(read, schema)
    config = checked(with_own_method(choose_parts(read, parts)), schema)
    check_names(config)
    config = replace(config, checkpoints=config.checkpoints or config.chosen.checkpoints)
    return with_checkpoint(with_curves(config))


def checked(settings: Mapping[str, Any], schema: dict[str, Any]) -> Config:
    """Return ``settings`` as a configuration: the schema's defaults filled in, each benchmark of a suite by its class.

    Raises UserError like `check_schema` and `with_single_classes`.
    """
    filled = copy.deepcopy(dict(settings))
    check_schema(filled, schema)
    _FillingValidator(schema).validate(filled)
    return Config.of(with_single_classes(filled))


def shipped_config() -> Config:
    """Return the configuration of the project's own config.yaml."""
    return read_config([CONFIG], {})


def in_todays_words(settings: dict[str, Any]) -> dict[str, Any]:
    """Return ``settings`` with `OLD_WORDS` replaced. Raises UserError if both the old and the new word are there."""
    settings = dict(settings)
    for old, new in OLD_WORDS.items():
        if old in settings and new in settings:
            raise UserError(f"configuration: {old} is the old name of {new}; write {new} alone")
        if old in settings:
            settings[new] = settings.pop(old)
    methods = settings.get("methods")
    if isinstance(methods, Mapping):
        settings["methods"] = {name: _of_todays_kind(its) for name, its in methods.items()}
    return settings


def _of_todays_kind(method: Any) -> Any:
    if isinstance(method, Mapping) and isinstance(method.get("kind"), str):
        return {**method, "kind": OLD_WORDS.get(method["kind"], method["kind"])}
    return method


def hint_of_old_words(given: Mapping[str, Any]) -> str | None:
    """Return a hint for an old word in ``given``, the settings of ``--config``: the new word to write instead."""
    found = [f"{old}= is called {new}= now" for old, new in OLD_WORDS.items() if old in given]
    return f"hint: {'; '.join(found)} (make: METHOD=); the old word works until the next release" if found else None


def read_yaml(path: Path) -> dict[str, Any]:
    """Return the content of ``path``. Raises UserError unless it is YAML that runs no code and repeats no key.

    Snakemake itself reads configurations with a loader that evaluates expressions where ``__use_yte__`` is set.
    """
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), Loader=_StrictLoader)  # nosec B506: a SafeLoader
    except yaml.MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise UserError(f"{path.name}{line}: {error.problem}") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise UserError(f"{path.name}: not valid YAML ({' '.join(str(error).split())})") from None
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}") from None
    if not isinstance(content, dict):
        raise UserError(f"{path.name}: it holds no keys; see config.yaml of the repository")
    if "__use_yte__" in content:
        raise UserError(f"{path.name}: __use_yte__ would run code; a configuration holds values only")
    return content


def from_folder(config: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Return ``config`` with its paths, which are relative to ``folder``, made relative to the working directory."""
    if folder.resolve() == Path.cwd():
        return config

    def moved(settings: Any, keys: Iterable[str]) -> Any:
        if not isinstance(settings, dict):
            return settings
        found = {key: settings[key] for key in keys if isinstance(settings.get(key), str)}
        return settings | {key: str(folder / Path(path).expanduser()) for key, path in found.items()}

    for part, keys in {"methods": ["file"], "suites": ["checkpoints"]}.items():
        if isinstance(config.get(part), dict):
            config = config | {part: {name: moved(settings, keys) for name, settings in config[part].items()}}
    return moved(config, ["data_dir", *OLD_WORDS, "method", "checkpoint", "checkpoints"])


def laid_over(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``below`` with ``above`` laid over it, level by level; anything but a mapping is replaced as a whole."""
    both = dict(below)
    for key, value in above.items():
        is_level = isinstance(value, Mapping) and isinstance(both.get(key), Mapping)
        both[key] = laid_over(both[key], value) if is_level else value
    return both


INHERITED = ("classes", "fit", "normalisation", "largest_gb")
"""Settings that a part of a data set takes from its original if its own entry does not say them."""


def with_originals(config: dict[str, Any]) -> dict[str, Any]:
    """Return ``config`` in which each part of a data set has the settings of its original that it does not say.

    A mirror that stands alone becomes a list of one.

    Raises UserError if there is no such original, or if the original is a part itself.
    """
    datasets = config.get("datasets")
    if not isinstance(datasets, Mapping):
        return config  # the schema says what is wrong
    completed = dict(datasets)
    for name, settings in datasets.items():
        if isinstance(settings, Mapping) and isinstance(settings.get("part_of"), str):
            where = f"configuration: datasets.{name}.part_of"
            original = datasets[known(settings["part_of"], [each for each in datasets if each != name], where)]
            if isinstance(original, Mapping):
                if "part_of" in original:
                    raise UserError(
                        f"{where}: {settings['part_of']} is a part of {original['part_of']} itself; write "
                        f"part_of: {original['part_of']}"
                    )
                completed[name] = {key: original[key] for key in INHERITED if key in original} | dict(settings)
        if isinstance(settings, Mapping) and isinstance(settings.get("mirror"), str):
            completed[name] = {**settings, "mirror": [settings["mirror"]]}
    return {**config, "datasets": completed}


def read_switches(config: dict[str, Any]) -> None:
    """Turn the texts true and false at the top level into booleans, in place: ``--config`` gives them as text."""
    switches = {"true": True, "false": False}
    for key, value in config.items():
        if isinstance(value, str) and value.lower() in switches:
            config[key] = switches[value.lower()]


def check_schema(config: dict[str, Any], schema: dict[str, Any]) -> None:
    """Raise UserError for the most serious violation of ``schema``. It names the key and the allowed values."""
    error = best_match(_Validator(schema).iter_errors(config))
    if error is not None:
        raise UserError(f"configuration: {location(error)}: {explanation(error)}")


def _is_number(_checker: Any, value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _is_integer(_checker: Any, value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


# JSON Schema takes 42.0 for an integer and lets NaN pass every minimum; a seed and a learning rate must not.
_Validator = extend(
    Draft202012Validator,
    type_checker=Draft202012Validator.TYPE_CHECKER.redefine("number", _is_number).redefine("integer", _is_integer),
)


def _with_defaults(validator: Any, properties: dict, instance: Any, schema: dict) -> Iterator[ValidationError]:
    """Fill in the defaults of ``properties``, in place, before their values are checked."""
    if isinstance(instance, dict):
        for key, settings in properties.items():
            if "default" in settings:
                instance.setdefault(key, copy.deepcopy(settings["default"]))
    yield from Draft202012Validator.VALIDATORS["properties"](validator, properties, instance, schema)


_FillingValidator = extend(_Validator, {"properties": _with_defaults})
