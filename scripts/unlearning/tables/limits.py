"""What a method must have forgotten and kept to be compared: the table's legend says it in words."""

LEAST_KEPT = 0.7
"""A method that keeps a smaller share of the original model's retain_acc has collapsed."""

STILL_KNOWN = 0.1
"""A method whose forget_acc is more than this above the oracle's has not forgotten the class."""

FOUND, MORE_THAN_ORACLE = 0.6, 0.05
"""A method over-forgets if 1 − AUC, of the attack turned around, reaches the first, and the oracle's and the second."""
