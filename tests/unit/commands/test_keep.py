"""make keep: the files of a run in results/reference/, and joined runs with different seeds."""

import csv
import json

import numpy as np
import pytest
import yaml
from commands.keep import Part, settings_of
from commands.keep import main as keep_results
from project import ROOT

from unlearning.figures.attack import from_arrays, log_odds
from unlearning.files import read_arrays, read_table, write_arrays
from unlearning.tables.comparison import render_table
from unlearning.tables.numbers import numbers_from

REFERENCE = ROOT / "results" / "reference"
DIGITS = json.loads((REFERENCE / "digits-provenance.json").read_text())["runs"][0]["config"]


@pytest.fixture
def folders(tmp_path):
    """Return the folders of three runs of the digits, one per seed."""
    of_seed = [tmp_path / f"kept{seed}" for seed in (44, 42, 43)]
    for folder in of_seed:
        folder.mkdir()
        for name in ("metrics", "costs"):
            with (REFERENCE / f"digits-{name}.csv").open(newline="") as file:
                header, *rows = csv.reader(file)
            rows = [row for row in rows if row[header.index("seed")] == folder.name[-2:]]
            with (folder / f"{name}.csv").open("w", newline="") as file:
                csv.writer(file, lineterminator="\n").writerows([header, *rows])
        paths = {"data_dir": str(folder), "checkpoints": str(folder)}
        config = DIGITS | paths | {"suites": {"digits": DIGITS["suites"]["digits"] | {"seeds": [folder.name]}}}
        (folder / "provenance.json").write_text(json.dumps({"commit": folder.name, "config": config}))
    return of_seed


def keep(folders, target):
    return keep_results(["digits", *map(str, folders), "--to", str(target)])


def test_runs_of_one_seed_each_are_joined_to_what_one_run_would_have_given(folders, tmp_path):
    assert keep(folders, tmp_path / "reference") == 0
    assert (tmp_path / "reference/digits-metrics.csv").read_bytes() == (REFERENCE / "digits-metrics.csv").read_bytes()
    metrics, costs = (read_table(REFERENCE / f"digits-{name}.csv") for name in ("metrics", "costs"))
    table = (tmp_path / "reference/digits-table.md").read_text()
    assert table == render_table(numbers_from(metrics, costs), "digits")  # the other tables need all models at once
    runs = json.loads((tmp_path / "reference/digits-provenance.json").read_text())["runs"]
    assert [run["commit"] for run in runs] == ["kept44", "kept42", "kept43"]
    assert str(tmp_path) not in json.dumps(runs)


def test_the_attack_is_kept_on_request_for_the_methods_of_its_figure(folders, tmp_path, capsys):
    """A later keep without it removes it: it would belong to other numbers."""
    target, benchmark = tmp_path / "reference", "resnet20-digits-class0"
    keep_with = ["digits", *map(str, folders), "--to", str(target), "--attack"]
    assert keep_results([*keep_with, "resnet20-digit-class0"]) == 1
    assert (
        "--attack: unknown name 'resnet20-digit-class0'; did you mean resnet20-digits-class0?"
        in capsys.readouterr().err
    )
    assert keep_results([*keep_with, benchmark]) == 1
    assert f"{folders[0]} has no {benchmark}/seed*/*/scores.npz" in capsys.readouterr().err
    assert not target.exists()
    logits = np.array([[2.0, 1.0, 0.0], [0.0, 3.0, 0.0]])
    for folder in folders:
        for method in ("retrain", "mask_and_average", "negative_gradient"):
            file = folder / benchmark / f"seed{folder.name[-2:]}" / method / "scores.npz"
            write_arrays(file, {"member_logits": logits + int(folder.name[-2:]), "non_member_logits": logits[:1]})
    assert keep_results([*keep_with, benchmark]) == 0
    sides = from_arrays(read_arrays(target / "digits-attack.npz"))
    assert {method: len(seeds) for method, seeds in sides.items()} == {"retrain": 3, "mask_and_average": 3}
    members, others = sides["retrain"][0]
    assert members == pytest.approx(log_odds(logits))
    assert others == pytest.approx(log_odds(logits[:1]))
    assert keep(folders, target) == 0
    assert not (target / "digits-attack.npz").exists()


def test_of_one_run_all_tables_are_kept_and_of_several_those_that_can_be_joined(folders, tmp_path):
    target = tmp_path / "reference"
    for folder in folders:
        for name in ("floor", "image_errors"):
            (folder / f"{name}.csv").write_text((REFERENCE / f"digits-{name}.csv").read_text())
    assert keep(folders[:1], target) == 0
    assert (target / "digits-floor.csv").read_text() == (REFERENCE / "digits-floor.csv").read_text()
    assert (target / "digits-image_errors.csv").exists()
    assert keep(folders, target) == 0  # those of one seed would be wrong beside the numbers of three
    assert not list(target.glob("digits-floor.csv")) + list(target.glob("digits-image_errors.csv"))


