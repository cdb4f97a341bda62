"""The library behind the workflow: data sets, models, training, unlearning, metrics, tables.

Importing the package imports nothing else, so that a script pays only for what its job needs.
"""
