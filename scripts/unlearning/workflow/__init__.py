"""The jobs of the workflow, and the process that runs them."""