def test_what_does_not_belong_together_is_not_joined(folders, tmp_path, capsys):
    assert keep([*folders, folders[1]], tmp_path / "reference") == 1
    assert "metrics.csv: resnet20-digits-class0, head_mask, 42 is in more than one" in capsys.readouterr().err
    provenance = folders[1] / "provenance.json"
    provenance.write_text(provenance.read_text().replace('"momentum": 0.9', '"momentum": 0.8'))
    assert keep(folders, tmp_path / "reference") == 1
    assert "kept42: protocols.digits.pretrain.momentum of its configuration is not that of" in capsys.readouterr().err
    (folders[1] / "metrics.csv").write_text("benchmark,method,seed\nresnet20-digits-class0,m,1\n")
    provenance.write_text(provenance.read_text().replace('"momentum": 0.8', '"momentum": 0.9'))
    assert keep(folders, tmp_path / "reference") == 1
    assert "kept42/metrics.csv has other columns than" in capsys.readouterr().err
    assert not (tmp_path / "reference").exists()


def without(method, folder, target):
    """Copy a kept suite to a ``target`` that lacks a ``method``, and return a folder of a run that has it alone."""
    folder.mkdir()
    target.mkdir()
    for name in ("metrics", "costs", "floor", "image_errors"):
        with (REFERENCE / f"digits-{name}.csv").open(newline="") as file:
            header, *rows = csv.reader(file)
        place = header.index("method") if "method" in header else None
        shared = ("original", "retrain", "")
        for path, kept in (
            (target / f"digits-{name}.csv", [row for row in rows if place is None or row[place] != method]),
            (folder / f"{name}.csv", [row for row in rows if place is None or row[place] in (*shared, method)]),
        ):
            with path.open("w", newline="") as file:
                csv.writer(file, lineterminator="\n").writerows([header, *kept])
    before = dict(DIGITS)
    before["methods"] = {name: entry for name, entry in DIGITS["methods"].items() if name != method}
    now = DIGITS | {"orphans": "stop", "method": "mine.py", "data_dir": str(folder)}
    (target / "digits-provenance.json").write_text(json.dumps({"runs": [{"commit": "before", "config": before}]}))
    (folder / "provenance.json").write_text(json.dumps({"commit": "now", "config": now}))
    return folder


def test_a_method_is_added_to_what_is_kept_as_if_it_had_run_with_the_rest(tmp_path):
    target, last = tmp_path / "reference", "mask_and_average_score"
    folder = without(last, tmp_path / "results", target)
    assert keep_results(["digits", str(folder), "--to", str(target), "--add"]) == 0
    for name in ("metrics", "costs", "floor", "image_errors"):
        rows, whole = ((its / f"digits-{name}.csv").read_text().splitlines() for its in (target, REFERENCE))
        assert sorted(rows) == sorted(whole), name
    assert (target / "digits-table.md").read_text() == (REFERENCE / "digits-table.md").read_text()
    runs = json.loads((target / "digits-provenance.json").read_text())["runs"]
    assert [run["commit"] for run in runs] == ["before", "now"]
    assert str(tmp_path) not in json.dumps(runs)


def test_a_method_is_added_only_to_rows_from_the_same_models_and_settings(tmp_path, capsys):
    target = tmp_path / "reference"
    folder = without("scrub", tmp_path / "results", target)
    add = ["digits", str(folder), "--to", str(target), "--add"]
    before = {path: path.read_bytes() for path in target.iterdir()}
    metrics, provenance = folder / "metrics.csv", folder / "provenance.json"
    whole = metrics.read_text()
    (line,) = (line for line in whole.splitlines() if line.startswith("resnet20-digits-class0,retrain,43,"))
    value = dict(zip(whole.splitlines()[0].split(","), line.split(","), strict=True))["retain_acc"]
    metrics.write_text(whole.replace(line, line.replace(value, "0.5", 1)))
    assert keep_results(add) == 1
    assert f"retrain, 43 is another model, its retain_acc is 0.5 in place of {value};" in capsys.readouterr().err
    metrics.write_text(whole.replace(line, line.replace(value, "", 1)))
    assert keep_results(add) == 1
    assert "its retain_acc is missing in place of" in capsys.readouterr().err
    metrics.write_text(whole.replace(line, line.replace(value, str(float(value) - 0.0001), 1)))  # another processor
    provenance.write_text(provenance.read_text().replace('"momentum": 0.9', '"momentum": 0.8'))
    assert keep_results(add) == 1
    assert "results: protocols.digits.pretrain.momentum of its configuration is not" in capsys.readouterr().err
    provenance.write_text(provenance.read_text().replace('"momentum": 0.8', '"momentum": 0.9'))
    assert {path: path.read_bytes() for path in target.iterdir()} == before
    assert keep_results(add) == 0
    assert keep_results(add) == 1
    assert "metrics.csv: resnet20-digits-class0, scrub, 42 is in more than one" in capsys.readouterr().err
    assert keep_results(["digits", str(folder), "--to", str(tmp_path / "none"), "--add"]) == 1
    assert "none holds no rows of digits: keep the first ones without --add" in capsys.readouterr().err
    (target / "digits-provenance.json").unlink()
    assert keep_results(add) == 1
    assert "digits-provenance.json is missing, so nothing says" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        keep_results([*add, "--attack", "resnet20-digits-class0"])


