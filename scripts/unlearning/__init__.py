"""The library behind the workflow: data sets, models, training, unlearning, metrics, tables.

Importing the package imports nothing else but the clock, so that a script pays only for what its job needs.
"""

from unlearning.clocks import CLOCK

CLOCK.switch("imports")  # until the job begins
