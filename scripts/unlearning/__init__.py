"""The library behind the workflow: data sets, models, training, unlearning, metrics, tables.

The package itself imports only the clock, so that a script imports no more than its job needs.
"""

from unlearning.clocks import CLOCK

CLOCK.switch("imports")  # until the job begins
