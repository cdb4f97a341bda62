"""The contract of every file in scripts/methods/, on a tiny benchmark: a new file is tested without a new test."""

import math
import re
from functools import partial

import pytest
import torch
import yaml
from project import AS_CHOSEN, ROOT

from unlearning.config.model import method_file
from unlearning.data.batches import Batches, Normalisation
from unlearning.models import build_model
from unlearning.runner.interface import load_method, sizes_of
from unlearning.runner.loop import unlearn
from unlearning.runner.outcomes import Outcome
from unlearning.streams import generator, seed_global_streams
from unlearning.tables.pages import LABELS, describe

CONFIG = yaml.safe_load((ROOT / "config.yaml").read_text())["methods"]
FILES = sorted((ROOT / "scripts/methods").glob("*.py"))
OURS = [file for file in FILES if file.stem in CONFIG]
"""The files that the configuration names; a method that is only tried out need not be documented."""
DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
PROTOCOL = {"epochs": 3, "learning_rate": 0.001} | AS_CHOSEN  # what a method starts after its first epoch runs twice


def batches(labels, channels, name, device="cpu", size=4):
    """Return batches of ``size`` random 8 x 8 images with ``labels``, shuffled, cropped, flipped as in a real run."""
    images = torch.randint(256, (len(labels), 8, 8, channels), generator=generator(0, name), dtype=torch.uint8)
    normalisation = Normalisation(torch.full((channels,), 127.0), torch.full((channels,), 64.0))
    images, labels, normalisation = (thing.to(device) for thing in (images, labels, normalisation))
    return Batches(images, labels, normalisation, size, 1, True, generator(1, name))


def hyperparameters_of(file):
    """Return the hyperparameters in the configuration; a file that is not in it must have defaults."""
    return CONFIG.get(file.stem, {}).get("hyperparameters", {})


def run(file, classes, channels, device):
    """Apply the method in ``file``, and return the model before, the model after, and the result."""
    torch.manual_seed(0)
    before, model = (build_model("resnet20", classes, channels, width=0.25).to(device) for _ in range(2))
    before.load_state_dict(model.state_dict())
    # Shares as with about ten classes; the last mini-batch of each set has one image.
    retain = batches(1 + torch.arange(25) % (classes - 1), channels, "retain", device, size=12)
    forget = batches(torch.zeros(5, dtype=torch.int64), channels, "forget", device)
    seed_global_streams(2, "method")
    make_method = partial(load_method, file, hyperparameters_of(file))
    return before, model, unlearn(model, make_method, file, retain, forget, PROTOCOL)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
@pytest.mark.parametrize(("classes", "channels"), [(10, 1), (100, 3)])
@pytest.mark.parametrize("device", DEVICES)
def test_every_method_keeps_the_contract(file, classes, channels, device, capfd):
    before, model, done = run(file, classes, channels, device)
    assert done.outcome == Outcome(), done.outcome  # also shows: optimizer's settings and modules did not change
    assert [row["epoch"] for row in done.history] == [0, 1, 2]
    assert all(math.isfinite(row["loss"]) for row in done.history)
    old, new = before.state_dict(), model.state_dict()
    assert {key: (value.shape, value.dtype) for key, value in new.items()} == {
        key: (value.shape, value.dtype) for key, value in old.items()
    }
    assert all(value.isfinite().all() for value in new.values())
    assert any(not torch.equal(new[key], old[key]) for key in new)
    assert all(parameter.requires_grad for parameter in model.parameters())
    # The method's memory goes into a savepoint after each epoch.
    assert "cannot be kept" not in capfd.readouterr().out
    _, again, done_again = run(file, classes, channels, device)
    assert all(torch.equal(value, new[key]) for key, value in again.state_dict().items())
    assert done_again == done


