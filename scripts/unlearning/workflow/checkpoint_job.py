"""A job that makes a checkpoint: it carries the checkpoint from another folder if possible, or else trains."""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

from unlearning.data.batches import TensorData
from unlearning.data.content import content_of
from unlearning.files import write_csv, write_text
from unlearning.training.checkpoints import digest_of_weights, save_checkpoint
from unlearning.training.precision import precision_on
from unlearning.training.savepoint import Savepoint
from unlearning.versions import commit_of
from unlearning.watched_code import SCRIPTS, is_of_library, meanings_of
from unlearning.workflow.carrying import FACTS, carried_checkpoint
from unlearning.workflow.job import cost_of_process
from unlearning.workflow.job_sources import check_code, code_of_method

Settings = dict[str, Any]


@dataclass
class Trained:
    """The result of a training: the model (None if the cell failed), its history, further fields of record and cost."""

    model: nn.Module | None
    history: list[dict[str, Any]]
    record: Settings = field(default_factory=dict)
    cost: Settings = field(default_factory=dict)


def make_checkpoint(
    snakemake: Any, cost: Settings, device: torch.device, record: Settings, train: Callable[[Savepoint], Trained]
) -> nn.Module | None:
    """Write the job's checkpoint with ``record``, and its history if it is an output, and add to its ``cost``.

    The checkpoint is taken from the folder in the configuration's ``checkpoints``, if there is one with an equal
    record. If not, ``train`` makes it, and continues from the savepoint that it is given. Returns the model.
    """
    output = Path(snakemake.output.checkpoint)
    carried = carried_checkpoint(snakemake.config.get("checkpoints"), output, record, device)
    if carried is not None:
        cost |= carried.cost
        save_checkpoint(output, carried.model.state_dict(), carried.record)
        if hasattr(snakemake.output, "history"):
            write_text(snakemake.output.history, carried.history)
        return carried.model.to(device)
    savepoint = savepoint_of(snakemake, device)
    trained = train(savepoint)
    computed_in = precision_on(device, snakemake.params.unwatched["precision"])
    cost |= {"training_seconds": round(savepoint.seconds, 3), "precision": computed_in} | trained.cost | savepoint.cost
    facts = {"computed_in": cost["precision"], "versions": versions_of(savepoint.cost)}
    state = None if trained.model is None else trained.model.state_dict()
    save_checkpoint(output, state, record | trained.record | facts)
    if hasattr(snakemake.output, "history"):
        write_csv(snakemake.output.history, trained.history)
    return trained.model


def savepoint_of(snakemake: Any, device: torch.device) -> Savepoint:
    """Return the savepoint of a job. Its identity is everything that was asked for, and the contents of small inputs.

    The parameters hold the digests of the code and of the data set. Raises UserError if the code has changed since
    Snakemake started the job.
    """
    check_code(snakemake)
    inputs = [snakemake.input.get(name) for name in ("split", "checkpoint")]
    digests = [hashlib.sha256(Path(file).read_bytes()).hexdigest() for file in inputs if file]
    watched = {key: value for key, value in snakemake.params.items() if key not in ("unwatched", "lost")}
    code = [each for each in snakemake.params if isinstance(each, str)]
    identity = [snakemake.rule, dict(snakemake.wildcards), watched, code, digests]
    asked = snakemake.params.unwatched["precision"]
    computed_in = {"precision": precision_on(device, asked)}
    made_with = {"device": device.type, "torch": str(torch.__version__), "threads": snakemake.threads} | computed_in
    return Savepoint.beside(
        Path(snakemake.output[0]),
        snakemake.rule,
        hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest(),
        made_with,
        asked_precision=asked,
        cost_so_far=lambda: cost_of_process(snakemake) | computed_in,
    )


def versions_of(cost: Mapping[str, Any]) -> dict[str, str | None]:
    """Return the versions of a checkpoint: from ``cost`` if it was made earlier, or else the current versions."""
    return {
        "torch": cost.get("torch", str(torch.__version__)),
        "python": cost.get("python", platform.python_version()),
        "commit": commit_of(SCRIPTS.parent)["commit"],
    }


def training_settings(params: Any) -> Settings:
    """Return width and protocol of a training from scratch, including the settings that Snakemake does not watch."""
    training, unwatched = params.training, params.unwatched
    pretrain = training["protocol"]["pretrain"] | {"evaluate_every": unwatched["evaluate_every"]}
    return training | {"protocol": unlearning_protocol(training["protocol"], params) | {"pretrain": pretrain}}


def unlearning_protocol(protocol: Settings, params: Any) -> Settings:
    """Return a protocol with its precision as configured: Snakemake watches only the meaning of the precision."""
    return protocol | {"precision": params.unwatched["precision"]}


def record_of_training(snakemake: Any, data: TensorData, method: str) -> Settings:
    """Return the record of the model that a training from scratch on ``data`` makes: ``original`` or ``retrain``."""
    params = snakemake.params
    named = {key: value for key, value in snakemake.wildcards.items() if key != "reference"}
    return {
        **named,
        "method": method,
        "width": params.training["width"],
        **record_of_data(params, data),
        "protocol": unlearning_protocol(params.training["protocol"], params),
    }


def record_of_data(params: Any, data: TensorData) -> Settings:
    """Return the fields of a model's record about the data that it was trained on."""
    return {
        "classes": data.classes,
        "channels": data.channels,
        "data": params.data,
        "content": content_of(data),
        "images": params.images,
        "normalisation": {"mean": data.normalisation.mean.tolist(), "std": data.normalisation.std.tolist()},
    }


def record_of_unlearning(snakemake: Any, original: Settings, model: nn.Module) -> Settings:
    """Return the record of the model that a method makes of ``model``, whose own record is ``original``."""
    params = snakemake.params
    code = [
        each.rsplit(maxsplit=1)[1] for each in meanings_of(f for f in code_of_method(params) if not is_of_library(f))
    ]
    begun = {key: its for key, its in original.items() if key not in (*FACTS, "versions", "carried")}
    return {
        **begun,
        **snakemake.wildcards,
        "hyperparameters": params.hyperparameters,
        "unlearning_protocol": unlearning_protocol(params.protocol, params),
        "method_code": sorted(code),
        "original": digest_of_weights(model.state_dict()),
    }
