"""make new-method NAME=x: write a first scripts/methods/x.py, and say how to try it."""

import os
import sys
from pathlib import Path

from commands import run, tells_mistakes
from unlearning.config.model import METHOD_NAME, REFERENCES, method_file
from unlearning.config.reading import shipped_config

CELL = "results/resnet20-digits-class0/seed42"

SKELETON = '''\
"""{title}: whose idea it is, and where it is published."""

from torch.nn import functional as F


class UnlearningMethod:
    """What the method does, in a sentence or two.

    It is called for every pair of mini-batches; one object lives through the whole unlearning of a model. What it
    remembers from step to step, it keeps in attributes of `self`.

    Formula: loss = CE(retain) + forget_weight * CE(forget, equal probabilities)
    Cost: two forwards and one backward per step
    Source: where the settings stand, e.g. github.com/OWNER/REPOSITORY, FILE at REVISION, or Table 2 of the paper
    Defaults: forget_weight 0.1, an example
    Deviations: what differs from the published method, and why
    When to use: an example, to be replaced
    """

    def __init__(self, *, forget_weight=0.1):  # hyperparameters; config.yaml may give other values
        self.forget_weight = forget_weight

    def unlearn_step(self, model, retain_batch, forget_batch, optimizer, step, epoch):
        """Update `model` once, in place.

        A batch is (images, labels): float32 (B, C, H, W) and int64 (B,), on the model's device. `optimizer` is Adam
        over the model's parameters; its settings are fixed. `step` counts from 0 within the epoch, `epoch` from 0.
        The model is in train mode when a step begins.
        """
        (retain_images, retain_labels), (forget_images, forget_labels) = retain_batch, forget_batch
        optimizer.zero_grad()
        retain_loss = F.cross_entropy(model(retain_images), retain_labels)
        # An example to replace: push the forget images towards equal probabilities.
        forget_loss = -F.log_softmax(model(forget_images), dim=1).mean()
        loss = retain_loss + self.forget_weight * forget_loss
        loss.backward()
        optimizer.step()
        return {{"loss": loss, "retain_loss": retain_loss, "forget_loss": forget_loss}}  # numbers for history.csv
'''


@tells_mistakes
def main(name: str) -> int:
    if not METHOD_NAME.fullmatch(name) or name in REFERENCES:
        print(
            f"error: {name!r} is no name for a method: lower-case letters, digits and underscores, a letter first, and "
            f"not {' or '.join(REFERENCES)}; write e.g. make new-method NAME=my_method",
            file=sys.stderr,
        )
        return 1
    file = method_file(name)
    if file.exists() or name in shipped_config().methods:
        what = file if file.exists() else f"a method {name}"
        print(f"error: {what} is there already; choose another name", file=sys.stderr)
        return 1
    file.write_text(SKELETON.format(title=name.replace("_", " ").capitalize()), encoding="utf-8")
    path = os.path.relpath(file)
    snakemake = os.path.relpath(Path(sys.executable).with_name("snakemake"))
    print(f"{path} is written. To try it, in less than a minute:")
    print(
        f"  {snakemake} --cores 2 {CELL}/{name}/metrics.json --config method={path} && cat {CELL}/{name}/metrics.json"
    )
    print("and in the table of the suite:")
    print(f"  make table METHOD={path}")
    return 0


if __name__ == "__main__":
    run(main, sys.argv[1])