SETS = {
    # Classes, labels of the retain set, number of forget images, size of a mini-batch.
    "one_forget_image_and_batches_of_one": (10, 1 + torch.arange(3), 1, 1),
    "classes_of_one_image_and_one_large": (100, torch.cat([torch.arange(1, 100), torch.ones(20, dtype=int)]), 2, 59),
    "more_forget_than_retain_images": (10, 1 + torch.arange(5), 19, 4),  # 2 steps an epoch, 5 forget mini-batches
}
"""The last mini-batch of each retain set has one image."""


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
@pytest.mark.parametrize("case", SETS)
def test_every_method_bears_unusual_sets(file, case):
    classes, labels, forget_images, size = SETS[case]
    torch.manual_seed(0)
    model = build_model("resnet20", classes, 1, width=0.25)
    retain = batches(labels, 1, "retain", size=size)
    forget = batches(torch.zeros(forget_images, dtype=torch.int64), 1, "forget", size=size)
    seed_global_streams(2, "method")
    make_method = partial(load_method, file, hyperparameters_of(file))
    done = unlearn(model, make_method, file, retain, forget, PROTOCOL)
    assert done.outcome == Outcome(), done.outcome
    assert all(math.isfinite(row["loss"]) for row in done.history)
    assert all(value.isfinite().all() for value in model.state_dict().values())


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_method_leaves_the_model_in_train_mode(file):
    """This holds for each module, in every step: a user who calls a method directly gets the model back in its mode."""
    torch.manual_seed(0)
    model = build_model("resnet20", 10, 1, width=0.25).train()
    retain, forget = batches(1 + torch.arange(9) % 9, 1, "retain"), batches(torch.zeros(9, dtype=int), 1, "forget")
    sizes = sizes_of(retain, forget, "retain")
    method, optimizer = (
        load_method(file, hyperparameters_of(file), sizes),
        torch.optim.Adam(model.parameters(), lr=0.001),
    )
    for epoch in range(3):
        for step, pair in enumerate(zip(retain.epoch(), forget.epoch(), strict=True)):
            method.unlearn_step(model, *pair, optimizer, step, epoch)
            assert all(module.training for module in model.modules())


def test_every_method_of_the_configuration_has_its_file():
    """Its own file or, under another name and with other hyperparameters, the file of another method."""
    assert {ROOT / method_file(name, entry.get("file")) for name, entry in CONFIG.items()} == set(OURS)


@pytest.mark.parametrize("file", OURS, ids=lambda file: file.stem)
def test_every_method_says_what_it_is(file):
    said = describe(file)
    assert set(said) == {"title", "idea", *LABELS}
    assert all(said.values())


PROOF = re.compile(r"github\.com/\S+, \S+ at [0-9a-f]{7,40}\b|\bTable [0-9A-Z]+\b")


@pytest.mark.parametrize("name", [name for name, entry in CONFIG.items() if entry.get("settings") == "authors"])
def test_settings_of_the_authors_are_proved_by_a_file_of_their_code_or_a_table_of_their_paper(name):
    """The file has a revision: github.com/OWNER/REPOSITORY, FILE at REVISION."""
    file = ROOT / method_file(name, CONFIG[name].get("file"))
    assert PROOF.search(describe(file)["Source"])


@pytest.mark.parametrize(("name", "entry"), CONFIG.items())
def test_a_method_without_hyperparameters_has_no_settings_of_anybody(name, entry):
    assert (entry.get("settings") == "none") == (not entry.get("hyperparameters"))


@pytest.mark.parametrize("file", OURS, ids=lambda file: file.stem)
def test_hyperparameters_stand_in_the_configuration_alone(file):
    names = [name for name, kept in CONFIG[file.stem].get("hyperparameters", {}).items()]
    sizes = dict.fromkeys(("retain_images", "forget_images", "steps_per_epoch", "steps_per_forget_pass"), 1)
    method = load_method(file, CONFIG[file.stem].get("hyperparameters", {}), sizes)
    defaults = type(method).__init__.__kwdefaults__ if names else None
    assert defaults is None
    assert all(vars(method)[name] == CONFIG[file.stem]["hyperparameters"][name] for name in names)
