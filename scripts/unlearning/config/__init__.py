"""The user's request: config.yaml and the settings laid over it, read and checked."""
