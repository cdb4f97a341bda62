"""The progress of a training or an unlearning: a bar in a terminal, one line per epoch in a log."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tqdm import tqdm


class Progress:
    """Epochs with a progress bar in a terminal and one line per epoch in a log file.

    ``done`` is the history of epochs done by an earlier run. The log starts again from empty, and shows them too.
    """

    def __init__(self, epochs: int, done: Sequence[Mapping[str, Any]] = ()):
        self.in_terminal = sys.stderr.isatty()
        file = sys.stderr if self.in_terminal else io.StringIO()
        for row in () if self.in_terminal else done:
            print(", ".join(f"{name} {value}" for name, value in row.items() if value is not None), file=sys.stderr)
        self.bar = tqdm(total=epochs, initial=len(done), unit="epoch", file=file)

    def __iter__(self) -> Iterator[int]:
        yield from range(self.bar.initial, self.bar.total)
        self.bar.close()

    def report(self, values: dict[str, Any]) -> None:
        """Show the numbers of the epoch that just ended."""
        self.bar.set_postfix(values, refresh=False)
        self.bar.update()
        if not self.in_terminal:
            print(self.bar, file=sys.stderr, flush=True)
