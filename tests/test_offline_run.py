"""A suite in slices of limited time, and what is kept of it."""

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time

import offline_run as offline_run_module
import pytest
import yaml
from conftest import ROOT
from commands.keep import main as keep_results
from offline_run import TIME_IS_OVER, run_until, stages_of

REFERENCE = ROOT / "results" / "reference"
CONFIG = {
    "suites": {"paper": {"methods": ["mask", "base", "ours", "scrub"], "seeds": [42, 43]}},
    "methods": {"mask": {"kind": "control"}, "base": {"kind": "baseline"}, "scrub": {"kind": "baseline"}},
}


def test_what_is_wanted_most_comes_first_and_every_stage_is_a_table():
    assert [(stage["methods"], stage["seeds"]) for stage in stages_of(CONFIG, "paper", [42, 43, 44])] == [
        (["base", "scrub"], [42]),
        (["mask", "base", "scrub"], [42]),
        (["mask", "base", "ours", "scrub"], [42]),  # in the suite's order
        (["mask", "base", "ours", "scrub"], [42, 43]),
        (["mask", "base", "ours", "scrub"], [42, 43, 44]),
    ]


def offline_run(project, *arguments):
    """Start scripts/offline_run.py in the project's folder."""
    command = [sys.executable, "scripts/offline_run.py", "--suite", "digits", "--cores", "2", *arguments]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SNAKEMAKE")}
    return subprocess.Popen(
        command, cwd=project.folder, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )


def test_a_run_in_slices_ends_with_the_table_of_a_run_in_one(finished_project, copied_project):
    shutil.rmtree(copied_project.folder / "results")
    kept = copied_project.folder / "kept"

    cut = offline_run(copied_project, "--minutes", "0.05")
    printed, _ = cut.communicate()
    assert cut.returncode == 3, printed
    assert printed.splitlines()[0] == "stage 1 of 2 (4 methods, seed 1) ..."
    assert "the same command goes on" in printed.splitlines()[-1]

    told = offline_run(copied_project)
    assert told.stdout.readline().startswith("stage 1 of 2")
    told.send_signal(signal.SIGTERM)
    told.communicate()
    assert told.returncode == 128 + signal.SIGTERM

    whole = offline_run(copied_project)  # which a run that was left behind would not let have the results
    printed, _ = whole.communicate()
    assert whole.returncode == 0, printed
    assert printed.splitlines()[-1] == "all is done"
    assert (kept / "metrics.csv").read_bytes() == (finished_project.folder / "results/metrics.csv").read_bytes()
    slices = json.loads((kept / "run.json").read_text())["slices"]
    assert [(len(its["methods"]), its["done"]) for its in slices] == [(4, False), (4, False), (4, True), (5, True)]
    assert {(its["suite"], *its["seeds"]) for its in slices} == {("digits", 1)}

    shutil.rmtree(kept)
    again = offline_run(copied_project)
    printed, _ = again.communicate()
    assert again.returncode == 0, printed
    assert "stage 1" not in printed  # its table would take the place of the larger one
    assert "| *head_mask* (control)" in (kept / "table.md").read_text()


def test_an_unknown_suite_or_a_job_that_fails_ends_it_with_the_reason(copied_project):
    unknown = offline_run(copied_project, "--suite", "papr")
    assert unknown.communicate()[0] == "error: --suite: unknown name 'papr'; did you mean paper? known: " + ", ".join(
        ["digits", "paper", "rules\n"]
    )
    assert unknown.returncode == 1
    twice = offline_run(copied_project, "--seeds", "1", "2", "2")  # of the last stage alone
    assert twice.communicate()[0].startswith("error: configuration: suites.digits.seeds: [1, 2, 2] has non-unique")
    assert twice.returncode == 1
    (copied_project.folder / "data/digits.npz").write_bytes(b"no data set")
    failing = offline_run(copied_project)
    printed, _ = failing.communicate()
    assert failing.returncode == 1
    assert "data/digits.npz" in printed
    assert printed.splitlines()[-1].startswith("error: stage 1 of 2 (4 methods, seed 1) failed")


def test_at_the_deadline_the_command_is_told_to_end_and_killed_if_it_does_not(tmp_path, monkeypatch):
    late, told = tmp_path / "late", tmp_path / "told"
    begin = "import pathlib, signal, sys, time; "
    willing = f"signal.signal(signal.SIGTERM, lambda *_: sys.exit(pathlib.Path({str(told)!r}).touch())); "
    stubborn = "signal.signal(signal.SIGTERM, signal.SIG_IGN); "
    for how, patience in ((willing, 20.0), (stubborn, 0.1)):
        monkeypatch.setattr(offline_run_module, "PATIENCE", patience)
        command = [sys.executable, "-c", f"{begin}{how}time.sleep(30); pathlib.Path({str(late)!r}).touch()"]
        with (tmp_path / "printed").open("wb") as output:
            assert run_until(time.monotonic() + 2, command, output) == TIME_IS_OVER
        assert not late.exists(), how
        assert told.exists()


