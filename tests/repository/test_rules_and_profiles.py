"""The rules, their scripts, what each script imports, and the profiles."""

import fcntl
import re
import subprocess
from modulefinder import ModuleFinder
from pathlib import Path

import pytest
import yaml
from project import ROOT, RULE_FILES, RULES, TARGETS

from unlearning import watched_code
from unlearning.errors import UserError
from unlearning.watched_code import SCRIPTS, code_of

PROFILES = sorted((ROOT / "workflow/profiles").glob("*/config.yaml"))
README, DOCS = ROOT / "README.md", ROOT / "docs"


def test_the_rules_are_those_that_the_map_names():
    (named,) = re.findall(r"^Rules: (.*?)\.$", (DOCS / "architecture.md").read_text(), re.MULTILINE | re.DOTALL)
    assert set(RULES) - TARGETS == set(re.findall(r"`(\w+)`", named))


@pytest.mark.parametrize("profile", PROFILES, ids=lambda path: path.parent.name)
def test_a_profile_names_only_rules_that_exist(profile):
    settings = yaml.safe_load(profile.read_text())
    for key in ("set-resources", "set-threads"):
        assert set(settings.get(key, {})) <= set(RULES)
    # Without this setting, a script's time stamp would make its jobs run again.
    assert "code" not in settings["rerun-triggers"]


def bodies():
    """Return the text of each rule by its name."""
    rules = "".join(file.read_text() for file in RULE_FILES)
    return dict(re.findall(r"^rule (\w+):\n((?:    .*\n|\n)*)", rules, re.MULTILINE))


def test_on_a_cluster_the_jobs_that_run_a_model_are_submitted_and_no_others():
    """So one partition is enough, and a profile has nothing to say about a rule that the command line might replace."""
    with_model = {name for name, body in bodies().items() if "gpu=GPUS" in body}
    assert with_model == {"pretrain", "retrain", "unlearn", "evaluate", "relearn", "train_shadow", "unlearn_shadow"}
    (local,) = re.findall(r"^localrules:\n((?:    \w+,\n)+)", RULE_FILES[0].read_text(), re.MULTILINE)
    assert set(re.findall(r"\w+", local)) == set(RULES) - with_model
    for name in with_model:
        assert "mem_mb=growing(" in bodies()[name]
        assert "runtime=growing(" in bodies()[name]
    slurm = yaml.safe_load((ROOT / "workflow/profiles/slurm/config.yaml").read_text())
    assert slurm["executor"] == "slurm"
    assert set(slurm["groups"]) <= with_model
    assert not {"set-resources", "set-threads", "config"} & set(slurm)


def test_the_profile_of_the_cluster_watches_what_that_of_this_machine_watches():
    profiles = {path.parent.name: yaml.safe_load(path.read_text()) for path in PROFILES}
    own = {"resources", "quiet"}
    assert {key: value for key, value in profiles["default"].items() if key not in own}.items() <= profiles[
        "slurm"
    ].items()


@pytest.mark.parametrize("script", sorted(SCRIPTS.glob("*.py")), ids=lambda path: path.name)
def test_the_code_that_a_script_imports_is_watched(script):
    finder = ModuleFinder(path=[str(SCRIPTS)])  # sees only the project: an independent walk over compiled code
    finder.run_script(str(script))
    imported = {Path(module.__file__) for module in finder.modules.values() if module.__file__}
    assert set(code_of(script)) == imported
    assert SCRIPTS / "unlearning" / "workflow" / "job.py" in imported


def test_the_scripts_are_those_of_the_rules_and_nothing_else():
    assert {script.stem for script in SCRIPTS.glob("*.py")} == set(RULES) - TARGETS


