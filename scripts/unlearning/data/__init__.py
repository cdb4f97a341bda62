"""From the files of the data sets to mini-batches."""
