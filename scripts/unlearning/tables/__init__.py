"""From the metrics of all cells to the tables that people read."""
