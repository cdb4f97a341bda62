"""What holds the project's parts together: profiles, dependencies of the scripts, environments, the README."""

import os
import re
import shutil
import subprocess
from modulefinder import ModuleFinder
from pathlib import Path

import pytest
import yaml
from commands import document_calibration, document_rule, verify
from conftest import ROOT

from unlearning import watched_code
from unlearning.config.model import REFERENCES
from unlearning.evaluation.metrics import METRICS
from unlearning.files import read_table
from unlearning.watched_code import SCRIPTS, code_of

RULE_FILES = [ROOT / "workflow/Snakefile", *sorted((ROOT / "workflow/rules").glob("*.smk"))]
RULES = re.findall(r"^rule (\w+):", "".join(file.read_text() for file in RULE_FILES), re.MULTILINE)
PROFILES = sorted((ROOT / "workflow/profiles").glob("*/config.yaml"))


def test_the_rules_are_those_that_the_readme_names():
    (named,) = re.findall(r"^Rules: (.*?)\.$", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL)
    assert set(RULES) - {"all"} == set(re.findall(r"`(\w+)`", named))


@pytest.mark.parametrize("profile", PROFILES, ids=lambda path: path.parent.name)
def test_a_profile_names_only_rules_that_exist(profile):
    settings = yaml.safe_load(profile.read_text())
    for key in ("set-resources", "set-threads"):
        assert set(settings.get(key, {})) <= set(RULES)
    # Without it, a script's time stamp would make its jobs run again.
    assert "code" not in settings["rerun-triggers"]


def test_the_cluster_profile_says_for_every_job_where_and_how_long_it_runs():
    slurm = yaml.safe_load((ROOT / "workflow/profiles/slurm/config.yaml").read_text())
    assert slurm["executor"] == "slurm"
    assert set(slurm["set-resources"]) == set(RULES) - {"all"}
    for rule, resources in slurm["set-resources"].items():
        assert {"slurm_partition", "mem_mb", "runtime"} <= set(resources), rule
    on_gpu = {rule for rule, resources in slurm["set-resources"].items() if resources.get("gpu")}
    assert on_gpu == {"pretrain", "retrain", "unlearn", "evaluate", "relearn", "train_shadow", "unlearn_shadow"}


@pytest.mark.parametrize("script", sorted(SCRIPTS.glob("*.py")), ids=lambda path: path.name)
def test_the_code_that_a_script_imports_is_watched(script):
    finder = ModuleFinder(path=[str(SCRIPTS)])  # sees the project alone: an independent walk over compiled code
    finder.run_script(str(script))
    imported = {Path(module.__file__) for module in finder.modules.values() if module.__file__}
    assert set(code_of(script)) == imported
    assert SCRIPTS / "unlearning" / "workflow" / "job.py" in imported


def test_the_scripts_are_those_of_the_rules_and_nothing_else():
    assert {script.stem for script in SCRIPTS.glob("*.py")} == set(RULES) - {"all"}


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


def test_a_change_of_the_models_reaches_training_but_not_the_split():
    models = SCRIPTS / "unlearning" / "models.py"
    watching = {script.stem for script in SCRIPTS.glob("*.py") if models in code_of(script)}
    trained = {"pretrain", "retrain", "train_shadow", "unlearn", "unlearn_shadow", "adopt"}
    assert watching == trained | {"evaluate", "relearn"}
    assert models in code_of(SCRIPTS / "methods" / "bad_teacher.py")


def test_jobs_that_run_a_model_share_the_gpu_and_no_others():
    """The profile of this machine says how many at a time; a cluster counts whole GPUs."""
    profiles = {path.parent.name: yaml.safe_load(path.read_text()) for path in PROFILES}
    assert profiles["default"]["resources"] == {"gpu_slots": 4}
    assert "resources" not in profiles["slurm"]
    bodies = re.findall(r"^rule (\w+):\n((?:    .*\n|\n)*)", "".join(f.read_text() for f in RULE_FILES), re.MULTILINE)
    in_slots = {name for name, body in bodies if "gpu_slots=GPU_SLOTS" in body}
    assert in_slots == {rule for rule, its in profiles["slurm"]["set-resources"].items() if its.get("gpu")}


def test_every_rule_has_log_environment_threads_and_limits():
    for file in RULE_FILES[1:]:
        for name, body in re.findall(r"^rule (\w+):\n((?:    .*\n|\n)*)", file.read_text(), re.MULTILINE):
            for directive in ("log:", "conda:", "threads: 1", "mem_mb=", "runtime=", "script:"):
                assert directive in body, f"rule {name} has no {directive}"


