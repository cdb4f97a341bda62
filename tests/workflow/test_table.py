"""The workflow, run by the real Snakemake on a tiny protocol: its files, its rebuilds, its messages."""

import csv
import hashlib
import json
import platform
import re
import shutil
from importlib.metadata import version

import numpy as np
import pandas
import pytest
import torch
import yaml
from project import ROOT, TINY, Project, merged

from unlearning.evaluation import metrics, ulira
from unlearning.files import read_table
from unlearning.paths import TABLES
from unlearning.tables.columns import ON_REQUEST
from unlearning.tables.comparison import render_table
from unlearning.tables.numbers import Numbers
from unlearning.workflow.process import processor_name

CELLS = "results/resnet20-digits-class0/seed1"
METHODS = ["head_mask", "retain_finetune", "negative_gradient", "bad_teacher", "scrub"]
ROWS = ["original", "retrain", *METHODS]


def rows_of(project, path):
    return list(csv.DictReader(project.read(path).splitlines()))


def test_the_table_has_every_method_and_both_references(finished_project):
    table = finished_project.read("results/table.md")
    assert "## resnet20-digits-class0" in table
    for row in ("*original*", "*retrain*", "*head_mask* (control)", *METHODS[1:]):
        assert table.count(f"\n| {row} ") == 5  # scores, distances, features, costs, paired differences
    assert "ublished" not in table  # the digits have no published results


def test_the_table_says_in_what_it_was_computed(finished_project):
    """tf32, the default, exists only with CUDA: on a CPU it is float32."""
    assert "tf32" in finished_project.read("config.yaml") or "precision" not in finished_project.read("config.yaml")
    assert re.search(r"· cpu, float32, 1 thread per job · torch ", finished_project.read("results/table.md"))
    of_rule = {row["rule"]: row["precision"] for row in rows_of(finished_project, "results/costs.csv")}
    assert of_rule == {"pretrain": "float32", "retrain": "float32", "unlearn": "float32", "evaluate": ""}


@pytest.mark.parametrize(("device", "slots"), [("cpu", 0), ("cuda", 1), ("cuda:0", 1)])
def test_jobs_take_a_slot_of_the_gpu_where_they_use_it(copied_project, device, slots):
    workspace = copied_project.folder / "scripts/unlearning/workflow/workspace.py"
    workspace.write_text(workspace.read_text() + "\n\ndef sees_gpu():\n    return True\n")
    printed = copied_project.make("-n", "--forceall", "--quiet", "host", "--config", f"device={device}")
    assert printed.count(f"gpu_slots={slots}") == 14  # 2 trainings, 5 unlearnings, 7 evaluations
    assert f"gpu_slots={1 - slots}" not in printed


def test_metrics_csv_has_one_row_a_cell(finished_project):
    rows = rows_of(finished_project, "results/metrics.csv")
    assert [row["method"] for row in rows] == ROWS
    assert list(rows[0])[:5] == ["benchmark", "method", "seed", "status", "kind"]
    assert [row["kind"] for row in rows] == ["reference"] * 2 + ["control"] + ["baseline"] * 4
    for row in rows:
        assert (row["benchmark"], row["seed"], row["status"]) == ("resnet20-digits-class0", "1", "ok")
        retain, forget, auc = (float(row[name]) for name in ("retain_acc", "forget_acc", "forget_mia_auc"))
        assert float(row["unlearn_score"]) == pytest.approx((retain + 1 - forget + 1 - auc) / 3)
        assert json.loads(finished_project.read(f"{CELLS}/{row['method']}/metrics.json"))["retain_acc"] == retain


