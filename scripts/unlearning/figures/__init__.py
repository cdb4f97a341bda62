"""Figures of a finished table, drawn from its files."""
