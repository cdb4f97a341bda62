"""The colour and marker of each method: the same in every figure, whatever else is drawn."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
"""Colours that most colour-blind people can tell apart (Okabe and Ito, 2008), without black, and yellow on white."""

MARKERS = "osD^vPhp"
"""Shapes with a face, which can be filled or left white."""

GREY, BAND = "0.72", "0.9"
"""What is surpassed by another method, and the strip of the oracle."""

NAMED = (
    *("mask_and_average", "mask_and_average_score", "retain_finetune", "negative_gradient", "bad_teacher", "scrub"),
    *("head_mask", "scratch", "retain_finetune_averaged", "scrub_authors", "random_label", "salun"),
    *("boundary_shrink", "unsir", "ssd", "fisher_forgetting", "l1_sparse", "npo"),
    *("neggrad_plus", "delete", "lotus", "trew", "cmf", "munba"),
    *("sfron", "dual_optim", "dual_optim_salun", "uam", "fanchuan", "msg"),
    *("ct", "renew_and_distill", "flatten_kl", "flatten_spread"),
)
"""The methods of this project. The place in this list fixes the look: write a new method at the end. A method that is
not here has a look by its name, which another method may have too."""


@dataclass(frozen=True)
class Look:
    """How the marks of a method look."""

    colour: str
    marker: str


REFERENCE_LOOKS = {"original": Look("black", "X"), "retrain": Look("black", "*")}


def look_of(name: str) -> Look:
    """Return the look of a method or reference. It depends on the name alone."""
    if name in REFERENCE_LOOKS:
        return REFERENCE_LOOKS[name]
    place = NAMED.index(name) if name in NAMED else int(hashlib.sha256(name.encode()).hexdigest(), 16)
    # Neighbours in the list differ in both; no two of the first len(COLOURS) * len(MARKERS) places are equal.
    row, colour = divmod(place % (len(COLOURS) * len(MARKERS)), len(COLOURS))
    return Look(COLOURS[colour], MARKERS[(row + colour) % len(MARKERS)])