def pins(text):
    """Return the names and versions in lines such as "- numpy==2.4.6  # reason"."""
    return dict(re.findall(r"^\s*(?:- )?([\w.-]+)==([^\s#]+)", text, re.MULTILINE))


def test_the_lock_pins_every_direct_dependency_and_torch_in_any_build():
    lock = (ROOT / "requirements.lock").read_text()
    direct = re.findall(r"^([\w-]+)", (ROOT / "requirements.txt").read_text(), re.MULTILINE)
    assert set(direct) <= set(pins(lock))
    assert pins(lock)["torch"] == "2.13.0"  # without +cpu, which a CUDA build would not satisfy
    lines = [line for line in lock.splitlines() if line and not line.lstrip().startswith("#")]
    assert len(lines) == len(pins(lock))


def test_the_conda_environment_has_the_versions_of_the_lock():
    conda, lock = (pins((ROOT / name).read_text()) for name in ("envs/unlearning.yaml", "requirements.lock"))
    assert {"torch", "torchvision", "scikit-learn", "pandas"} <= set(conda)
    assert conda.items() <= lock.items()


def test_make_table_is_the_snakemake_line_of_the_readme():
    def planned(*arguments):
        # The tests may themselves run under make, whose variables would reach this one.
        environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
        command = ["make", "-n", "table", *arguments]
        done = subprocess.run(command, cwd=ROOT, env=environment, text=True, capture_output=True, check=True)
        return " ".join(done.stdout.splitlines()[-1].split())

    assert planned() == ".venv/bin/snakemake --cores 4 results/table.md"
    assert planned("SUITE=paper", "CORES=2") == ".venv/bin/snakemake --cores 2 results/table.md --config suite='paper'"
    assert planned("RULE=my/own.py") == ".venv/bin/snakemake --cores 4 results/table.md --config rule='my/own.py'"
    part = planned("BENCHMARKS=a-b-class0", "METHODS=scrub delete", "SEEDS=42 43", "CHECKPOINTS=old", "CHECKPOINT=x.pt")
    assert part.endswith(
        "--config benchmarks='a-b-class0' methods='scrub delete' seeds='42 43' checkpoint='x.pt' checkpoints='old'"
    )


REFERENCE = ROOT / "results/reference"


def test_the_reference_tables_are_made_from_their_numbers(capsys):
    assert verify.main() == 0, capsys.readouterr().err
    assert {path.name.removesuffix("-table.md") for path in REFERENCE.glob("*-table.md")} >= {"digits", "rules"}


def test_a_reference_table_that_does_not_follow_from_its_numbers_is_named(tmp_path, capsys):
    folder = shutil.copytree(REFERENCE, tmp_path / "reference")
    table = folder / "digits-table.md"
    table.write_text(table.read_text().replace("| scrub  ", "| scrap  ", 1))
    assert verify.main(folder) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"{table}: line ")
    assert "'| scrap " in line
    assert "its numbers give '| scrub " in line


def test_the_table_of_all_rules_bears_out_what_the_readme_says_of_its_ends():
    """And every rule is in it."""
    metrics = read_table(REFERENCE / "rules-metrics.csv")
    config = yaml.safe_load((ROOT / "config.yaml").read_text())
    assert list(metrics["method"].unique()[2:]) == config["suites"]["rules"]["methods"] == list(config["methods"])
    assert (metrics["status"] == "ok").all()
    means = metrics.groupby(["method", "benchmark"])["forget_acc"].mean().drop("original")
    still_there = {(method, benchmark.split("-")[0]) for method, benchmark in means[means > 0.1].index}
    everywhere = {("fisher_forgetting", model) for model in ("resnet20", "vgg16bn", "mobilenetv2")}
    partly = {("fanchuan", "resnet20"), ("fanchuan", "mobilenetv2"), ("ssd", "mobilenetv2")}
    assert still_there == everywhere | partly
    retained = metrics.groupby("method")["retain_acc"].mean()
    assert retained.idxmin() == "negative_gradient"
    assert retained.min() < 0.75


def section(text, title):
    """Return what stands under a heading, to the next one of any level."""
    return re.split(r"^#+ ", text.split(f"# {title}\n", 1)[1], maxsplit=1, flags=re.MULTILINE)[0].strip()


def test_the_readme_shows_the_reference_table():
    shown = section((ROOT / "README.md").read_text(), "resnet20-digits-class0")
    reference = (REFERENCE / "digits-table.md").read_text()
    assert section(reference, "resnet20-digits-class0") in shown


