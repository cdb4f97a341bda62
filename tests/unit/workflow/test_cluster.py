"""Jobs on a SLURM cluster, by what its commands print. The tests in tests/slurm/ do the same with a real one."""

import os

import pytest

from unlearning.errors import UserError
from unlearning.workflow import cluster
from unlearning.workflow.cluster import jobs_of, reason_in, settle_orphans, understood, wait_for_controller


def test_the_states_of_jobs_that_ended_are_words_that_the_plugin_knows():
    states = {
        "1": "CANCELLED by 1000",
        "2": "PREEMPTED",
        "3": "PREEMPTED",
        "4": "RUNNING",
        "5": "CANCELLED+",
        "6": "REVOKED",
    }
    assert understood(states, is_in_queue={"3"}.__contains__) == {
        "1": "CANCELLED",
        "2": "CANCELLED",
        "3": "PREEMPTED",  # SLURM starts it again
        "4": "RUNNING",
        "5": "CANCELLED",
        "6": "CANCELLED",
    }


@pytest.fixture
def slurm(tmp_path, monkeypatch):
    """Return a function that makes a command of SLURM from its lines. A SLURM of this machine is not asked."""
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)

    def make(command, script):
        file = tmp_path / command
        file.write_text(f"#!/bin/sh\ncd {tmp_path}\n{script}\n")
        file.chmod(0o755)
        return tmp_path

    make("scontrol", "true")
    return make


def test_only_jobs_of_snakemake_in_this_folder_belong_to_an_earlier_run(slurm, tmp_path):
    here = tmp_path / "project"
    here.mkdir()
    rows = [
        f"7|{here}|rule_pretrain_wildcards_a",
        f"8|{here}|(null)",
        f"9|{tmp_path}|rule_pretrain",
        f"10|{here}/|group_a|b",
    ]
    slurm("squeue", "cat rows")
    (tmp_path / "rows").write_text("\n".join(rows))
    assert jobs_of(here) == ["7", "10"]


def test_an_installation_of_slurm_without_a_cluster_is_no_hindrance_to_a_run_on_this_machine(slurm, tmp_path, capfd):
    slurm("squeue", "echo Could not establish a configuration source >&2; exit 1")
    settle_orphans(tmp_path, "refuse")
    assert capfd.readouterr() == ("", "")


def test_living_jobs_of_an_earlier_run_are_refused_waited_for_or_cancelled(slurm, tmp_path, capfd):
    slurm("squeue", "cat rows")
    slurm("scancel", 'echo "$@" >>cancelled; : >rows')
    row = f"7|{tmp_path}|rule_pretrain\n8|{tmp_path}|rule_retrain\n"
    (tmp_path / "rows").write_text(row)
    with pytest.raises(UserError, match=r"2 SLURM job\(s\) of an earlier run in this folder \(7 8\)"):
        settle_orphans(tmp_path, "refuse")
    settle_orphans(tmp_path, "wait", pause=lambda _: (tmp_path / "rows").write_text(""))
    assert not (tmp_path / "cancelled").exists()
    (tmp_path / "rows").write_text(row)
    settle_orphans(tmp_path, "cancel", pause=lambda _: None)
    assert (tmp_path / "cancelled").read_text() == "7 8\n"


def test_a_job_is_submitted_as_soon_as_the_controller_answers(slurm, tmp_path):
    slurm("scontrol", "test -e up")
    pauses = []
    wait_for_controller(pause=lambda seconds: (pauses.append(seconds), (tmp_path / "up").touch()))
    assert len(pauses) == 1
    wait_for_controller(pause=lambda _: pytest.fail("it waited although the controller answers"))


FULL = "error in unlearn (a on b): No space left on device; mend that"
STOPPED = "stopped in unlearn (a) by SIGTERM; run again to go on"
LIMIT = "CANCELLED AT 2026-01-01T10:00:00 DUE TO TIME LIMIT"


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        (f"x\n{FULL}\nsrun: error: vm: task 0: Exited", FULL),
        ("slurmstepd: error: StepId=3.0 exceeded memory limit (7 > 6)\nsrun: error", "exceeded memory limit (7 > 6)"),
        ("Command 'set -euo pipefail' died with <Signals.SIGSEGV: 11>.", "died with <Signals.SIGSEGV"),
        (f"slurmstepd: error: *** JOB 5 ON vm {LIMIT} ***", LIMIT),
        (f"{STOPPED}\nslurmstepd: error: *** JOB 5 {LIMIT} ***", STOPPED),
    ],
)
def test_the_log_of_a_failed_job_says_why(tmp_path, lines, reason):
    (tmp_path / "7.log").write_text(f"Building DAG of jobs...\n{lines}\n")
    assert reason_in(tmp_path / "7.log") == reason


def test_where_no_line_says_why_the_log_is_named(tmp_path):
    log = tmp_path / "7.log"
    assert reason_in(log) == f"ended without a log ({log})"
    log.write_text("Building DAG of jobs...\n")
    assert reason_in(log) == f"ended without a reason; see {log}"


def test_nothing_is_asked_where_slurm_is_not_installed(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(cluster, "_run", lambda _: pytest.fail("it asked"))
    assert jobs_of(tmp_path) == []
    wait_for_controller()
