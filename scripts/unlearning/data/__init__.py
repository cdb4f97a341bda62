"""Data sets: from their files to mini-batches."""