def test_the_oracle_is_at_no_distance_from_itself_and_the_others_are(finished_project):
    rows = {row["method"]: row for row in rows_of(finished_project, "results/metrics.csv")}
    oracle = rows["retrain"]
    assert float(oracle["forget_acc"]) == float(oracle["forget_train_acc"]) == 0
    assert {float(value) for name, value in oracle.items() if name.startswith("gap_")} == {0}
    assert (float(oracle["mean_abs_gap"]), float(oracle["tow"]), float(oracle["js_to_oracle"])) == (0, 1, 0)
    for method in METHODS:
        row = rows[method]
        gap = float(row["retain_acc"]) - float(oracle["retain_acc"])
        assert float(row["gap_retain_acc"]) == pytest.approx(gap)
        assert 0 < float(row["js_to_oracle"]) <= 1
    # The control: the model no longer names the forget class, and nothing else is changed.
    original, masked = rows["original"], rows["head_mask"]
    assert float(masked["forget_acc"]) == 0
    assert masked["probe_acc"] == original["probe_acc"]
    assert float(masked["unlearn_score"]) > float(original["unlearn_score"])
    for name in ("prototype_acc_10", "class_mean_acc", "few_shot_probe_acc", "residue_rank"):
        assert masked[name] == original[name]
    assert (float(oracle["routing_tv"]), float(oracle["cka_to_oracle"])) == (0, pytest.approx(1))
    comparison = json.loads(finished_project.read(f"{CELLS}/head_mask/compare.json"))
    assert sum(comparison["routing"]) == pytest.approx(1)
    assert comparison["routing"][0] == 0 == float(masked["forget_acc"])


def dictionary_of(project, file):
    section = project.read("results/metrics.md").split(f"## {file}\n")[1].split("\n## ")[0]
    return [name for line in section.splitlines() if line.startswith("- ") for name in names_in(line)]


def names_in(line):
    return re.findall(r"`([^`]+)`", re.split(r"[:(]", line)[0])


@pytest.mark.parametrize("file", [f"{name}.csv" for name in TABLES if name != "floor"])  # empty: there is one seed
def test_every_column_is_in_the_dictionary_and_the_other_way_round(finished_project, file):
    columns = set(rows_of(finished_project, f"results/{file}")[0])
    described = set(dictionary_of(finished_project, file))
    gaps = {column for column in columns if column.startswith("gap_")}
    on_request = {column.name for column in ON_REQUEST} | {"carried"}
    assert columns - gaps == described - {"gap_{metric}"} - (on_request - columns)
    assert {column.removeprefix("gap_") for column in gaps} < columns


def test_scores_are_kept_for_further_attacks(finished_project):
    scores = np.load(finished_project.folder / CELLS / "scrub/scores.npz")
    split = np.load(finished_project.folder / "results/resnet20-digits-class0/split.npz")
    assert len(scores["member_logits"]) == len(scores["augmented_member_logits"]) == len(split["forget_train"])
    assert len(scores["non_member_logits"]) == len(split["forget_test"])
    confidences = [metrics.confidence(scores[f"{side}_logits"]) for side in ("member", "non_member")]
    row = rows_of(finished_project, "results/metrics.csv")[ROWS.index("scrub")]
    assert float(row["forget_mia_auc"]) == metrics.membership_auc(*confidences)


def test_the_summary_and_the_comparisons_are_those_of_metrics_csv(finished_project):
    scores = {row["method"]: float(row["unlearn_score"]) for row in rows_of(finished_project, "results/metrics.csv")}
    summary = [row for row in rows_of(finished_project, "results/summary.csv") if row["metric"] == "unlearn_score"]
    assert {row["method"]: float(row["mean"]) for row in summary} == scores
    compared = [row for row in rows_of(finished_project, "results/comparisons.csv") if row["metric"] == "unlearn_score"]
    assert len(compared) == 7 * 4 - 4
    for row in compared:
        assert float(row["difference"]) == pytest.approx(scores[row["method"]] - scores[row["baseline"]])
        assert row["half_width"] == row["p_value"] == row["p_holm"] == ""  # one seed


def test_the_table_is_made_from_the_files_of_numbers(finished_project):
    numbers = Numbers(**{name: read_table(finished_project.folder / path) for name, path in TABLES.items()})
    assert render_table(numbers, "digits") == finished_project.read("results/table.md")


def test_make_check_is_content_with_a_whole_table(finished_project):
    assert check(finished_project) == (0, "7 of 7 cells are ok\n", "")


def check(project):
    done = project.command("check")
    return done.returncode, done.stdout, done.stderr


