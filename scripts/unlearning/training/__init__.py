"""Training from scratch, and the files that training writes."""