def test_imports_are_followed_through_modules_and_into_functions(tmp_path, monkeypatch):
    monkeypatch.setattr(watched_code, "SCRIPTS", tmp_path)
    files = {
        "script.py": "import os\nfrom library.one import name\n",
        "library/__init__.py": "",
        "library/one.py": "def function():\n    from library import two\n    import missing\n",
        "library/two.py": "import library.three as three\n",
        "library/three.py": "import library.one\n",  # a circle
        "library/unused.py": "",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    expected = ["library/__init__.py", "library/one.py", "library/three.py", "library/two.py", "script.py"]
    assert code_of(tmp_path / "script.py") == [tmp_path / name for name in expected]


def test_relative_imports_are_followed_within_a_helpers_package(tmp_path):
    files = {
        "mine.py": "from helpers import loss\n",
        "helpers/__init__.py": "from .core import loss\n",
        "helpers/core.py": "from . import sizes\nfrom .inner.deep import x\n",
        "helpers/sizes.py": "",
        "helpers/inner/__init__.py": "",
        "helpers/inner/deep.py": "from ..last import *\n",
        "helpers/last.py": "",
        "helpers/unused.py": "",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    assert code_of(tmp_path / "mine.py") == sorted(tmp_path / name for name in files if "unused" not in name)


def test_a_helper_with_the_name_of_a_rules_script_is_refused(tmp_path):
    """scripts/ comes before the method's folder: the method would run the script."""
    (tmp_path / "mine.py").write_text("def f():\n    from evaluate import weight\n")
    (tmp_path / "evaluate.py").write_text("weight = 1\n")
    with pytest.raises(UserError, match="it imports evaluate, which is the script of a rule here; give your module"):
        code_of(tmp_path / "mine.py")


@pytest.mark.parametrize(
    "clause",
    [
        "if x:\n pass\nelif y:\n import found",
        "for x in y:\n pass\nelse:\n import found",
        "try:\n pass\nexcept E:\n import found",
        "try:\n pass\nfinally:\n import found",
        "with x:\n class C:\n  async def f():\n   import found",
        "match x:\n case 1:\n  import found",
    ],
)
def test_an_import_is_found_in_every_clause(tmp_path, clause):
    for name, text in {"script.py": clause, "found.py": ""}.items():
        (tmp_path / name).write_text(text)
    assert code_of(tmp_path / "script.py") == [tmp_path / "found.py", tmp_path / "script.py"]


def test_a_change_of_the_models_reaches_training_but_not_the_split():
    models = SCRIPTS / "unlearning" / "models.py"
    watching = {script.stem for script in SCRIPTS.glob("*.py") if models in code_of(script)}
    trained = {"pretrain", "retrain", "train_shadow", "unlearn", "unlearn_shadow", "adopt"}
    assert watching == trained | {"evaluate", "relearn"}
    assert models in code_of(SCRIPTS / "methods" / "bad_teacher.py")


def test_the_advice_for_short_time_limits_holds_for_every_job_with_a_gpu():
    """The parts of a cell are one job of the cluster, whose time is their sum."""
    (options,) = re.findall(r"`--set-resources (.*?) --retries", (ROOT / "workflow/profiles/README.md").read_text())
    minutes = {rule: int(number) for rule, number in re.findall(r"(\w+):runtime=(\d+)", options)}
    assert set(minutes) == {name for name, body in bodies().items() if "gpu=GPUS" in body}
    groups = yaml.safe_load((ROOT / "workflow/profiles/slurm/config.yaml").read_text())["groups"]
    assert sum(minutes[rule] for rule in groups) == 60
    assert {minutes[rule] for rule in minutes if rule not in groups} == {60}


def test_jobs_that_run_a_model_share_the_gpu_and_no_others():
    """The profile of this machine limits how many run at a time; a cluster counts whole GPUs."""
    profiles = {path.parent.name: yaml.safe_load(path.read_text()) for path in PROFILES}
    assert profiles["default"]["resources"] == {"gpu_slots": 4}
    slurm = profiles["slurm"]
    assert (slurm["resources"], slurm["set-resource-scopes"]) == ({"gpu": 1}, {"gpu": "local"})  # within one job
    for name, body in bodies().items():
        assert ("gpu_slots=GPU_SLOTS" in body) == ("gpu=GPUS" in body), name


def test_every_rule_has_log_environment_threads_and_limits():
    for file in RULE_FILES[1:]:
        for name, body in re.findall(r"^rule (\w+):\n((?:    .*\n|\n)*)", file.read_text(), re.MULTILINE):
            if name in TARGETS:
                continue
            for directive in ("log:", "conda:", "threads: 1", "mem_mb=", "runtime=", "script:"):
                assert directive in body, f"rule {name} has no {directive}"


def lines_of(*arguments):
    """Return what make would run, a line a command."""
    command = ["make", "-n", *arguments]
    done = subprocess.run(command, cwd=ROOT, text=True, capture_output=True, check=True)
    return [" ".join(line.split()) for line in done.stdout.splitlines()]


def test_make_report_makes_the_table_and_then_the_report_with_the_same_settings():
    *_, making, reporting = lines_of("report", "SUITE=paper", "SEEDS=42", "CORES=2")
    assert making == ".venv/bin/snakemake --cores 2 all figures report_pages --config suite='paper' seeds='42'"
    report = "--report results/report.zip --report-stylesheet workflow/report/report.css"
    assert reporting == f".venv/bin/snakemake all figures report_pages {report} --config suite='paper' seeds='42'"


def test_make_table_is_the_snakemake_line_of_the_readme():
    def planned(*arguments):
        return lines_of("table", *arguments)[-1]

    assert planned() == ".venv/bin/snakemake --cores 4 results/table.md"
    assert planned("SUITE=paper", "CORES=2") == ".venv/bin/snakemake --cores 2 results/table.md --config suite='paper'"
    of_own = ".venv/bin/snakemake --cores 4 results/table.md --config method='my/own.py'"
    assert planned("METHOD=my/own.py") == of_own
    assert planned("RULE=my/own.py") == ".venv/bin/snakemake --cores 4 results/table.md --config rule='my/own.py'"
    part = planned("BENCHMARKS=a-b-class0", "METHODS=scrub delete", "SEEDS=42 43", "CHECKPOINTS=old", "CHECKPOINT=x.pt")
    assert part.endswith(
        "--config benchmarks='a-b-class0' methods='scrub delete' seeds='42 43' checkpoint='x.pt' checkpoints='old'"
    )
    for command in ("preview", "status", "plan"):
        line = lines_of(command, "CALIBRATE=true", "CHOICES=augment epoch_of")[-1]
        assert line.endswith(" calibrate='true' choices='augment epoch_of'")
    calibration = lines_of("calibration", "SUITE=paper", "CORES=2")[-1]
    assert calibration.endswith("--cores 2 results/calibration.md --config calibrate=true suite='paper'")
    files = lines_of("calibration", "CONFIG=config.yaml")[-1]
    assert files.endswith("results/calibration.md --configfile config.yaml --config calibrate=true")
    figures = lines_of("figures", "SUITE=paper", "CONFIG=config.yaml")[-1]
    assert figures.endswith("--cores 4 figures --configfile config.yaml --config suite='paper'")


def test_make_clean_takes_nothing_from_a_run_that_is_going_on(tmp_path):
    (tmp_path / "results/net-data-class0").mkdir(parents=True)
    with (tmp_path / "results/.lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        done = subprocess.run(
            ["make", "--file", ROOT / "Makefile", "clean"], cwd=tmp_path, capture_output=True, text=True
        )
    assert done.returncode != 0
    assert "error: a run is going on in results/; end it first" in done.stderr
    assert (tmp_path / "results/net-data-class0").is_dir()


def test_make_clean_removes_the_results_behind_a_link(tmp_path):
    (tmp_path / "elsewhere/results/net-data-class0").mkdir(parents=True)
    (tmp_path / "elsewhere/results/reference").mkdir()
    (tmp_path / "results").symlink_to(tmp_path / "elsewhere/results")
    subprocess.run(["make", "--file", ROOT / "Makefile", "clean"], cwd=tmp_path, check=True, capture_output=True)
    assert [path.name for path in (tmp_path / "elsewhere/results").iterdir()] == ["reference"]
