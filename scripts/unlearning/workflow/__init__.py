"""A job of the workflow and what surrounds it."""
