"""The request of a run, for commands that inspect it: they take the words of make table, and its configuration."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from unlearning.config.model import Config
from unlearning.config.reading import CONFIG, read_config
from unlearning.config.variants import baselines_of, with_calibration
from unlearning.errors import UserError
from unlearning.paths import RESULTS
from unlearning.workflow.plan import Plan
from unlearning.workflow.progress import CALIBRATION, TABLE
from unlearning.workflow.workspace import check_readable


@dataclass(frozen=True)
class Request:
    """A configuration, and the arguments that give Snakemake the same configuration.

    The configuration of a calibration has all that the calibration needs, and ``choices`` what it changes, by suffix.
    """

    config: Config
    arguments: list[str]
    choices: Mapping[str, str] = field(default_factory=dict)

    @property
    def plan(self) -> Plan:
        """Return the plan of the configuration."""
        return Plan(self.config)

    @property
    def report(self) -> str:
        """Return the file that is asked for: the table, or the report of a calibration."""
        return CALIBRATION if self.config.calibrate else TABLE

    def cells(self, name: str) -> list[str]:
        """Return the file ``name`` of every cell behind the report."""
        if self.config.calibrate:
            return self.plan.calibrated(name, baselines_of(self.config), self.choices)
        return self.plan.table_cells(name)


def add_request(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that `request_of` reads to ``parser``."""
    parser.add_argument("settings", nargs="*", metavar="KEY=VALUE", help="as behind snakemake's --config")
    parser.add_argument("--configfile", type=Path, nargs="+", default=[], help="laid over config.yaml, as snakemake's")


def request_of(given: argparse.Namespace) -> Request:
    """Return the request of the command line. Raises UserError, as a run would, for a request that is not possible."""
    check_readable(Path(RESULTS))
    config = read_config([CONFIG, *given.configfile], settings_of(given.settings))
    files = ["--configfile", *map(str, given.configfile)] if given.configfile else []
    arguments = [*files, *(["--config", *given.settings] if given.settings else [])]
    if config.calibrate:
        config, choices = with_calibration(config)
        return Request(config, arguments, choices)
    return Request(config, arguments)


def settings_of(words: Sequence[str]) -> dict[str, Any]:
    """Return the settings from words KEY=VALUE, with values read as YAML. Raises UserError for any other word."""
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
