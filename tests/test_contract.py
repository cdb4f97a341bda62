"""What every file in scripts/methods/ keeps to, on a tiny benchmark: a new file is tested without a new test."""

import ast
import math
import re
from functools import partial

import pytest
import torch
import yaml
from conftest import ROOT

from unlearning.batches import Batches, Normalisation
from unlearning.models import build_model
from unlearning.outcomes import Outcome
from unlearning.streams import generator, seed_global_streams
from unlearning.unlearn import load_method, unlearn

CONFIG = yaml.safe_load((ROOT / "config.yaml").read_text())["methods"]
FILES = sorted((ROOT / "scripts/methods").glob("*.py"))
PROTOCOL = {"epochs": 3, "learning_rate": 0.001}  # what a rule begins after its first epoch runs twice
LABELLED_LINES = ("Formula", "Cost", "Defaults", "Deviations", "When to use")


def batches(labels, channels, name):
    """Return batches of 4 random 8 x 8 images with ``labels``, shuffled, cropped and flipped as in a real run."""
    images = torch.randint(256, (len(labels), 8, 8, channels), generator=generator(0, name), dtype=torch.uint8)
    normalisation = Normalisation(torch.full((channels,), 127.0), torch.full((channels,), 64.0))
    return Batches(images, labels, normalisation, 4, 1, True, generator(1, name))


def run(file, classes, channels):
    """Apply the rule in ``file`` and return the model before it, the model after it, and what came of it."""
    torch.manual_seed(0)
    before, model = (build_model("resnet20", classes, channels, width=0.25) for _ in range(2))
    before.load_state_dict(model.state_dict())
    retain = batches(1 + torch.arange(9) % (classes - 1), channels, "retain")
    forget = batches(torch.zeros(5, dtype=torch.int64), channels, "forget")  # batches of 4 and of a single image
    seed_global_streams(2, "method")
    make_rule = partial(load_method, file, CONFIG[file.stem].get("hyperparameters", {}))
    return before, model, unlearn(model, make_rule, file, retain, forget, PROTOCOL)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
@pytest.mark.parametrize(("classes", "channels"), [(10, 1), (100, 3)])
def test_every_rule_keeps_the_contract(file, classes, channels, capfd):
    before, model, done = run(file, classes, channels)
    assert done.outcome == Outcome(), done.outcome  # also: the optimizer's settings and the modules are untouched
    assert [row["epoch"] for row in done.history] == [0, 1, 2]
    assert all(math.isfinite(row["loss"]) for row in done.history)
    old, new = before.state_dict(), model.state_dict()
    assert {key: (value.shape, value.dtype) for key, value in new.items()} == {
        key: (value.shape, value.dtype) for key, value in old.items()
    }
    assert all(value.isfinite().all() for value in new.values())
    assert any(not torch.equal(new[key], old[key]) for key in new)
    assert all(parameter.requires_grad for parameter in model.parameters())
    # What it remembers goes into a savepoint after each epoch.
    assert "cannot be kept" not in capfd.readouterr().out
    _, again, done_again = run(file, classes, channels)
    assert all(torch.equal(value, new[key]) for key, value in again.state_dict().items())
    assert done_again == done


def test_every_rule_is_in_the_configuration_and_the_other_way_round():
    assert sorted(CONFIG) == [file.stem for file in FILES]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_rule_says_what_it_is(file):
    module = ast.parse(file.read_text())
    (rule,) = (node for node in module.body if isinstance(node, ast.ClassDef) and node.name == "UnlearningMethod")
    found = re.findall(rf"^({'|'.join(LABELLED_LINES)}): \S", ast.get_docstring(rule), re.MULTILINE)
    assert tuple(found) == LABELLED_LINES


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_hyperparameters_stand_in_the_configuration_alone(file):
    names = [name for name, kept in CONFIG[file.stem].get("hyperparameters", {}).items()]
    rule = load_method(file, CONFIG[file.stem].get("hyperparameters", {}))
    defaults = type(rule).__init__.__kwdefaults__ if names else None
    assert defaults is None
    assert all(vars(rule)[name] == CONFIG[file.stem]["hyperparameters"][name] for name in names)
