"""Apply a method to a model: step by step, guarded, and resumed after an interruption."""
