"""What the figures take from metrics.csv: the cells of one benchmark that are ok, by method."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas

from unlearning.errors import UserError
from unlearning.tables.cells import ORACLE, ORIGINAL
from unlearning.tables.limits import has_collapsed, may_be_best, over_forgets, still_knows
from unlearning.tables.warnings import nothing_to_forget


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
        self._has_nothing_to_forget = nothing_to_forget(rows) is not None

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

    def competing(self, *metrics: str) -> list[str]:
        """Return the methods that may be the best, as the table's legend says it; none where it ranks nothing."""
        if self._has_nothing_to_forget:
            return []
        known = self.with_values(self.ranked, *metrics)
        return [name for name in known if self.is_whole(name) and may_be_best(self.mean, name)]

    def is_whole(self, name: str) -> bool:
        """Return whether all cells of a row are ok."""
        return len(self._ok[name]) == self.seeds[name]

    def label(self, name: str) -> str:
        """Return a row's name with what has to be known of it: why it does not compete, or that it lacks seeds."""
        notes = {"control": ["control"], "external": ["external"]}.get(self.kinds[name], [])
        if name not in (ORIGINAL, ORACLE):
            notes = notes + [f"forget_acc {self.mean(name, 'forget_acc'):.2f}"] * still_knows(self.mean, name)
            notes = notes + ["collapsed"] * has_collapsed(self.mean, name)
            notes = notes + ["over-forgets"] * over_forgets(self.mean, name)
        if not self.is_whole(name):
            notes = [*notes, f"{len(self._ok[name])} of {self.seeds[name]} seeds"]
        label = f"{ORACLE} (oracle)" if name == ORACLE else name
        return f"{label} ({', '.join(notes)})" if notes else label
