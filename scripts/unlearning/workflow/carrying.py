"""Carry checkpoints from another copy of the project, an older version, or another machine, if they fit."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from unlearning.errors import UserError
from unlearning.files import read_arrays, read_json
from unlearning.meaning import by_meaning
from unlearning.models import Classifier
from unlearning.paths import PRETRAINING, RESULTS
from unlearning.training.checkpoints import (
    WHOLE_SINCE,
    BadCheckpointError,
    digest_of_weights,
    read_checkpoint,
    rebuild,
)
from unlearning.training.precision import precision_on

Record = dict[str, Any]

UNKNOWN = "unknown"
"""The project version of a checkpoint whose record does not name the version."""

OF_A_TRAINING = ("seconds", "training_seconds", "steps", "peak_memory_mb", "peak_gpu_memory_mb", "precision")
MADE_ON = ("device", "processor", "threads", "torch", "python")
"""Facts about the machine. The cost of a carried checkpoint is the cost of the training there."""


@dataclass(frozen=True)
class Carried:
    """A carried checkpoint: the model, its record, and the history and cost of its training."""

    model: Classifier
    record: Record
    history: str = ""
    cost: dict[str, Any] = field(default_factory=dict)


def carried_checkpoint(folder: str | None, output: Path, wanted: Record, device: torch.device) -> Carried | None:
    """Return the checkpoint in ``folder`` that corresponds to ``output`` here, if its record agrees with ``wanted``.

    Returns None without a ``folder``, if there is no such file, if its cell failed, or if a field differs; except for
    the first case, the reason is printed. Raises UserError if the file is damaged or is not a checkpoint of this
    project.
    """
    if not folder:
        return None
    file = place_in(folder, output)
    if not file.exists():
        print(f"not carried: there is no {file}", flush=True)
        return None
    try:
        written_as, state, record = read_checkpoint(file)
        if state is None:
            print(f"not carried: {file}: its cell failed there", flush=True)
            return None
        if written_as < WHOLE_SINCE and "original" in wanted:
            record |= _beginning(folder, wanted)
        lacking = fitting(file, record, wanted, device, may_lack=written_as < WHOLE_SINCE)
        if lacking is None:
            return None
        model = rebuild(state, record)
    except BadCheckpointError as error:
        raise UserError(f"{file}: no checkpoint of this project ({error}); remove it, and it is trained here") from None
    cost = _cost_beside(file) | {"carried": record.get("versions", {}).get("commit") or UNKNOWN}
    return Carried(model, carried_record(record, wanted, lacking), _history_beside(file), cost)


def _beginning(folder: str, wanted: Record) -> Record:
    """Return the digest of the weights that an unlearning in ``folder`` began with, if they are still there."""
    pretrained = place_in(folder, Path(PRETRAINING.format(**wanted)) / "pretrained.pt")
    state = read_checkpoint(pretrained)[1] if pretrained.exists() else None
    return {} if state is None else {"original": digest_of_weights(state)}


def place_in(folder: str, output: Path) -> Path:
    """Return the path of ``output``, a file of results/, in ``folder``: a copy of results/, or of the whole project."""
    root = Path(folder).expanduser()
    root = root / RESULTS if (root / RESULTS).is_dir() else root
    return root / output.relative_to(RESULTS)


def fitting(file: Path, record: Record, wanted: Record, device: torch.device, may_lack: bool) -> list[str] | None:
    """Return the fields of ``wanted`` that ``record`` lacks. If a field differs, print it and return None.

    Only a record of an older format ``may_lack`` fields.
    """
    differences, lacking = [], []
    if _has_the_same_images(record, wanted):
        wanted = {key: its for key, its in wanted.items() if key != "data"}
    recorded, asked = _compared({key: record[key] for key in wanted if key in record}), _compared(wanted)
    for name, value in asked.items():
        if name not in recorded:
            lacking.append(name)
        elif recorded[name] != value:
            differences.append(f"{name} is {recorded[name]} there, {value} here")
    differences += [f"{name} is {recorded[name]} there, not set here" for name in recorded if name not in asked]
    if not _same_precision(record, wanted, device):
        differences.append(f"precision is {_precision(record)} there, {_precision(wanted)} here")
    if lacking and not may_lack:
        differences.append(f"it does not say {', '.join(lacking)}")
    if differences:
        print(f"not carried: {file}: {'; '.join(differences)}", flush=True)
        return None
    return lacking


def _has_the_same_images(record: Record, wanted: Record) -> bool:
    """Return whether two models were given the same images in the same way, whatever the files and their order.

    Images that were brought to their size before they were stored have other means, so a model is given other numbers.
    To which images a shadow model of U-LiRA belongs, and its logits, is known by their places in the file alone.
    """
    if "shadow" in wanted or "content" not in record or record["content"] != wanted.get("content"):
        return False
    there, here = record.get("normalisation", {}), wanted.get("normalisation", {})
    return there.keys() == here.keys() and all(np.allclose(there[name], here[name], rtol=1e-4) for name in here)


def carried_record(record: Record, wanted: Record, lacking: list[str]) -> Record:
    """Return the record of a carried checkpoint: the fields of ``wanted``, and the versions that it was made with."""
    versions = record.get("versions", {})
    shown = ", ".join(f"{name} {version}" for name, version in versions.items() if version) or "unknown versions"
    print(f"carried: the training was done elsewhere, with {shown}", flush=True)
    if lacking:
        print(f"carried: its older format does not record {', '.join(lacking)}, which is taken on trust", flush=True)
    kept = {key: record[key] for key in FACTS if key in record}
    return wanted | kept | {"versions": versions, "carried": {"lacks": lacking}}


FACTS = ("computed_in", "outcome", "changed_weights", "answers_to_probe")
"""The fields of a record that are results of the training."""

_PROTOCOLS = ("unlearning_protocol", "protocol")
_AS_A_WHOLE = ("hyperparameters", "method_code")
_NOT_COMPARED = ("normalisation", "content")
"""The first follows from the data set's file and the images' settings; as numbers, it may differ by rounding. The
second only shows that the data are the same although their files differ; older records lack it."""


def _compared(record: Record) -> dict[str, str]:
    """Return the compared fields of a record, on one level: e.g. {"protocol.pretrain.epochs": "80"}.

    Precisions are left out: whether two of them mean the same depends on the device.
    """
    flat: dict[str, str] = {}
    for key, value in record.items():
        if key in _PROTOCOLS:
            value = {name: its for name, its in value.items() if name != "precision"}
        if key not in _NOT_COMPARED:
            _flatten(key, value, flat)
    return flat


def _flatten(name: str, value: Any, flat: dict[str, str]) -> None:
    if isinstance(value, dict) and name not in _AS_A_WHOLE:
        for key, its in value.items():
            _flatten(f"{name}.{key}", its, flat)
    else:
        flat[name] = json.dumps(by_meaning(value))


def _precision(record: Record) -> str | None:
    """Return the precision in a record's own part of the protocol: for an unlearned model, the unlearning's part."""
    protocols = [record[name] for name in _PROTOCOLS if name in record]
    return protocols[0].get("precision") if protocols else None


def _same_precision(record: Record, wanted: Record, device: torch.device) -> bool:
    setting, here = _precision(record), str(_precision(wanted))
    return setting == here or record.get("computed_in") == precision_on(device, here)


def _history_beside(file: Path) -> str:
    history = file.with_name("history.csv")
    return history.read_text(encoding="utf-8") if history.exists() else ""


def _cost_beside(file: Path) -> dict[str, Any]:
    cost = file.with_name("cost.json")
    if not cost.exists():
        print(f"carried without its cost: there is no {cost}", flush=True)
        return dict.fromkeys((*OF_A_TRAINING, *MADE_ON))
    its = read_json(cost)
    return {key: its[key] for key in (*OF_A_TRAINING, *MADE_ON) if key in its}


def carried_logits(folder: str | None, output: Path, wanted: Record, device: torch.device) -> np.ndarray | None:
    """Return the logits of an unlearned shadow model, under the conditions of `carried_checkpoint`."""
    file = place_in(folder, output) if folder else None
    if file is None or not file.exists():
        return None
    arrays = read_arrays(file)
    if "logits" not in arrays or "made_by" not in arrays:
        print(f"not carried: {file}: its cell failed there, or it does not say how it was made", flush=True)
        return None
    record = json.loads(str(arrays["made_by"]))
    return None if fitting(file, record, wanted, device, may_lack=False) is None else arrays["logits"]
