"""Shared by all jobs: log, errors, cost and device."""

from __future__ import annotations

import errno
import os
import re
import resource
import signal
import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from unlearning.clocks import CLOCK
from unlearning.errors import UserError, first_line
from unlearning.files import write_json
from unlearning.workflow.process import defer_dynamo, keep_freed_memory, processor_name

_OF_THE_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO, errno.ESTALE)


@contextmanager
def job(snakemake: Any, what: str) -> Iterator[dict[str, Any]]:
    """Run the block as the job of a rule, and give it a dict for further fields of its cost.

    All output goes to the rule's log: first ``what``, last the division of the job's processor time. An error ends the
    job with exit status 1 and one line on the terminal; the traceback of an unforeseen error goes to the log. If the
    rule has an output ``cost``, it gets the job's seconds, peak memory in MB, device and versions. The process ends
    with the block.
    """
    CLOCK.switch("other")
    start = time.perf_counter()
    terminal = os.fdopen(os.dup(2), "w")
    _leave_when_told(f"{snakemake.rule} ({what})", terminal)
    if snakemake.log:
        _redirect_output(Path(snakemake.log[0]))
    print(f"{snakemake.rule}: {what}", flush=True)
    further_cost: dict[str, Any] = {}
    try:
        yield further_cost
        if hasattr(snakemake.output, "cost"):
            named = {"rule": snakemake.rule, **snakemake.wildcards, "seconds": round(time.perf_counter() - start, 2)}
            write_json(snakemake.output.cost, named | cost_of_process(snakemake) | further_cost)
    except Exception as error:
        if isinstance(error, UserError):
            message = str(error)
        elif isinstance(error, OSError) and error.errno in _OF_THE_DISK:
            where = f" ({error.filename})" if error.filename else ""
            message = f"{error.strerror}{where}; mend that and run again: what is done is kept"
        else:
            traceback.print_exc()
            message = f"{type(error).__name__}: {first_line(error) or 'no message'} (traceback: {snakemake.log})"
        print(f"error in {snakemake.rule}: {message}", file=sys.stderr, flush=True)
        print(f"error in {snakemake.rule} ({what}): {message}", file=terminal, flush=True)
        sys.exit(1)
    print(f"{snakemake.rule}: done in {time.perf_counter() - start:.1f} s; processor seconds: {CLOCK}", flush=True)
    # The job's files are closed. Removing some thousand imported modules one by one would cost a third of a second.
    os._exit(0)


def _leave_when_told(what: str, terminal: TextIO) -> None:
    """End at once on SIGTERM, which a cluster sends, and on Ctrl-C: all files are whole, all savepoints written."""

    def leave(number: int, _frame: Any) -> None:
        for stream in (sys.stderr, terminal):
            print(f"stopped in {what} by {signal.Signals(number).name}; run again to go on", file=stream, flush=True)
        os._exit(128 + number)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, leave)


def cell_of(wildcards: Any) -> dict[str, Any]:
    """Return the name of a job's cell: benchmark, method and seed."""
    benchmark = f"{wildcards.model}-{wildcards.dataset}-class{wildcards.forget_class}"
    return {"benchmark": benchmark, "method": wildcards.method, "seed": int(wildcards.seed)}


def _redirect_output(log: Path) -> None:
    """Send standard output and error, also of compiled code, to the file ``log``."""
    log.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    os.close(descriptor)


def use_device(snakemake: Any) -> Any:
    """Return the torch device of the configuration ("auto": CUDA if there is one), and prepare the process for it.

    The device is read from the configuration, not from the rule's parameters, so that a change of device reruns
    nothing.
    """
    import torch

    keep_freed_memory()
    defer_dynamo()
    torch.set_num_threads(snakemake.threads)
    wanted = snakemake.config["device"]
    if wanted == "auto":
        wanted = "cuda" if torch.cuda.is_available() else "cpu"
    if wanted.startswith("cuda") and not torch.cuda.is_available():
        raise UserError(f"device: {wanted}, but torch sees no CUDA device; write auto or cpu")
    if wanted.startswith("cuda:"):
        torch.cuda.set_device(wanted)  # the job's cost reports this device's memory
    torch.backends.cudnn.allow_tf32 = False  # unless the protocol says so: see `unlearning.training.precision`
    print(f"{snakemake.rule}: on {_device_name(torch, wanted)}, {snakemake.threads} thread(s)", flush=True)
    return torch.device(wanted)


def _device_name(torch: Any, device: str) -> str:
    return torch.cuda.get_device_name(device) if device.startswith("cuda") else "cpu"


def _peak_memory_mb() -> float:
    """Return the largest memory that this program has had.

    That of getrusage begins with the peak of Snakemake; it is taken where a sandbox does not show the kernel's own.
    """
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    own = re.search(r"^VmHWM:\s+(\d+) kB$", status, re.MULTILINE)
    kilobytes = int(own[1]) if own else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(kilobytes * 1.024e-3, 1)


def cost_of_process(snakemake: Any) -> dict[str, Any]:
    """Return the peak memory of this process so far, in MB, and its device, threads and versions."""
    import torch

    on_gpu = torch.cuda.is_initialized()
    peak_gpu = torch.cuda.max_memory_allocated() / 1e6 if on_gpu else 0.0
    return {
        "peak_memory_mb": _peak_memory_mb(),
        "peak_gpu_memory_mb": round(peak_gpu, 1) if on_gpu else None,
        "device": torch.cuda.get_device_name() if on_gpu else "cpu",
        "processor": processor_name(),
        "threads": snakemake.threads,
        "torch": str(torch.__version__),
        "python": sys.version.split()[0],
    }
