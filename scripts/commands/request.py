"""What make table would be asked for, for the commands that look at it: the same words, the same configuration."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from unlearning.config.model import Config
from unlearning.config.reading import CONFIG, read_config
from unlearning.errors import UserError
from unlearning.workflow.paths import RESULTS
from unlearning.workflow.plan import Plan
from unlearning.workflow.workspace import check_readable


@dataclass(frozen=True)
class Request:
    """A configuration, and the arguments with which Snakemake has the same."""

    config: Config
    arguments: list[str]

    @property
    def plan(self) -> Plan:
        """Return the plan of the configuration."""
        return Plan(self.config)


def add_request(parser: argparse.ArgumentParser) -> None:
    """Let ``parser`` take what `request_of` reads."""
    parser.add_argument("settings", nargs="*", metavar="KEY=VALUE", help="as behind snakemake's --config")
    parser.add_argument("--configfile", type=Path, nargs="+", default=[], help="laid over config.yaml, as snakemake's")


def request_of(given: argparse.Namespace) -> Request:
    """Return what the command line asks for. Raises UserError, as a run would, for what cannot be."""
    check_readable(Path(RESULTS))
    config = read_config([CONFIG, *given.configfile], settings_of(given.settings))
    files = ["--configfile", *map(str, given.configfile)] if given.configfile else []
    return Request(config, [*files, *(["--config", *given.settings] if given.settings else [])])


def settings_of(words: Sequence[str]) -> dict[str, Any]:
    """Return the settings that words KEY=VALUE make, values read as YAML. Raises UserError for another word."""
    settings = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals or not key:
            raise UserError(f"{word}: write KEY=VALUE, e.g. suite=paper")
        try:
            settings[key] = yaml.safe_load(value)
        except yaml.YAMLError:
            settings[key] = value
    return settings
