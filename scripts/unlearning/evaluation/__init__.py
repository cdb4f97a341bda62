"""From a model to its metrics."""
