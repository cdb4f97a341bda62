"""One seed per purpose. Nothing heavy is imported, so that reading the workflow needs no torch and no NumPy."""

from __future__ import annotations

import hashlib

VARIANT = "__"
"""What stands between the name of a method, or of a data set, and what is changed."""


def stream_seed(seed: int, *purpose: str) -> int:
    """Return a 63-bit seed for one purpose, e.g. ``stream_seed(42, "init")``. It is equal on every machine."""
    text = "/".join([str(seed), *purpose])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def drawn_as(name: str) -> str:
    """Return the method of which ``name`` is a variant, NAME__0 of a sweep or NAME__augment_false of a calibration.

    Variants draw what the method itself draws, so that one thing differs between them, and not the luck of a draw too.
    """
    return name.partition(VARIANT)[0]
