"""make audit, and make check AUDIT=1: what they read, their exit status, what make hands on."""

import subprocess

import pytest
from commands import audit, check
from project import ROOT

HEADER = "benchmark,method,seed,status,reason,kind,forget_acc,retain_acc,test_acc,probe_acc,js_to_oracle\n"
ROWS = {
    "original": "reference,1.0,0.9,0.9,0.9,0.9",
    "retrain": "reference,0.0,0.9,0.9,0.5,0.0",
    "head_mask": "control,0.0,0.9,0.9,0.9,0.25",
}


@pytest.fixture
def results(tmp_path, monkeypatch):
    """Return the folder of the results of a run with one benchmark and two seeds, which is whole and well audited."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "results"
    folder.mkdir()
    lines = [f"m-d-class0,{method},{seed},ok,,{rest}\n" for method, rest in ROWS.items() for seed in (1, 2)]
    (folder / "metrics.csv").write_text(HEADER + "".join(lines))
    means = {"forget_acc": 1.0, "retain_acc": 0.9, "test_acc": 0.9}
    summary = [f"m-d-class0,original,{metric},2,{mean}\n" for metric, mean in means.items()]
    (folder / "summary.csv").write_text("benchmark,method,metric,seeds,mean\n" + "".join(summary))
    (folder / "costs.csv").write_text(
        "rule,benchmark,method,training_seconds,device\nretrain,m-d-class0,retrain,1,cpu\n"
    )
    return folder


def spoil(results):
    """Write the metrics of a probe that does not tell head_mask from the oracle."""
    file = results / "metrics.csv"
    file.write_text(file.read_text().replace("reference,0.0,0.9,0.9,0.5", "reference,0.0,0.9,0.9,0.85"))


def test_the_status_says_whether_the_checks_can_tell_erasure(results, capsys):
    assert audit.main() == 0
    assert "3 of 3 checks do what they should" in capsys.readouterr().out
    spoil(results)
    assert audit.main() == 1
    assert "FAIL: no check of features tells head_mask" in capsys.readouterr().out


def test_the_floor_is_read_if_it_is_there(results, capsys):
    audit.main()
    assert "FAIL 0.250" in capsys.readouterr().out
    (results / "floor.csv").write_text(
        "benchmark,metric,pairs,mean,furthest,deviation\nm-d-class0,js_to_oracle,1,0.3,0.3,\n"
    )
    audit.main()
    assert "pass 0.250" in capsys.readouterr().out


def test_without_a_table_one_line_says_how_to_make_it(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert audit.main() == 1
    assert capsys.readouterr().err == "error: results/metrics.csv is not there; make it with: make table\n"


def test_check_audits_only_if_it_is_asked_to(results, capsys):
    assert check.main(["--audit"]) == 0
    spoil(results)
    assert check.main([]) == 0
    assert capsys.readouterr().out.count("## m-d-class0") == 1
    assert check.main(["--audit"]) == 1
    assert "6 of 6 cells are ok" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["audit"], "-m commands.audit"),
        (["check"], "-m commands.check"),
        (["check", "AUDIT=0"], "-m commands.check"),
        (["check", "AUDIT=1"], "-m commands.check --audit"),
    ],
)
def test_make_hands_on_whether_to_audit(words, expected):
    done = subprocess.run(["make", "-n", *words], cwd=ROOT, text=True, capture_output=True, check=True)
    assert done.stdout.splitlines()[-1].strip().endswith(expected)
