"""From metrics.csv and its neighbours to what people read."""