DIGITS = {"suite": "digits", "protocols": {"epochs": 1}}


@pytest.fixture
def folders(tmp_path):
    """Return what three runs of the digits, one a seed, would have kept."""
    of_seed = [tmp_path / f"kept{seed}" for seed in (44, 42, 43)]
    for folder in of_seed:
        folder.mkdir()
        for name in ("metrics", "costs"):
            with (REFERENCE / f"digits-{name}.csv").open(newline="") as file:
                header, *rows = csv.reader(file)
            rows = [row for row in rows if row[header.index("seed")] == folder.name[-2:]]
            with (folder / f"{name}.csv").open("w", newline="") as file:
                csv.writer(file, lineterminator="\n").writerows([header, *rows])
        config = DIGITS | {"data_dir": str(folder), "suites": {"digits": {"benchmarks": [], "seeds": [folder.name]}}}
        (folder / "provenance.json").write_text(json.dumps({"commit": folder.name, "config": config}))
    (of_seed[0] / "run.json").write_text(json.dumps({"slices": [{"seconds": 540.0}]}))
    return of_seed


def keep(folders, target):
    return keep_results(["digits", *map(str, folders), "--to", str(target)])


def test_runs_of_one_seed_each_are_joined_to_what_one_run_would_have_given(folders, tmp_path):
    assert keep(folders, tmp_path / "reference") == 0
    for name in ("digits-metrics.csv", "digits-table.md"):
        assert (tmp_path / "reference" / name).read_bytes() == (REFERENCE / name).read_bytes()
    runs = json.loads((tmp_path / "reference/digits-provenance.json").read_text())["runs"]
    assert [run["commit"] for run in runs] == ["kept44", "kept42", "kept43"]
    assert runs[0]["slices"] == [{"seconds": 540.0}]
    assert str(tmp_path) not in json.dumps(runs)


def test_what_does_not_belong_together_is_not_joined(folders, tmp_path, capsys):
    assert keep([*folders, folders[1]], tmp_path / "reference") == 1
    assert "metrics.csv: resnet20-digits-class0, original, 42 is in more than one" in capsys.readouterr().err
    provenance = folders[1] / "provenance.json"
    provenance.write_text(provenance.read_text().replace('"epochs": 1', '"epochs": 2'))
    assert keep(folders, tmp_path / "reference") == 1
    assert "kept42: protocols of its configuration is not that of" in capsys.readouterr().err
    (folders[1] / "metrics.csv").write_text("benchmark,method,seed\nb,m,1\n")
    provenance.write_text(provenance.read_text().replace('"epochs": 2', '"epochs": 1'))
    assert keep(folders, tmp_path / "reference") == 1
    assert "kept42/metrics.csv has other columns than" in capsys.readouterr().err
    assert not (tmp_path / "reference").exists()


def test_a_run_that_is_not_whole_or_of_another_suite_is_not_joined(folders, tmp_path, capsys):
    metrics = folders[2] / "metrics.csv"
    whole = metrics.read_text()
    metrics.write_text("".join(line for line in whole.splitlines(keepends=True) if ",scrub,43" not in line))
    assert keep(folders, tmp_path / "reference") == 1
    assert capsys.readouterr().err.startswith("error: no folder has resnet20-digits-class0, scrub, 43; let")
    metrics.write_text(whole)
    assert keep_results(["paper", *map(str, folders), "--to", str(tmp_path / "reference")]) == 1
    assert capsys.readouterr().err == f"error: {folders[0]} is of the suite digits, not of paper\n"
    assert not (tmp_path / "reference").exists()


def test_published_values_stand_only_beside_what_ran_as_published(folders, tmp_path):
    """The digits' numbers under a published name: they are not comparable unless the configuration says so."""
    paper = {"width": 1.0, "image_size": 32, "protocol": "paper"}
    name = "resnet20-cifar10-class0"
    protocols = yaml.safe_load((ROOT / "config.yaml").read_text())["protocols"]
    for folder in folders:
        (folder / "metrics.csv").write_text(
            (folder / "metrics.csv").read_text().replace("resnet20-digits-class0", name)
        )
    for settings, beside in ((paper, True), (paper | {"width": 0.5}, False), (paper | {"protocol": "short"}, False)):
        suites = {"digits": {"benchmarks": [name]}}
        config = DIGITS | {"suites": suites, "benchmarks": {"resnet20-cifar10": settings}, "protocols": protocols}
        for folder in folders:
            (folder / "provenance.json").write_text(json.dumps({"config": config}))
        assert keep(folders, tmp_path / "reference") == 0
        table = (tmp_path / "reference/digits-table.md").read_text()
        assert ("Beside the published results" in table) == beside, settings