def test_costs_csv_has_one_row_a_job(finished_project):
    rows = rows_of(finished_project, "results/costs.csv")
    jobs = [row["rule"] for row in rows]
    assert {rule: jobs.count(rule) for rule in jobs} == {"pretrain": 1, "retrain": 1, "unlearn": 5, "evaluate": 7}
    for row in rows:
        assert float(row["seconds"]) > 0
        assert 50 < float(row["peak_memory_mb"]) < 1500
        assert row["device"]
        if row["rule"] == "unlearn":
            assert row["steps"] == "19"  # 1213 images of the retain set, 64 per step
            assert 0 < float(row["training_seconds"]) < float(row["seconds"])
            assert float(row["seconds_to_oracle"]) > 0
    assert "seconds" not in finished_project.read("results/metrics.csv")


def test_histories_have_their_columns(finished_project):
    pretraining = rows_of(finished_project, "results/resnet20-digits/seed1/history.csv")
    assert list(pretraining[0]) == ["epoch", "lr", "train_loss", "test_accuracy", "seconds"]
    assert len(pretraining) == 2
    scrub = rows_of(finished_project, f"{CELLS}/scrub/history.csv")
    assert list(scrub[0]) == ["epoch", "max_loss", "loss"]


def test_a_checkpoint_says_what_made_it_and_needs_no_trust(finished_project):
    path = finished_project.folder / CELLS / "scrub" / "unlearned.pt"
    made_by = torch.load(path, weights_only=True)["made_by"]
    expected = {
        "model": "resnet20",
        "width": 0.25,
        "dataset": "digits",
        "seed": "1",
        "forget_class": "0",
        "method": "scrub",
        "images": {"classes": 10, "fit": "resize", "image_size": 8, "normalisation": "channels"},
        "computed_in": "float32",
    }
    assert made_by.items() >= expected.items()
    assert made_by["hyperparameters"]["temperature"] == 4.0
    assert made_by["protocol"]["pretrain"]["epochs"] == 2
    assert made_by["unlearning_protocol"]["unlearn"]["epochs"] == 1
    assert "evaluate_every" not in made_by["protocol"]["pretrain"]
    assert {"torch", "python", "commit"} == set(made_by["versions"])
    images = np.load(finished_project.folder / "data/digits.npz")["train_images"]
    assert made_by["normalisation"] == {
        "mean": [pytest.approx(images.mean())],
        "std": [pytest.approx(images.std())],
    }
    data = hashlib.sha256((finished_project.folder / "data/digits.npz").read_bytes()).hexdigest()
    assert data.startswith(made_by["data"])


def test_every_checkpoint_says_which_row_it_is_of(finished_project):
    folder = finished_project.folder
    paths = ["results/resnet20-digits/seed1/pretrained.pt", f"{CELLS}/retrain/retrained.pt"]
    paths += [f"{CELLS}/{method}/unlearned.pt" for method in METHODS]
    records = [torch.load(folder / path, weights_only=True)["made_by"] for path in paths]
    assert [record["method"] for record in records] == ROWS
    assert ["forget_class" in record for record in records] == [False] + [True] * 6


def test_the_oracle_in_place_of_another_row_is_refused(copied_project):
    folder = copied_project.folder / CELLS
    (folder / "scrub/unlearned.pt").write_bytes((folder / "retrain/retrained.pt").read_bytes())
    done = copied_project.run()
    assert done.returncode == 1
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("error in evaluate")]
    assert "not the checkpoint that is needed (it was made with method retrain, not scrub)" in line


def test_the_split_is_by_class(finished_project):
    labels = np.load(finished_project.folder / "data/digits.npz")
    split = np.load(finished_project.folder / "results/resnet20-digits-class0/split.npz")
    for part in ("train", "test"):
        assert (labels[f"{part}_labels"][split[f"forget_{part}"]] == 0).all()
        assert (labels[f"{part}_labels"][split[f"retain_{part}"]] != 0).all()


def test_logs_say_what_is_done_on_which_device_and_show_every_epoch(finished_project):
    log = finished_project.read("results/resnet20-digits/seed1/pretrain.log")
    assert "pretrain: train resnet20 on digits, seed 1" in log
    assert "1 thread(s)" in log
    assert len([line for line in log.splitlines() if "epoch" in line and "train_loss=" in line]) == 2
    assert "done in" in log


def test_no_partial_files_are_left(finished_project):
    assert list(finished_project.folder.rglob("*.partial")) == []


