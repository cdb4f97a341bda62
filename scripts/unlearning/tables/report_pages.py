"""The pages of the report that are not the table: what was run, with what, and what it took."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pandas

from unlearning.tables.blocks import Block, Grid, Heading, Items, Listing, Words
from unlearning.tables.columns import COSTS_CSV
from unlearning.tables.markdown import shown

NOTHING = "–"
SECONDS = ("seconds", "training_seconds")
NUMBERS = ("seed", *SECONDS, "steps", "peak_memory_mb", "peak_gpu_memory_mb")
"""The columns of costs.csv with numbers that the page shows."""
WHOLE = ("seed", "steps")


def configuration(config: Mapping[str, Any], metrics: pandas.DataFrame) -> list[Block]:
    """Return what was compared, and with which settings; ``metrics`` are the rows of metrics.csv."""
    benchmarks, names, seeds = (list(dict.fromkeys(metrics[name])) for name in ("benchmark", "method", "seed"))
    known = {name: config["methods"][name] for name in names if name in config["methods"]}
    rows = [
        [name, its["kind"], its.get("settings", NOTHING), shown(its.get("hyperparameters", {}))]
        for name, its in known.items()
    ]
    used = {
        name: config["benchmarks"][name] for name in dict.fromkeys(each.rpartition("-class")[0] for each in benchmarks)
    }
    protocols = {its["protocol"]: config["protocols"][its["protocol"]] for its in used.values()}
    return [
        Heading("The configuration", 1),
        Words(f"Suite `{config['suite']}`: {', '.join(benchmarks)}; seeds {', '.join(map(str, seeds))}."),
        Heading("Methods and controls"),
        Grid("Methods", ["method", "kind", "settings", "hyperparameters"], rows, texts=4),
        Heading("Benchmarks"),
        Grid("Benchmarks", ["benchmark", "settings"], [[name, shown(its)] for name, its in used.items()], texts=2),
        *(block for name, its in protocols.items() for block in (Heading(f"Protocol {name}"), Listing(_json(its)))),
        Heading("The whole configuration"),
        Words("Everything that could have been run with it, also what this table does not use."),
        Listing(_json(config)),
    ]


def _json(content: Mapping[str, Any]) -> str:
    return json.dumps(content, indent=2, ensure_ascii=False)


def origin(provenance: Mapping[str, Any]) -> list[Block]:
    """Return the contents of provenance.json but for the configuration."""
    differs = {True: "files differ from it", False: "no file differs from it"}.get(provenance["dirty"])
    commit = f"{provenance['commit']} ({differs})" if provenance["commit"] else "unknown: not in a git repository"
    rows = [["commit of the project", commit], ["SHA-256 of the configuration", provenance["config_sha256"]]]
    versions = [[f"version of {name}", version or NOTHING] for name, version in provenance["versions"].items()]
    jobs = [[f"{name} of the jobs", ", ".join(values)] for name, values in provenance["jobs"].items()]
    blocks: list[Block] = [
        Heading("The origin of the table", 1),
        Words("The code, the versions and the devices behind the table, at the time when it was made."),
        Grid("Origin", ["what", "value"], [*rows, *versions, *jobs], texts=2),
    ]
    if provenance["carried"]:
        lines = [shown(training) for training in provenance["carried"]]
        blocks += [Heading("Trained elsewhere"), Words("Checkpoints that this run took over:"), Items(lines)]
    return blocks


def costs(table: pandas.DataFrame) -> list[Block]:
    """Return the contents of costs.csv, and their sums by rule."""
    total = table["seconds"].sum() / 3600
    sums = [
        [rule, str(len(jobs)), *(_shown(name, jobs[name].sum(min_count=1)) for name in SECONDS)]
        for rule, jobs in table.groupby("rule", sort=False)
    ]
    titles = ["rule", "method", "benchmark", *(name for name in NUMBERS if name in table)]
    jobs = [[_shown(name, job[name]) for name in titles] for job in table.to_dict("records")]
    meanings = {name: column.definition for column in COSTS_CSV for name in column.name.split(", ")}
    return [
        Heading("What the jobs took", 1),
        Words(f"{len(table)} jobs made or measured a model, in {total:.2f} hours of computing."),
        Heading("By rule"),
        Grid("Sums over the jobs", ["rule", "jobs", *SECONDS], sums),
        Heading("Each job"),
        Grid("Jobs", titles, jobs, meanings={name: meanings[name] for name in titles if name in meanings}, texts=3),
    ]


def _shown(name: str, value: Any) -> str:
    if isinstance(value, str):
        return value
    return NOTHING if pandas.isna(value) else f"{value:.{0 if name in WHOLE else 1}f}"
