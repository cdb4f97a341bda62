"""One seed per purpose. Nothing heavy is imported, so that reading the workflow needs no torch and no NumPy."""

from __future__ import annotations

import hashlib


def stream_seed(seed: int, *purpose: str) -> int:
    """Return a 63-bit seed for one purpose, e.g. ``stream_seed(42, "init")``. It is equal on every machine."""
    text = "/".join([str(seed), *purpose])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1
