"""A user's own method: by its file alone, in another folder, twice with other settings, or from the skeleton."""

import json
import re
import subprocess

import pytest
from project import ROOT, TINY, Project, merged

from unlearning.tables.pages import LABELS, describe

CELLS = "results/resnet20-digits-class0/seed1"
ONE_METHOD = merged(TINY, {"suites": {"digits": {"methods": ["retain_finetune"]}}})

WRITTEN_ELSEWHERE = """
import copy
import torch.nn as nn

class UnlearningMethod:
    def unlearn_step(self, model, retain_batch, forget_batch, optimizer, step, epoch):
        if not hasattr(self, "teacher"):  # no __init__; torch and F are not imported
            self.teacher = copy.deepcopy(model).eval()
            self.own_optimizer = torch.optim.SGD(model.parameters(), lr=1e-4)
            self.norms = [m for m in model.modules() if isinstance(m, nn.BatchNorm2d)]
        for norm in self.norms:
            norm.eval()
        (x, y), (forget, _) = retain_batch, forget_batch
        with torch.no_grad():
            wanted = F.softmax(self.teacher(x), dim=1)
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y) + F.kl_div(F.log_softmax(model(x), 1), wanted, reduction="batchmean")
        loss = loss - 0.1 * F.log_softmax(model(forget), 1).mean()
        loss.backward()
        optimizer.step()
        self.own_optimizer.step()
        return {"loss": loss.item()}
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """Return a finished project with one method, and another method that no configuration names."""
    project = Project(tmp_path_factory.mktemp("own"), ONE_METHOD)
    project.make("results/table.md")
    (project.folder / "mine").mkdir()
    (project.folder / "mine" / "my_rule.py").write_text(WRITTEN_ELSEWHERE)
    return project


def test_a_file_adds_a_row_without_an_edit_and_makes_nothing_else_again(project):
    method = ("--config", "method=mine/my_rule.py")
    assert project.planned(*method) == [
        "aggregate",
        "all",
        "compare my_rule",
        "evaluate my_rule",
        "table",
        "unlearn my_rule",
    ]
    project.make("results/table.md", *method)
    assert "\n| my_rule " in project.read("results/table.md")
    assert json.loads(project.read(f"{CELLS}/my_rule/metrics.json"))["status"] == "ok"
    project.make("results/table.md")
    assert "my_rule" not in project.read("results/table.md")
    project.make(f"{CELLS}/my_rule/metrics.json", *method)  # still there


def test_one_file_under_two_names_with_other_hyperparameters(project):
    file = "scripts/methods/negative_gradient.py"
    methods = {f"weight_{w}": {"file": file, "hyperparameters": {"forget_weight": w / 10}} for w in (1, 3)}
    (project.folder / "two.yaml").write_text(json.dumps({"methods": methods}))
    cells = [f"{CELLS}/{name}/history.csv" for name in methods]
    project.make("--configfile", "two.yaml", "--", *cells)
    first, second = map(project.read, cells)
    assert first != second


@pytest.mark.parametrize(
    ("method", "message"),
    [
        ("mine/nowhere.py", "there is no file mine/nowhere.py"),
        ("mine/my_rule", "method: 'mine/my_rule' does not match"),
        ("mine/My-Rule.py", "'My-Rule' is no name"),
        ("mine/scrub.py", "another method is called scrub already; rename the file"),
        ("mine/retrain.py", "the name of a reference row"),
    ],
)
def test_a_mistake_is_explained_in_one_line(project, method, message):
    done = project.run("-n", "--config", f"method={method}")
    assert done.returncode == 1
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("error: ")]
    assert message in line


def test_a_file_that_is_a_method_already_joins_the_suite(project):
    planned = project.planned("--config", "method=scripts/methods/scrub.py")
    assert planned == ["aggregate", "all", "compare scrub", "evaluate scrub", "table", "unlearn scrub"]


def new_method(project, name):
    return project.command("new_method", name)


def test_the_skeleton_runs_as_it_is_by_the_command_that_is_printed(project):
    done = new_method(project, "fresh")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("scripts/methods/fresh.py is written.")
    assert (project.folder / "scripts/methods/fresh.py").read_text().startswith('"""Fresh: ')
    (command,) = re.findall(r"snakemake (--cores 2 .*?) && cat ", done.stdout)
    target = f"{CELLS.replace('seed1', 'seed42')}/fresh/metrics.json"
    assert command == f"--cores 2 {target} --config method=scripts/methods/fresh.py"
    project.make(*command.split()[2:])
    assert json.loads(project.read(target))["status"] == "ok"
    assert set(describe(project.folder / "scripts/methods/fresh.py")) == {
        "title",
        "idea",
        *LABELS,
    }  # as make docs requires
    again = new_method(project, "fresh")
    assert again.returncode == 1
    assert again.stderr == "error: {} is there already; choose another name\n".format(
        (project.folder / "scripts/methods/fresh.py").resolve()
    )


def test_the_skeleton_takes_no_name_of_another_method(project):
    """Also of one that stands in config.yaml with a file of another name."""
    done = new_method(project, "mask_and_average_score")
    assert done.returncode == 1
    assert done.stderr == "error: a method mask_and_average_score is there already; choose another name\n"


def test_a_mistake_in_the_configuration_is_told_in_a_line(project):
    file = project.folder / "config.yaml"
    before = file.read_text()
    file.write_text(before + "\nfoo: 1\n")
    done = new_method(project, "another")
    file.write_text(before)
    assert done.returncode == 1
    assert "unknown key 'foo'" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("name", ["", "My_Rule", "a-b", "../x", "retrain", "1a"])
def test_the_skeleton_needs_a_name(project, name):
    done = new_method(project, name)
    assert done.returncode == 1
    assert f"error: {name!r} is no name for a method" in done.stderr
    assert "make new-method NAME=my_method" in done.stderr
    assert "Traceback" not in done.stderr


def test_make_hands_the_name_on():
    command = ["make", "-n", "new-method", "NAME=x"]
    done = subprocess.run(command, cwd=ROOT, text=True, capture_output=True, check=True)
    assert done.stdout.splitlines()[-1] == 'PYTHONPATH=scripts .venv/bin/python -m commands.new_method "x"'