def test_two_runs_of_one_method_have_its_settings_also_where_a_third_run_lacks_it(folders, tmp_path, capsys):
    """Seeds 42 and 43 of scrub come from two runs; the first folder has the seed 44 of the other methods."""
    for folder in folders[1:]:
        provenance = json.loads((folder / "provenance.json").read_text())
        provenance["config"]["methods"]["scrub"]["hyperparameters"]["max_epochs"] = int(folder.name[-2:])
        (folder / "provenance.json").write_text(json.dumps(provenance))
    metrics = folders[0] / "metrics.csv"
    lines = metrics.read_text().splitlines(keepends=True)
    metrics.write_text("".join(line for line in lines if ",scrub," not in line))
    assert keep(folders, tmp_path / "reference") == 1
    assert "methods.scrub.hyperparameters.max_epochs of its configuration is not that of" in capsys.readouterr().err


def test_what_changes_no_row_is_no_difference(folders, tmp_path):
    """Keys of another version, entries of methods that have no row, a protocol of no benchmark, a file's folder."""
    provenance = json.loads((folders[1] / "provenance.json").read_text())
    config = provenance["config"]
    config |= {"curves": True, "checkpoint": "weights.pt", "protocols": config["protocols"] | {"paper": {}}}
    config["methods"]["salun"] = {}
    config["protocols"]["digits"]["relearn"]["learning_rate"] = 9  # nothing was relearned
    config["methods"]["scrub"]["file"] = "/elsewhere/scrub.py"
    (folders[1] / "provenance.json").write_text(json.dumps(provenance))
    first = json.loads((folders[0] / "provenance.json").read_text())
    first["config"]["methods"]["scrub"]["file"] = "here/scrub.py"
    (folders[0] / "provenance.json").write_text(json.dumps(first))
    (folders[2] / "costs.csv").write_text(
        (folders[2] / "costs.csv").read_text().replace("\n", ",\n").replace(",\n", ",carried\n", 1)
    )  # a column of runs in which something was carried
    assert keep(folders, tmp_path / "reference") == 0
    costs = read_table(tmp_path / "reference" / "digits-costs.csv")
    assert len(costs) == len(read_table(REFERENCE / "digits-costs.csv"))


def test_the_rows_of_other_runs_may_be_of_a_benchmark_that_a_run_does_not_know(folders):
    """Kept rows can come from runs with different configuration files, each with benchmarks of its own."""
    part = Part(folders[0])
    config = json.loads((folders[0] / "provenance.json").read_text())["config"]
    known = settings_of(part, config)
    config["benchmarks"].pop("vgg16bn-digits")
    assert settings_of(part, config)["benchmarks"] == without_key(known["benchmarks"], "vgg16bn-digits")
    config["datasets"].pop("digits")
    assert settings_of(part, config)["benchmarks"] == settings_of(part, config)["datasets"] == {}


def without_key(mapping, key):
    return {name: value for name, value in mapping.items() if name != key}


def test_a_run_that_is_not_whole_or_of_another_suite_is_not_joined(folders, tmp_path, capsys):
    metrics = folders[2] / "metrics.csv"
    whole = metrics.read_text()
    metrics.write_text("".join(line for line in whole.splitlines(keepends=True) if ",scrub,43" not in line))
    assert keep(folders, tmp_path / "reference") == 1
    assert capsys.readouterr().err.startswith("error: no folder has resnet20-digits-class0, scrub, 43: every method")
    metrics.write_text(whole)
    assert keep_results(["paper", *map(str, folders), "--to", str(tmp_path / "reference")]) == 1
    assert capsys.readouterr().err == f"error: {folders[0]} is of the suite digits, not of paper\n"
    assert not (tmp_path / "reference").exists()


def test_published_values_stand_only_beside_what_ran_as_published(folders, tmp_path):
    """The numbers of the digits get a published name: they are comparable only if the configuration says so."""
    paper = {"width": 1.0, "image_size": 32, "protocol": "paper"}
    name = "resnet20-cifar10-class0"
    protocols = yaml.safe_load((ROOT / "config.yaml").read_text())["protocols"]
    for folder in folders:
        (folder / "metrics.csv").write_text(
            (folder / "metrics.csv").read_text().replace("resnet20-digits-class0", name)
        )
    for settings, beside in ((paper, True), (paper | {"width": 0.5}, False), (paper | {"protocol": "short"}, False)):
        config = DIGITS | {
            "benchmarks": DIGITS["benchmarks"] | {"resnet20-cifar10": settings},
            "protocols": DIGITS["protocols"] | protocols,
        }
        for folder, names in zip(folders, ([], [name], [name]), strict=True):  # a later run may add the benchmark
            suites = {"digits": {"benchmarks": names}}
            (folder / "provenance.json").write_text(json.dumps({"config": config | {"suites": suites}}))
        assert keep(folders, tmp_path / "reference") == 0
        table = (tmp_path / "reference/digits-table.md").read_text()
        assert ("Comparison with the published results" in table) == beside, settings
