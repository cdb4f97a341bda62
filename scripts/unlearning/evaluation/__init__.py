"""Evaluation: from a model to its metrics."""