def test_a_file_that_is_there_is_used_and_never_overwritten(tmp_path, arrays):
    project = Project(tmp_path / "own", TINY)
    file = project.folder / "data/digits.npz"
    file.parent.mkdir()
    labels = np.arange(30, dtype=np.uint8) % 10
    mine = {"train_labels": labels, "test_images": arrays["train_images"], "test_labels": labels}
    np.savez(file, **arrays | mine)  # not the digits at all
    before = file.read_bytes()
    target = "results/resnet20-digits-class2/split.npz"
    project.make(target)
    assert len(np.load(project.folder / target)["forget_train"]) == 3
    project.make(target, "--forcerun", "dataset")
    assert file.read_bytes() == before


def test_a_data_set_of_ones_own_is_one_entry_and_one_file(tmp_path, arrays):
    changes = TINY | {
        "datasets": {"mine": {"classes": 3, "fit": "resize"}},
        "benchmarks": {"resnet20-mine": {"protocol": "tiny", "width": 0.25, "image_size": 12}},
        "data_dir": str(tmp_path / "elsewhere"),
    }
    project = Project(tmp_path / "own", changes)
    target = "results/resnet20-mine-class1/seed5/retain_finetune/metrics.json"
    missing = project.run(target)
    assert missing.returncode != 0
    assert "mine.npz is not there and datasets.mine has no source; put the file in place by hand" in missing.stdout
    (tmp_path / "elsewhere").mkdir()
    colour = {name: np.stack([a] * 3, -1) if "images" in name else a[:, None] for name, a in arrays.items()}
    np.savez(tmp_path / "elsewhere/mine.npz", **colour)
    project.make(target)
    assert json.loads(project.read(target))["status"] == "ok"


def test_a_bad_file_ends_its_job_with_one_line(tmp_path, arrays):
    project = Project(tmp_path / "bad", TINY)
    (project.folder / "data").mkdir()
    np.savez(project.folder / "data/digits.npz", **arrays | {"train_labels": np.arange(30) % 20})
    done = project.run("results/resnet20-digits-class0/split.npz")
    assert done.returncode != 0
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("error in split")]
    assert "data/digits.npz: train_labels has the label 10; with 10 classes the labels are 0 to 9" in line
    assert "Traceback" not in done.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--config", "suite=papper"], "unknown name 'papper'; did you mean paper? known: digits, fashion, paper"),
        (["--config", "sute=paper"], "top level: unknown key 'sute'; did you mean suite?"),
        (["results/resnet20-digits-class10/seed1/scrub/metrics.json"], "digits has the classes 0 to 9"),
    ],
)
def test_a_mistake_ends_the_run_before_any_job_with_one_line(finished_project, arguments, message):
    done = finished_project.run(*arguments)
    assert done.returncode == 1
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("error: ")]
    assert message in line
    assert "Traceback" not in done.stdout


def test_a_failure_of_the_machine_fails_the_job_and_nothing_else(tmp_path, finished_project):
    project = Project(tmp_path / "failing", TINY | {"methods": {"greedy": {"file": "greedy.py"}}})
    (project.folder / "greedy.py").write_text(
        "class UnlearningMethod:\n    def unlearn_step(self, *arguments):\n        raise MemoryError('no more')\n"
    )
    cells = [f"{CELLS}/{method}/metrics.json" for method in ("greedy", "retain_finetune")]
    done = project.run(*cells)
    assert done.returncode == 1
    assert "error in unlearn (greedy on resnet20" in done.stdout
    assert "MemoryError: no more" in done.stdout
    assert project.read(cells[1]) == finished_project.read(cells[1])


@pytest.fixture(scope="module")
def requested_project(tmp_path_factory):
    """Return a project with everything on request, a method that raises, and a method called "nan" that diverges."""
    methods = {
        "raises": "if step == 3: raise ValueError('this is\\nwrong')",
        "nan": "if step == 5: return {'loss': torch.tensor(float('nan'))}",
    }
    suite = TINY["suites"]["digits"] | {"methods": ["head_mask", "retain_finetune", *methods]}
    changes = {"suites": {"digits": suite}, "methods": {name: {"file": f"{name}.py"} for name in methods}}
    project = Project(tmp_path_factory.mktemp("requested"), TINY | changes)
    for name, fault in methods.items():
        (project.folder / f"{name}.py").write_text(
            "class UnlearningMethod:\n"
            "    def unlearn_step(self, model, retain_batch, forget_batch, optimizer, step, epoch):\n"
            f"        {fault}\n"
            "        return {'loss': 0.0}\n"
        )
    project.make("results/table.md", "--config", "retain_relearning=true", "shadow_models=4")
    return project