def test_the_readme_shows_the_table_of_the_paper_suite_once_there_is_one():
    reference = REFERENCE / "paper-table.md"
    if not reference.exists():
        pytest.skip("results/reference/ has no paper-table.md: the paper suite was not run yet")
    suite = yaml.safe_load((ROOT / "config.yaml").read_text())["suites"]["paper"]
    for benchmark in suite["benchmarks"]:
        first_block = section(reference.read_text(), benchmark).split("\n\n")[0]
        assert first_block in (ROOT / "README.md").read_text(), benchmark


def test_every_number_of_the_walk_through_stands_in_the_table():
    """Each with its row: a sentence names the row, or the one before it did."""
    readme = (ROOT / "README.md").read_text()
    steps = re.findall(r"^\d\. .*?(?=^\d\. |\Z)", section(readme, "How to read it"), re.MULTILINE | re.DOTALL)
    rows = [line for line in section(readme, "resnet20-digits-class0").splitlines() if line.startswith("| ")]
    assert len(steps) == 6
    suite = yaml.safe_load((ROOT / "config.yaml").read_text())["suites"]["digits"]
    for step in steps:
        names = [name for name in (*REFERENCES, *suite["methods"]) if name in step]
        known = " ".join(row for row in rows if any(row.startswith((f"| {name} ", f"| *{name}*")) for name in names))
        for number in re.findall(r"-?\d\.\d{3}", step):
            assert number in known, f"{number} in: {step}"


def test_the_tables_of_our_rule_are_those_of_the_reference_results():
    assert document_rule.page() == document_rule.PAGE.read_text()


def test_every_number_that_is_said_of_our_rule_stands_in_a_table():
    """With three decimals, in docs/own-method.md and in the README; all tables are those of docs/own-method.md."""
    page = document_rule.PAGE.read_text()
    tables = " ".join(line for line in page.splitlines() if line.startswith("|"))
    said = " ".join(line for line in page.splitlines() if not line.startswith("|"))
    for number in re.findall(r"\d\.\d{3}", said + section((ROOT / "README.md").read_text(), "Our own rule")):
        assert number in tables, number


def test_the_tables_of_the_calibration_are_those_of_the_reference_results():
    assert document_calibration.page() == document_calibration.PAGE.read_text()


def test_every_number_that_is_said_of_the_calibration_stands_in_its_tables():
    page = document_calibration.PAGE.read_text()
    tables = " ".join(line for line in page.splitlines() if line.startswith("|"))
    said = re.findall(r"\d\.\d{3}", " ".join(line for line in page.splitlines() if not line.startswith("|")))
    assert said
    assert [number for number in said if number not in tables] == []


def test_the_calibration_quotes_the_published_baselines_as_they_are():
    published = read_table(verify.PUBLISHED)
    theirs = published[(published["benchmark"] == "mobilenetv2-fmnist-class0") & (published["type"] == "baseline")]
    shown = section(document_calibration.PAGE.read_text(), "What was published")
    for row in theirs.to_dict("records"):
        cells = [row["entry"], *(f"{row[metric]:.3f}" for metric in METRICS)]
        assert cells in [[cell.strip() for cell in line.split("|")[1:-1]] for line in shown.splitlines()]


def test_our_rule_scores_above_every_baseline_on_the_digits():
    """In both settings, by the mean over three models and three seeds."""
    metrics = read_table(REFERENCE / "digits-metrics.csv")
    assert sorted(metrics["seed"].unique()) == [42, 43, 44]
    assert metrics["benchmark"].nunique() == 3
    means = metrics.groupby("method")["unlearn_score"].mean()
    baselines = means[["retain_finetune", "negative_gradient", "bad_teacher", "scrub"]]
    assert (means[["mask_and_average", "mask_and_average_score"]] > baselines.max()).all(), means


def test_the_digits_suite_keeps_what_it_promises():
    """At least .95 of the digits right before unlearning; the forget class all but gone after it."""
    metrics = read_table(REFERENCE / "digits-metrics.csv").set_index(["method", "benchmark"])
    original = metrics.loc["original"]
    assert original["test_acc"].min() > 0.95
    # A teacher with random weights does not always lead away from the class: bad_teacher may keep half of it.
    forgotten = metrics.drop(index=["original", "bad_teacher"])["forget_acc"]
    assert forgotten.groupby(level=[0, 1]).mean().max() < 0.1
    assert read_table(REFERENCE / "digits-costs.csv")["peak_memory_mb"].max() < 1500
    assert (metrics["status"] == "ok").all()
