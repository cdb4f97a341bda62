"""What the figures take from metrics.csv: the cells of one benchmark that are ok, by method."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas

from unlearning.errors import UserError
from unlearning.tables.cells import ORACLE, ORIGINAL
from unlearning.tables.limits import LEAST_KEPT, STILL_KNOWN


class Cells:
    """The cells of one benchmark, in the order of the table. A method without an ok cell has a name, but no values."""

    def __init__(self, metrics: pandas.DataFrame, benchmark: str):
        """Raise UserError if ``metrics``, the contents of metrics.csv, has no row of ``benchmark``."""
        rows = metrics[metrics["benchmark"] == benchmark]
        if rows.empty:
            there = ", ".join(metrics["benchmark"].unique())
            raise UserError(f"results/metrics.csv: no row of {benchmark}; it has {there}")
        self.kinds = dict(zip(rows["method"], rows["kind"], strict=True))
        self.seeds = rows.groupby("method")["seed"].nunique().to_dict()
        self._ok = {name: its[its["status"] == "ok"] for name, its in rows.groupby("method")}

    @property
    def names(self) -> list[str]:
        """All rows of the table."""
        return list(self.kinds)

    @property
    def ranked(self) -> list[str]:
        """The methods that compete: no references, controls or models of other programs."""
        return [name for name, kind in self.kinds.items() if kind in ("baseline", "method")]

    @property
    def references(self) -> list[str]:
        """The model before unlearning and the oracle, where they have values."""
        return [name for name in (ORIGINAL, ORACLE) if name in self.kinds and len(self._ok[name])]

    def values(self, name: str, metric: str) -> np.ndarray:
        """Return the values of a metric (seeds,) that are known."""
        rows = self._ok.get(name)
        if rows is None or metric not in rows:
            return np.array([])
        return rows[metric].dropna().to_numpy(dtype=float)

    def mean(self, name: str, metric: str) -> float:
        """Return the mean over the seeds that are ok; NaN where there is none."""
        values = self.values(name, metric)
        return float(values.mean()) if len(values) else float("nan")

    def with_values(self, names: Sequence[str], *metrics: str) -> list[str]:
        """Return those of ``names`` that have a value of every metric."""
        return [name for name in names if all(len(self.values(name, metric)) for metric in metrics)]

    def still_knows(self, name: str) -> bool:
        """Return whether a model still names the forget class, as the table's legend says it."""
        of_oracle = self.mean(ORACLE, "forget_acc")
        return self.mean(name, "forget_acc") > (0 if np.isnan(of_oracle) else of_oracle) + STILL_KNOWN

    def has_collapsed(self, name: str) -> bool:
        """Return whether a model has lost too much of the retained accuracy, as the table's legend says it."""
        return self.mean(name, "retain_acc") < LEAST_KEPT * self.mean(ORIGINAL, "retain_acc")

    def competing(self, *metrics: str) -> list[str]:
        """Return the methods that may be the best: ok in every seed, without the class, and not collapsed."""
        whole = [name for name in self.with_values(self.ranked, *metrics) if self.is_whole(name)]
        return [name for name in whole if not self.still_knows(name) and not self.has_collapsed(name)]

    def is_whole(self, name: str) -> bool:
        """Return whether all cells of a row are ok."""
        return len(self._ok[name]) == self.seeds[name]

    def label(self, name: str) -> str:
        """Return a row's name with what has to be known of it: why it does not compete, or that it lacks seeds."""
        notes = {"control": ["control"], "external": ["external"]}.get(self.kinds[name], [])
        if name not in (ORIGINAL, ORACLE):
            notes = notes + [f"forget_acc {self.mean(name, 'forget_acc'):.2f}"] * self.still_knows(name)
            notes = notes + ["collapsed"] * self.has_collapsed(name)
        if not self.is_whole(name):
            notes = [*notes, f"{len(self._ok[name])} of {self.seeds[name]} seeds"]
        label = f"{ORACLE} (oracle)" if name == ORACLE else name
        return f"{label} ({', '.join(notes)})" if notes else label
