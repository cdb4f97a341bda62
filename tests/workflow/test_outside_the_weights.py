"""A method's changes outside of the weights are not in the checkpoint: the cell fails and says what to do."""

import csv

import pytest
from project import TINY, Project, merged

CELLS = "results/resnet20-digits-class0/seed1"
METHOD = """
import torch
from torch import nn
from torch.nn import functional as F

class UnlearningMethod:
    done = False

    def unlearn_step(self, model, retain_batch, forget_batch, optimizer, step, epoch):
        k = int(forget_batch[1][0])
        if not self.done:
            self.done = True
{effect}
        optimizer.zero_grad()
        loss = F.cross_entropy(model(retain_batch[0]), retain_batch[1])
        loss.backward()
        optimizer.step()
        return {{"loss": loss}}
"""
MASK = "torch.nn.functional.one_hot(torch.tensor(k), 10) * -1e4"
EFFECTS = {
    "forward": f"original = model.forward; model.forward = lambda images: original(images) + {MASK}",
    "forward_of_a_layer": f"original = model.head.forward; model.head.forward = lambda x: original(x) + {MASK}",
    "hook": f"model.register_forward_hook(lambda module, inputs, output: output + {MASK})",
    "hook_of_a_layer": f"model.head.register_forward_hook(lambda module, inputs, output: output + {MASK})",
    "pre_hook": "model.head.register_forward_pre_hook(lambda module, inputs: (inputs[0] * 0,))",
    "another_class": f"""model.__class__ = type("Masked", (type(model),), {{
                "forward": lambda self, images: super(type(self), self).forward(images) + {MASK}}})""",
    "the_class": f"""original = type(model).forward
            type(model).forward = lambda self, images: original(self, images) + {MASK}""",
    "the_library": "nn.Linear.forward = lambda self, x: F.linear(x * 0, self.weight)",
    "a_setting": "model.features[1].eps = 10.0",
    "a_subtle_one": "model.head.register_forward_hook(lambda module, inputs, output: output * 1.2)",
}
NOTHING = "pass"
NO_STEP = """
class UnlearningMethod:
    def unlearn_step(self, model, retain_batch, forget_batch, optimizer, step, epoch):
        loss = -F.cross_entropy(model(forget_batch[0]), forget_batch[1])
        optimizer.zero_grad()
        loss.backward()
        return {"loss": loss}
"""


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """Return a project whose methods, except for one, change things outside of the weights, and one makes no step."""
    methods = [*EFFECTS, "plain", "no_step"]
    changes = {
        "suites": {"digits": {"methods": [*methods, "scrub"]}},
        "methods": {name: {"file": f"{name}.py"} for name in methods},
    }
    project = Project(tmp_path_factory.mktemp("outside"), merged(TINY, changes))
    for name, effect in {**EFFECTS, "plain": NOTHING}.items():
        (project.folder / f"{name}.py").write_text(METHOD.format(effect=f"            {effect}"))
    (project.folder / "no_step.py").write_text(NO_STEP)
    project.make("results/table.md")
    return project


def row_of(table, name):
    (row,) = [row for row in csv.DictReader(table.read("results/metrics.csv").splitlines()) if row["method"] == name]
    return row


@pytest.mark.parametrize("name", EFFECTS)
def test_an_effect_outside_of_the_weights_fails_the_cell(table, name):
    row = row_of(table, name)
    assert row["status"] == "failed"
    assert row["reason"].startswith("its weights in a fresh model do not give its answers (logits differ by ")
    assert row["reason"].endswith("is lost; change the weights in place")
    assert row["forget_acc"] == ""


def test_the_same_method_without_the_effect_is_measured(table):
    assert row_of(table, "plain")["status"] == "ok"


def test_a_lost_log_does_not_turn_a_failed_cell_into_another(table):
    """The state from the savepoint has the answers that the model gave, not the answers of its weights."""
    (table.folder / CELLS / "hook/unlearn.log").unlink()
    table.make("results/table.md")
    assert row_of(table, "hook")["status"] == "failed"
    assert "going on after" in table.read(f"{CELLS}/hook/unlearn.log")


def test_a_method_that_changes_no_weight_is_named_in_its_row_and_its_log(table):
    row = row_of(table, "no_step")
    assert (row["status"], row["changed_weights"]) == ("ok", "0.0")
    assert "the method changed no weight; does it call optimizer.step()?" in table.read(f"{CELLS}/no_step/unlearn.log")
    assert table.read("results/table.md").count("| no_step, changed no weight ") == 5
    for name in ("plain", "scrub"):
        assert 0.5 < float(row_of(table, name)["changed_weights"]) <= 1
        assert f"| {name} " in table.read("results/table.md")
    for name in ("original", "retrain"):
        assert row_of(table, name)["changed_weights"] == ""
