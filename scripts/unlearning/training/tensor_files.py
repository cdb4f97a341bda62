"""Files of tensors that are either whole or absent."""

from __future__ import annotations

import io
import os
from collections.abc import Mapping
from typing import Any

import torch

from unlearning.clocks import spent_on
from unlearning.files import whole_file


@spent_on("files")
def write_tensors(path: str | os.PathLike, content: Mapping[str, Any]) -> None:
    """Write tensors and plain values like torch.save. The same content gives the same bytes."""
    buffer = io.BytesIO()  # torch's own writer hides the reason of a failure, such as a full disk
    torch.save(content, buffer)
    with whole_file(path) as partial:
        partial.write_bytes(buffer.getbuffer())
