"""Independent random streams, one per purpose.

Every random decision draws from a stream derived from (seed, purpose), so that adding a method never changes the
numbers of another method, and a method that draws random numbers never changes its own batches.
"""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import torch

from unlearning.seeds import stream_seed


def generator(seed: int, *purpose: str) -> torch.Generator:
    """Return a CPU generator for one purpose. Drawing on the CPU gives the same numbers for every device."""
    return torch.Generator().manual_seed(stream_seed(seed, *purpose))


def seed_global_streams(seed: int, *purpose: str) -> None:
    """Seed the global generators of ``random``, NumPy and torch, for code that does not take a generator."""
    value = stream_seed(seed, *purpose)
    random.seed(value)
    np.random.seed(value % 2**32)
    torch.manual_seed(value)


def read_global_streams() -> dict[str, Any]:
    """Return the state of the global generators, as tensors and plain values; of CUDA's, that of the job's one device.

    Another run of the job may see fewer devices.
    """
    name, keys, *position = np.random.get_state()
    return {
        "random": random.getstate(),
        "numpy": (name, torch.from_numpy(np.asarray(keys).astype(np.int64)), *position),
        "torch": torch.get_rng_state(),
        "cuda": [torch.cuda.get_rng_state()] if torch.cuda.is_initialized() else [],
    }


def set_global_streams(state: dict[str, Any]) -> None:
    """Set the global generators to what `read_global_streams` returned."""
    random.setstate(state["random"])
    name, keys, *position = state["numpy"]
    np.random.set_state((name, keys.cpu().numpy().astype(np.uint32), *position))
    torch.set_rng_state(state["torch"].cpu())
    for tensor in state["cuda"][:1]:  # an earlier version kept those of all devices
        torch.cuda.set_rng_state(tensor.cpu())
