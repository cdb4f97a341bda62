"""When a method takes a forget step, if it is to pass over the forget set as often as its authors do.

The loop hands a method one retain and one forget mini-batch in every step, and an epoch is one pass over the retain
set. A method that uses every forget mini-batch passes over the forget set 9 times an epoch with 10 balanced classes,
and 97 times with 100 classes. A method asks for the sizes in its constructor (docs/extending.md), and then here in each
step:

    def __init__(self, *, steps_per_epoch, steps_per_forget_pass):
        self.sizes = steps_per_epoch, steps_per_forget_pass

    def unlearn_step(self, model, retain_batch, forget_batch, optimizer, step, epoch):
        if is_forget_turn(step, *self.sizes):
            ...

Forget steps are spread over the epoch (`is_forget_turn`), as where authors shuffle both sets together, or are its first
steps (`is_in_forget_round`), as where authors pass over the forget set first and over the retain set then.
"""

from __future__ import annotations

ONCE, ALWAYS = "once", "always"
"""The values of the hyperparameter ``forget_pass``: the forget set is passed over once per epoch, or in every step."""


def is_forget_turn(
    step: int, steps_per_epoch: int, steps_per_forget_pass: int, forget_pass: str = ONCE, passes: float = 1.0
) -> bool:
    """Return whether the step number ``step`` of an epoch, from 0, is one of the epoch's forget steps, spread evenly.

    There are as many as mini-batches in ``passes`` passes over the forget set, step 0 among them: together they see as
    many images. The loop goes through the forget set many times in the meantime, so that an image may be seen twice in
    one pass and not in the next. All steps are forget steps if the passes have at least as many mini-batches as the
    epoch has steps, and if ``forget_pass`` is "always".

    Raises ValueError for another ``forget_pass``.
    """
    turns = _forget_steps(steps_per_epoch, steps_per_forget_pass, forget_pass, passes)
    return step * turns % steps_per_epoch < turns


def is_in_forget_round(step: int, steps_per_epoch: int, steps_per_forget_pass: int, forget_pass: str = ONCE) -> bool:
    """Return whether the step number ``step`` of an epoch, from 0, is in the pass over the forget set that begins it.

    As many steps as with `is_forget_turn`, but the epoch's first. Raises ValueError for another ``forget_pass``.
    """
    return step < _forget_steps(steps_per_epoch, steps_per_forget_pass, forget_pass)


def _forget_steps(steps_per_epoch: int, steps_per_forget_pass: int, forget_pass: str, passes: float = 1.0) -> int:
    if forget_pass not in (ONCE, ALWAYS):
        raise ValueError(f"forget_pass is {forget_pass!r}; write {ONCE} or {ALWAYS}")
    return steps_per_epoch if forget_pass == ALWAYS else min(round(passes * steps_per_forget_pass), steps_per_epoch)


def is_measuring(step: int, epoch: int, steps_per_epoch: int, steps_per_forget_pass: int, least: int = 0) -> bool:
    """Return whether a method that first measures, and leaves the model as it is, is still measuring in this step.

    It measures in the run's first steps: for one pass over the forget set, or for ``least`` steps if these are more,
    but never longer than one epoch.
    """
    return epoch == 0 and step < min(max(steps_per_forget_pass, least), steps_per_epoch)
