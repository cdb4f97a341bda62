"""Versions of what the jobs write, to be raised where the meaning of a content changes: older files are not misread."""

CHECKPOINT = 2
"""Format 1, which does not name itself, holds the same."""

METRICS = 2
"""Of metrics.json. Format 1 did not name itself."""
