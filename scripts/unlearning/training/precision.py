"""The precision of the arithmetic in training and unlearning: a setting of the protocol."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


def precision_on(device: torch.device, precision: str) -> str:
    """Return what ``precision`` ("float32", "tf32" or "bfloat16") means on ``device``: only CUDA has tf32."""
    return "float32" if precision == "tf32" and device.type != "cuda" else precision


@contextmanager
def computing_in(precision: str, device: torch.device) -> Iterator[None]:
    """Compute the block in ``precision`` on ``device``, and restore the settings afterwards.

    float32: full precision. tf32: CUDA's convolutions and matrix products with mantissas of 10 bits. bfloat16: torch's
    mixed precision, weights and optimizer in float32.
    """
    cudnn, in_matrices = torch.backends.cudnn.allow_tf32, torch.get_float32_matmul_precision()
    if device.type == "cuda":
        torch.backends.cudnn.allow_tf32 = precision != "float32"
        torch.set_float32_matmul_precision("highest" if precision == "float32" else "high")
    try:
        # Without torch's cache of converted weights: the cache would outlive the steps that change the weights.
        with torch.autocast(device.type, torch.bfloat16, enabled=precision == "bfloat16", cache_enabled=False):
            yield
    finally:
        if device.type == "cuda":
            torch.backends.cudnn.allow_tf32 = cudnn
            torch.set_float32_matmul_precision(in_matrices)
