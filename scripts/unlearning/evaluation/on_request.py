"""The formats of the files that are made on request, for those who write them and those who read them."""

FORMATS = {"relearning.json": 2, "ulira.json": 2}
"""Raise a number when the meaning of the file's content changes. Format 1 does not name itself."""
