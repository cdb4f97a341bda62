"""What the user asked for: config.yaml and what is laid over it, read and checked."""