def test_a_failed_cell_has_its_reason_and_place_and_the_others_stand(requested_project, finished_project):
    rows = {row["method"]: row for row in rows_of(requested_project, "results/metrics.csv")}
    names = ("status", "reason", "epoch", "step", "line")
    assert [rows["raises"][name] for name in names] == ["failed", "ValueError: this is", "0", "3", "3"]
    assert [rows["nan"][name] for name in names] == ["diverged", "the loss is nan", "0", "5", "2"]
    for name in ("raises", "nan"):
        known = json.loads(requested_project.read(f"{CELLS}/{name}/metrics.json"))
        assert known["reason"] == rows[name]["reason"]
        assert {rows[name][metric] for metric in metrics.METRICS} == {""}
        compared = json.loads(requested_project.read(f"{CELLS}/{name}/compare.json"))
        assert compared.pop("seed") == 1
        assert {value for key, value in compared.items() if key not in ("benchmark", "method")} == {None}
        assert rows[name]["prototype_acc_10"] == rows[name]["routing_tv"] == ""
    same = "retain_finetune/metrics.json"
    assert requested_project.read(f"{CELLS}/{same}") == finished_project.read(f"{CELLS}/{same}")
    table = requested_project.read("results/table.md")
    assert re.search(r"\| raises +\| +failed \(1 of 1 seeds\) +\| +– \|", table)
    assert re.search(r"\| nan +\| +diverged \(1 of 1 seeds\) +\| +– \|", table)
    assert "- raises, seed 1: failed (epoch 0, step 3, line 3): ValueError: this is\n" in table
    assert "ValueError: this is\nwrong" in requested_project.read(f"{CELLS}/raises/unlearn.log")  # whole, in the log


def test_make_check_names_the_cells_that_are_not_ok(requested_project):
    status, printed, errors = check(requested_project)
    assert (status, printed) == (1, "4 of 6 cells are ok\n")
    assert errors.splitlines() == [
        "raises on resnet20-digits-class0, seed 1: failed: ValueError: this is",
        "nan on resnet20-digits-class0, seed 1: diverged: the loss is nan",
    ]


def test_make_check_without_a_table_says_how_to_get_one(tmp_path):
    status, _, errors = check(Project(tmp_path / "empty", TINY))
    assert status == 1
    assert errors == "error: results/metrics.csv is not there; make it with: make table\n"


def test_make_check_names_a_file_of_the_table_that_is_gone(copied_project):
    (copied_project.folder / "results/summary.csv").unlink()
    status, _, errors = check(copied_project)
    assert (status, errors) == (1, "error: results/summary.csv is not there; make it with: make table\n")


def test_make_check_names_what_is_wrong_with_a_benchmark_as_a_whole(copied_project):
    metrics = copied_project.folder / "results/metrics.csv"
    cells = pandas.read_csv(metrics)
    cells.loc[cells["method"] == "original", "forget_acc"] = 0.1
    cells.to_csv(metrics, index=False)
    costs = copied_project.folder / "results/costs.csv"
    jobs = pandas.read_csv(costs)
    jobs.loc[jobs["method"] == "scrub", "device"] = "another"
    jobs.to_csv(costs, index=False)
    status, printed, errors = check(copied_project)
    assert (status, printed) == (1, "7 of 7 cells are ok\n")
    first, second = errors.splitlines()
    assert first.startswith("resnet20-digits-class0: Nothing to forget: original never knew the class: it names 0.100 ")
    assert second.startswith("resnet20-digits-class0: Made on several devices, ")
    assert "another: scrub" in second


