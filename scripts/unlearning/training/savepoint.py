"""Going on after an interruption: the state of a training after its last whole epoch, on the disk."""

from __future__ import annotations

import hashlib
import json
import time
from pathlib import Path
from typing import Any

import torch

from unlearning.clocks import spent_on
from unlearning.errors import UserError
from unlearning.files import write_tensors
from unlearning.watched_code import digest_of


class Savepoint:
    """What a job has done so far, in a file that the same job of a later run finds.

    The file is of use only to a job with the same ``identity``: with everything equal that determines its result. It
    stays when the job has ended, so that a result that is lost (Snakemake removes a job's old output before it starts,
    and a mistake may end the job) comes back without training. Without a ``path`` nothing is kept.
    """

    def __init__(self, path: Path | None = None, identity: str = ""):
        self.path = path
        self.identity = identity
        self._seconds_before = 0.0
        self._start = time.perf_counter()

    @classmethod
    @spent_on("files")
    def of_job(cls, snakemake: Any, device: torch.device) -> Savepoint:
        """Return that of a job: beside its first output, and identified by its parameters and its small inputs.

        Snakemake's parameters hold the digests of the code and of the data set. Another device or version of torch
        rounds differently. Raises UserError if code or data are no longer those that Snakemake started the job with.
        """
        _check_sources(snakemake)
        inputs = [snakemake.input.get(name) for name in ("split", "checkpoint")]
        digests = [hashlib.sha256(Path(file).read_bytes()).hexdigest() for file in inputs if file]
        made_with = [device.type, str(torch.__version__), snakemake.threads]
        identity = [snakemake.rule, dict(snakemake.wildcards), dict(snakemake.params), digests, made_with]
        digest = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()
        return cls(Path(snakemake.output[0]).with_name(f".{snakemake.rule}.{digest[:12]}.savepoint"), digest)

    @spent_on("files")
    def read(self) -> dict[str, Any] | None:
        """Return the state that was kept, its tensors on the CPU; None if there is none, or none of use."""
        if self.path is None or not self.path.exists():
            return None
        try:
            kept = torch.load(self.path, map_location="cpu", weights_only=True)
            state, self._seconds_before = kept["state"], kept["seconds"]
            of_use = kept["identity"] == self.identity
        except Exception as error:  # torch.load raises half a dozen types for a damaged file
            print(f"{self.path} cannot be read ({type(error).__name__}): from the beginning", flush=True)
            return None
        if not of_use:
            self._seconds_before = 0.0
            return None
        print(f"going on after {state['epochs']} epoch(s) that an earlier run has done: {self.path}", flush=True)
        return state

    def keep(self, state: dict[str, Any]) -> None:
        """Replace what is kept by ``state``: tensors and plain values, among them ``epochs``, how many are done."""
        if self.path is not None:
            write_tensors(self.path, {"identity": self.identity, "seconds": self.seconds, "state": state})

    def keep_end(self, state: dict[str, Any]) -> None:
        """Keep the ``state`` of a job that is done, and remove what the rule's jobs with other identities had done.

        Not before: what an edit or a setting has replaced comes back at once if it is undone half-way.
        """
        self.keep(state)
        if self.path is not None:
            rule = self.path.name.removesuffix(f".{self.identity[:12]}.savepoint")
            for other in self.path.parent.glob(f"{rule}.*.savepoint"):
                if other != self.path:
                    other.unlink()

    @property
    def seconds(self) -> float:
        """Return the wall-clock seconds since this object was made, and those of the epochs done before."""
        return self._seconds_before + time.perf_counter() - self._start


def _check_sources(snakemake: Any) -> None:
    """Raise UserError if the files that the job runs or reads have changed since its parameters were worked out."""
    code = [Path(file) for file in (*snakemake.input.code, *(snakemake.input.get("method_code") or ()))]
    for name, files in {"code": code, "data": [Path(snakemake.input.dataset)]}.items():
        if digest_of(files) != snakemake.params.get(name):
            raise UserError(f"the {name} of this job changed while it was starting; run again")
