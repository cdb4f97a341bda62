"""Checkpoints: a state dict and the record of how it was made, readable without running any code.

A record has everything needed to measure the model on another machine:

    model, dataset, seed, method, forget_class   what it is; the original model has no forget_class
    width, classes, channels                     how the model is built
    data                                         the digest of the data set's file
    content                                      the digest of its images, in no order; older checkpoints lack it
    images                                       classes, fit, image_size, normalisation: how the images are read
    normalisation                                mean and standard deviation of each channel (see `Normalisation`)
    protocol                                     the constants of the training from scratch
    hyperparameters, unlearning_protocol         only in the record of an unlearned model, with
    method_code, original                        digests of the method's code and of the weights that it began with
    outcome, changed_weights, answers_to_probe   how the unlearning ended: see `runner.outcomes.Unlearning`
    computed_in                                  the precision of the arithmetic
    versions                                     torch, Python and the project's commit
    carried                                      only in a checkpoint that was carried; see `carrying`
"""

from __future__ import annotations

import hashlib
import os
import pickle  # nosec B403: only the name of its exception
import textwrap
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from unlearning.clocks import spent_on
from unlearning.errors import UserError
from unlearning.models import Classifier, build_model
from unlearning.training.tensor_files import write_tensors

FORMAT = 3
"""Format 1 does not name itself. Formats 1 and 2 lack a part of the record: see `_brought_up_to_date`."""

WHOLE_SINCE = 3
"""The first format whose records are complete."""

State = dict[str, Tensor]


class BadCheckpointError(Exception):
    """Why a file is not a checkpoint of this project."""


@spent_on("files")
def save_checkpoint(path: str | os.PathLike, state: Mapping[str, Tensor] | None, record: Mapping[str, Any]) -> None:
    """Write the weights ``state``, None for a cell that failed, and the ``record`` of how they were made."""
    if state is not None:
        state = {name: tensor.detach().cpu() for name, tensor in state.items()}
    write_tensors(path, {"format": FORMAT, "state_dict": state, "made_by": dict(record)})


def rebuild(state: State, record: Mapping[str, Any]) -> Classifier:
    """Return the model of a record with the weights ``state``, without any other change that was made to the model.

    Raises BadCheckpointError if the weights do not fit.
    """
    with _bad_if_it_fails():
        model = build_model(record["model"], record["classes"], record["channels"], record["width"])
        model.load_state_dict(state)
    return model


@spent_on("files")
def read_checkpoint(path: str | os.PathLike) -> tuple[int, State | None, dict[str, Any]]:
    """Return format, weights (None for a cell that failed) and record. A record of an older format lacks some fields.

    Raises BadCheckpointError for a file that is not a checkpoint of this project, or was made by a newer version.
    """
    with _bad_if_it_fails():
        if not Path(path).stat().st_size:
            raise ValueError("it is empty")
        content = torch.load(path, map_location="cpu", weights_only=True)
        if not isinstance(content, dict) or not isinstance(content.get("made_by"), dict):
            raise ValueError(
                "it does not say what made it; a model of another program gets a row with --config checkpoint=PATH"
            )
        written_as = content.get("format", 1)
        if written_as > FORMAT:
            raise ValueError(f"format {written_as}, of a newer version than this, which reads up to {FORMAT}")
        return written_as, content["state_dict"], _brought_up_to_date(content["made_by"], written_as)


@contextmanager
def _bad_if_it_fails() -> Iterator[None]:
    try:
        yield
    except pickle.UnpicklingError:
        raise BadCheckpointError("it holds something else than tensors and plain values") from None
    except (ValueError, RuntimeError, OSError, EOFError) as error:
        raise BadCheckpointError(textwrap.shorten(str(error) or type(error).__name__, 200)) from None
    except Exception as error:  # torch.load raises half a dozen other types for a damaged file
        raise BadCheckpointError(f"torch cannot read it: {type(error).__name__}") from None


def _brought_up_to_date(record: Mapping[str, Any], written_as: int) -> dict[str, Any]:
    """Return the record of an older format in today's form, as far as possible.

    The method is added, and a field that is no longer part of a record is removed.
    """
    if written_as >= WHOLE_SINCE:
        return dict(record)
    of_reference = "retrain" if "forget_class" in record else "original"
    protocol = dict(record.get("protocol", {}))
    if "pretrain" in protocol:
        protocol["pretrain"] = {key: its for key, its in protocol["pretrain"].items() if key != "evaluate_every"}
    known = {"method": record.get("reference", of_reference), **record}
    return known | ({"protocol": protocol} if protocol else {})


def load_checkpoint(
    path: str | os.PathLike, device: torch.device | str, expected: Mapping[str, Any]
) -> tuple[Classifier | None, dict[str, Any]]:
    """Return the model on ``device`` and its record. The model of a cell that failed is None.

    Raises UserError if the file is not a checkpoint of this project, was made by a newer version, or does not fit the
    model that its record names, or if the record contradicts ``expected`` or lacks a field of it.
    """
    try:
        written_as, state, record = read_checkpoint(path)
        for key, value in expected.items():
            if key not in record and written_as >= WHOLE_SINCE:
                raise BadCheckpointError(f"it does not say with which {key} it was made")
            if record.get(key, value) != value:
                raise BadCheckpointError(f"it was made with {key} {record[key]}, not {value}")
        return (None if state is None else rebuild(state, record).to(device)), record
    except BadCheckpointError as error:
        message = f"{path}: not the checkpoint that is needed ({error}); delete it to have it made again"
        raise UserError(message) from None


def expected_of(wildcards: Mapping[str, str]) -> dict[str, str]:
    """Return the values that the record of a cell's model must have, given the ``wildcards`` that name the cell."""
    named = ("model", "dataset", "seed", "method", "forget_class")
    return {key: wildcards[key] for key in named if key != "forget_class" or wildcards["method"] != "original"}


def digest_of_weights(state: Mapping[str, Tensor]) -> str:
    """Return a digest of names, types, shapes and values, independent of the order and of the file."""
    digest = hashlib.sha256()
    for name, tensor in sorted(state.items()):
        tensor = tensor.detach().cpu().contiguous()
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.numpy().tobytes())
    return digest.hexdigest()[:16]