def test_accuracies_after_epochs_of_the_unlearning_on_request(copied_project):
    """They are in the history. The last ones equal the cell's, and neither the weights nor the metrics change."""
    scores = copied_project.read(f"{CELLS}/scrub/metrics.json")
    config = yaml.safe_load(copied_project.read("config.yaml"))
    config["protocols"]["tiny"]["unlearn"] |= {"epochs": 3, "evaluate_every": 2}
    (copied_project.folder / "config.yaml").write_text(yaml.safe_dump(config))
    copied_project.make(f"{CELLS}/scrub/metrics.json")
    history = rows_of(copied_project, f"{CELLS}/scrub/history.csv")
    assert [bool(row["retain_acc"]) for row in history] == [False, True, False]
    assert all(0 <= float(history[1][name]) <= 1 for name in ("retain_acc", "forget_acc"))

    config["protocols"]["tiny"]["unlearn"] |= {"epochs": 1, "evaluate_every": 1}
    (copied_project.folder / "config.yaml").write_text(yaml.safe_dump(config))
    copied_project.make("--forcerun", "unlearn", "--", f"{CELLS}/scrub/metrics.json")
    assert copied_project.read(f"{CELLS}/scrub/metrics.json") == scores
    (row,) = rows_of(copied_project, f"{CELLS}/scrub/history.csv")
    for name in ("retain_acc", "forget_acc"):
        assert float(row[name]) == pytest.approx(json.loads(scores)[name], abs=1e-4)


def test_relearning_and_ulira_are_in_the_table_on_request(requested_project):
    rows = {row["method"]: row for row in rows_of(requested_project, "results/metrics.csv")}
    assert rows["original"]["relearn_epochs"] == rows["original"]["relearn_epochs_as_is"] == "0"
    for start in ("reset", "random"):
        assert 0 < int(rows["original"][f"relearn_epochs_{start}"]) <= 20
    assert rows["retrain"]["relearn_epochs_random"] == ""
    assert rows["retrain"]["retain_relearned_acc"] == "0.0"  # the oracle has nothing to bring back
    for row in (rows[method] for method in ("retrain", "head_mask", "retain_finetune")):
        starts = [int(row[f"relearn_epochs_{start}"]) for start in ("reset", "as_is")]
        assert 0 <= int(row["relearn_epochs"]) == min(starts) <= max(starts) <= 20
    assert int(rows["head_mask"]["relearn_epochs_as_is"]) > 0  # the masked logit has to come back
    for method in ("original", "retrain", "head_mask", "retain_finetune"):
        assert 0 <= float(rows[method]["ulira_auc"]) <= 1
    # Masking a logit does not change the order of answers: the attack finds the same in the control as in the original.
    assert float(rows["head_mask"]["ulira_auc"]) == pytest.approx(float(rows["original"]["ulira_auc"]), abs=0.03)
    # A logit that was lowered by a constant is not that of a model which never saw the class.
    assert float(rows["head_mask"]["ulira_class_auc"]) == 1
    assert float(rows["retrain"]["ulira_class_auc"]) == 0.5
    assert 0 < float(rows["original"]["ulira_class_auc_by_chance"]) <= 1
    assert rows["retrain"]["ulira_class_auc_by_chance"] == ""
    assert rows["head_mask"]["ulira_shadows"] == "4"
    assert rows["raises"]["ulira_auc"] == rows["raises"]["ulira_shadows"] == rows["nan"]["relearn_epochs"] == ""
    for heading in ("relearning →", "by retained →", "U-LiRA (4 shadow models) →", "U-LiRA of class →"):
        assert f"| {heading}" in re.sub(" +", " ", requested_project.read("results/table.md"))


def test_nothing_is_relearned_if_the_training_of_the_original_diverged(tmp_path):
    pretrain = TINY["protocols"]["tiny"]["pretrain"] | {"learning_rate": 100.0, "weight_decay": 1.0}  # weights x -99
    project = Project(tmp_path / "diverged", merged(TINY, {"protocols": {"tiny": {"pretrain": pretrain}}}))
    project.make(f"{CELLS}/original/relearning.json", f"{CELLS}/original/metrics.json")
    assert json.loads(project.read(f"{CELLS}/original/metrics.json"))["status"] == "diverged"
    found = json.loads(project.read(f"{CELLS}/original/relearning.json"))
    assert {key: its for key, its in found.items() if key.startswith("relearn")} == {"relearn_epochs": None}


def test_a_switch_to_retained_images_relearns_and_nothing_else(requested_project):
    switched = requested_project.planned("results/table.md", "--config", "relearning=true", "shadow_models=4")
    methods = ["original", "retrain", "head_mask", "retain_finetune", "raises", "nan"]
    assert switched == sorted([*(f"relearn {method}" for method in methods), "aggregate", "table"])


@pytest.mark.parametrize("name", ["relearning.json", "ulira.json"])
def test_a_stale_file_made_on_request_is_named_in_one_line(requested_project, tmp_path, name):
    """As a version before wrote it, for those who tell Snakemake not to look at the code."""
    project = Project.at(shutil.copytree(requested_project.folder, tmp_path / "copy"))
    path = project.folder / CELLS / "head_mask" / name
    path.write_text(json.dumps({key: value for key, value in json.loads(path.read_text()).items() if key != "format"}))
    done = project.run("results/table.md", "--config", "retain_relearning=true", "shadow_models=4")
    assert done.returncode == 1
    (line,) = {line for line in done.stdout.splitlines() if name in line and line.startswith("error in aggregate")}
    assert line.endswith(f"{CELLS}/head_mask/{name}: of format 1, not 2; delete it to have it made again")


def test_shadow_models_are_shared_by_methods_and_seeds(requested_project):
    planned = requested_project.planned(
        f"{CELLS.replace('seed1', 'seed2')}/retain_finetune/ulira.json", "--config", "shadow_models=4"
    )
    oracle = ["evaluate retrain", "retrain"]  # of this seed; the attack on the class compares with it
    jobs = [f"{rule} retain_finetune" for rule in ("evaluate", "ulira", "unlearn")]
    assert planned == sorted([*oracle, "pretrain", *jobs])
    planned = requested_project.planned(f"{CELLS}/scrub/ulira.json", "--config", "shadow_models=4")
    assert planned == ["evaluate scrub", "ulira scrub", "unlearn scrub", *["unlearn_shadow scrub"] * 4]


def test_shadow_models_answer_to_all_images_of_the_forget_class(requested_project):
    folder = requested_project.folder / "results/resnet20-digits-class0"
    split = np.load(folder / "split.npz")
    answers = {}
    for reference in ("original", "retrain"):
        logits = [np.load(folder / f"shadow{i}/{reference}/logits.npz")["logits"] for i in range(4)]
        assert {len(one) for one in logits} == {len(split["forget_train"]) + len(split["forget_test"])}
        assert not np.array_equal(logits[0], logits[1])  # each has its own weights and batches
        answers[reference] = np.mean([ulira.scaled_confidence(one, label=0) for one in logits])
    assert answers["original"] > answers["retrain"]  # the oracle never saw the class


def test_real_images_pass_through_the_same_rules(tmp_path):
    if not (ROOT / "data/fmnist.npz").exists():
        pytest.skip("data/fmnist.npz is not there: make it with snakemake --cores 1 data/fmnist.npz, or unpack it")
    benchmark = {"mobilenetv2-fmnist": {"protocol": "short", "width": 0.25}}
    project = Project(tmp_path / "fmnist", {"benchmarks": benchmark, "protocols": {"short": TINY["protocols"]["tiny"]}})
    (project.folder / "data").mkdir()
    with np.load(ROOT / "data/fmnist.npz") as whole:
        np.savez(project.folder / "data/fmnist.npz", **{name: whole[name][:1000] for name in whole.files})
    target = "results/mobilenetv2-fmnist-class0/seed42/retain_finetune/metrics.json"
    project.make(target)
    metrics = json.loads(project.read(target))
    assert metrics["status"] == "ok"
    assert metrics["retain_acc"] > 0.2  # nine classes: chance is .11


def test_a_table_says_where_it_comes_from(finished_project):
    made = json.loads(finished_project.read("results/provenance.json"))
    assert made["versions"]["torch"] == version("torch")
    assert made["versions"]["python"] == platform.python_version()
    assert made["jobs"] == {
        "device": ["cpu"],
        "processor": [processor_name()],
        "torch": [version("torch")],
        "python": [platform.python_version()],
    }
    assert made["config"]["suites"]["digits"]["seeds"] == [1]
    assert (made["commit"], made["dirty"]) == (None, None)  # a copy in a folder without git
