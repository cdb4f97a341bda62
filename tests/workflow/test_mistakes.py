"""Bad input of every kind, given to the real Snakemake: one line that names the cause, no traceback, nothing lost."""

import csv
import datetime
import io
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from project import ROOT, TINY, Project, merged, outside

from unlearning.models import build_model
from unlearning.workflow.workspace import sees_gpu

CELL = "results/resnet20-digits-class0/seed1"


def lines_of(done):
    """Return our messages, lines that begin with "error". Fail if there is a traceback, or if a message is long."""
    assert "Traceback" not in done.stdout, done.stdout
    lines = [line for line in done.stdout.splitlines() if line.startswith("error")]
    assert all(len(line) < 500 for line in lines)
    return lines


def everything_in(folder):
    """Return the contents of all results."""
    return {path: path.read_bytes() for path in (folder / "results").rglob("*") if path.is_file()}


# --- the configuration


def setting(*keys):
    """Return an edit that writes a value: the last of ``keys`` is the value, the others are the path."""
    *path, value = keys
    for key in reversed(path):
        value = {key: value}
    return lambda text: yaml.safe_dump(merged(yaml.safe_load(text), value), sort_keys=False)


def replaced(old, new):
    def edit(text):
        assert old in text
        return text.replace(old, new, 1)

    return edit


TINY_PROTOCOL = ("protocols", "tiny")
CONFIGURATIONS = {
    "text for a number": (setting(*TINY_PROTOCOL, "unlearn", "epochs", "many"), "protocols.tiny.unlearn.epochs: 'many'"),
    "a negative rate": (setting(*TINY_PROTOCOL, "unlearn", "learning_rate", -0.1), "unlearn.learning_rate: -0.1"),
    "a number that YAML reads as text": (replaced("learning_rate: 0.003", "learning_rate: 3e-3"), "write 0.003 in a YAML"),
    "not a number": (setting(*TINY_PROTOCOL, "unlearn", "learning_rate", float("nan")), "nan is not a finite number"),
    "too many epochs": (setting(*TINY_PROTOCOL, "pretrain", "epochs", 10**9), "pretrain.epochs: 1000000000"),
    "a seed of 30 digits": (setting("suites", "digits", "seeds", [10**30]), "suites.digits.seeds[0]: 1000000"),
    "a seed twice": (setting("suites", "digits", "seeds", [1, 1]), "suites.digits.seeds: [1, 1] has non-unique"),
    "no method": (setting("suites", "digits", "methods", []), "suites.digits.methods: [] should be non-empty"),
    "a method that is not there": (setting("suites", "digits", "methods", ["scrubb"]), "'scrubb'; did you mean scrub?"),
    "a method without file": (
        lambda text: setting("methods", "ghost", {})(setting("suites", "digits", "methods", ["ghost"])(text)),
        "methods.ghost: there is no file",
    ),
    "an unknown hyperparameter": (
        setting("methods", "scrub", "hyperparameters", "temprature", 1),
        "methods.scrub.hyperparameters: scrub.py takes no 'temprature'; it takes: max_epochs",
    ),
    "a missing hyperparameter": (replaced("      temperature: 4.0\n", ""), "scrub.py needs a value for 'temperature'"),
    "an unknown key": (setting(*TINY_PROTOCOL, "batchsize", 3), "unknown key 'batchsize'; did you mean batch_size?"),
    "two unknown keys, one of them no text": (lambda text: text + "\nyes: 1\nfoo: 2\n", "unknown key"),
    "an unknown protocol": (setting("benchmarks", "resnet20-digits", "protocol", "tinny"), "did you mean tiny?"),
    "a class too many": (setting("suites", "digits", "benchmarks", ["resnet20-digits-class10"]), "has the classes 0 to 9"),
    "a list of methods": (setting("methods", ["scrub"]), "methods: ['scrub'] is not a mapping"),
    "a date": (setting("methods", "scrub", "hyperparameters", "temperature", datetime.date(2020, 1, 1)), "temperature: datetime"),
    "no text as key": (setting("methods", "scrub", "hyperparameters", 1, 2), "methods.scrub.hyperparameters: 1"),
    "a number without end": (setting("methods", "scrub", "hyperparameters", "temperature", float("inf")), "temperature: inf"),
    "an alias": (lambda text: text + "\nx: &a [1]\ny: *a\n", "the alias *a is not allowed"),
    "braces in a path": (setting("data_dir", "my {data}"), "data_dir: 'my {data}' does not match"),
    "a home of nobody": (setting("data_dir", "~nobody_at_all/data"), "Could not determine home directory"),
    "a key twice": (lambda text: text + "\nsuite: paper\n", "the key 'suite' stands twice"),
    "broken YAML": (lambda text: text + "\n  - {", "config.yaml, line"),
    "nothing": (lambda text: "", "config.yaml: it holds no keys"),
    "a tag that runs code": (
        lambda text: text + "\nx: !!python/object/apply:os.mkdir ['planted']\n",
        "could not determine a constructor for the tag 'tag:yaml.org,2002:python/object/apply:os.mkdir'",
    ),
    "a template that runs code": (
        lambda text: text + "\n__use_yte__: true\n__definitions__:\n  - import os; os.mkdir('planted')\n",
        "config.yaml: __use_yte__ would run code",
    ),
}  # fmt: skip


def run_with(project, path, text):
    """Run with ``text`` in the file at ``path``, and restore the file."""
    before = path.read_text()
    path.write_text(text)
    try:
        return project.run()
    finally:
        path.write_text(before)


def run_without(project, path):
    """Run while the file at ``path`` is renamed."""
    path.rename(path.with_name("kept"))
    try:
        return project.run()
    finally:
        path.with_name("kept").rename(path)


@pytest.mark.parametrize("case", CONFIGURATIONS)
def test_a_mistake_in_the_configuration(finished_project, case):
    edit, culprit = CONFIGURATIONS[case]
    path = finished_project.folder / "config.yaml"
    results = everything_in(finished_project.folder)
    done = run_with(finished_project, path, edit(path.read_text()))
    assert done.returncode == 1
    (line,) = lines_of(done)
    assert culprit in line
    assert everything_in(finished_project.folder) == results
    assert not (finished_project.folder / "planted").exists()


def test_a_folder_in_place_of_a_data_set(finished_project):
    data = finished_project.folder / "data/digits.npz"
    data.rename(data.with_name("kept"))
    data.mkdir()
    try:
        done = finished_project.run()
    finally:
        data.rmdir()
        data.with_name("kept").rename(data)
    assert lines_of(done) == ["error: data/digits.npz: not a file; a data set is one .npz file"]


def test_a_module_that_is_not_there_ends_the_run_before_any_result_is_touched(finished_project):
    path = finished_project.folder / "scripts/unlearning/evaluation/metrics.py"
    results = everything_in(finished_project.folder)
    done = run_without(finished_project, path)
    (line,) = lines_of(done)
    assert "it imports unlearning.evaluation.metrics, which is not there" in line
    assert everything_in(finished_project.folder) == results


def test_a_missing_configuration(finished_project):
    path = finished_project.folder / "config.yaml"
    done = run_without(finished_project, path)
    assert done.returncode == 1
    assert lines_of(done) == [f"error: {path}: No such file or directory"]


@pytest.mark.parametrize(
    "name", ["scripts/methods/scrub.py", "scripts/unlearning/evaluation/metrics.py", "scripts/evaluate.py"]
)
def test_code_that_is_no_python_ends_the_run_before_any_result_is_touched(finished_project, name):
    path = finished_project.folder / name
    results = everything_in(finished_project.folder)
    done = run_with(finished_project, path, path.read_text() + "\ndef f(:\n")
    assert done.returncode == 1
    (line,) = lines_of(done)
    assert path.name in line
    assert "not valid Python" in line
    assert everything_in(finished_project.folder) == results


# --- data sets: several in one run, each requested by the cheapest job that reads all of the data set


def sound():
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (60, 8, 8), dtype=np.uint8)
    labels = np.arange(60, dtype=np.uint8) % 10
    return {"train_images": images, "train_labels": labels, "test_images": images[:20], "test_labels": labels[:20]}


def npz(**changes):
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **{name: array for name, array in (sound() | changes).items() if array is not None})
    return buffer.getvalue()


def bomb():
    """Return a file that claims to unpack to 10 GB."""
    buffer = io.BytesIO(npz())
    with zipfile.ZipFile(buffer, "a") as archive:
        archive.writestr("note", b"x")
        archive.filelist[0].file_size = 10**10
    return buffer.getvalue()


def boast():
    """Return a file in which one array claims to have 10^12 elements."""
    buffer = io.BytesIO(npz(train_images=None))
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "|u1", "fortran_order": False, "shape": (10**12, 1, 1)})
    with zipfile.ZipFile(buffer, "a") as archive:
        archive.writestr("train_images.npy", header.getvalue() + b"123")
    return buffer.getvalue()


class Planted:
    """Code that a pickle would run when it is loaded."""

    def __reduce__(self):
        return (os.mkdir, ("planted",))


OBJECTS = np.empty(60, dtype=object)
OBJECTS[:] = [Planted()] * 60
LABELS = sound()["train_labels"]
WITHOUT_3 = np.where(LABELS == 3, 4, LABELS)
DATA = {
    "truncated": (npz()[:3000], "not a whole .npz file"),
    "empty": (b"", "not a whole .npz file"),
    "text": (b"label,pixel\n1,2\n", "not a whole .npz file"),
    "bare_array": (npz()[:0] + b"\x93NUMPY", "not a whole .npz file"),
    "missing": (npz(test_labels=None), "array test_labels is missing"),
    "float_images": (npz(train_images=sound()["train_images"] / 255), "train_images has type float64; it must be uint8"),
    "float_labels": (npz(train_labels=LABELS.astype(float)), "train_labels has type float64; it must be integers"),
    "flat": (npz(train_images=sound()["train_images"].reshape(60, 64)), "train_images has shape (60, 64)"),
    "few_labels": (npz(train_labels=LABELS[:50]), "train_labels has shape (50,); it must be (60,)"),
    "other_size": (npz(test_images=sound()["test_images"][:, :4]), "train_images and test_images differ in image shape"),
    "high_label": (npz(train_labels=np.where(LABELS == 3, 10, LABELS)), "train_labels has the label 10"),
    "negative": (npz(train_labels=LABELS.astype(int) - 1), "train_labels has the label -1"),
    "gap": (npz(train_labels=WITHOUT_3), "train_labels never has the label 3"),
    "untested": (npz(test_labels=WITHOUT_3[:20]), "test_labels never has the label 3"),
    "objects": (npz(train_labels=OBJECTS), "array train_labels holds Python objects, which are never loaded"),
    "bomb": (bomb(), "it unpacks to 10 GB; a data set may have 8 GB"),
    "boast": (boast(), "array train_images is damaged (it is not as large as it says)"),
    "too_large": (npz(), "images of 8 x 8 do not fit into"),
}  # fmt: skip


@pytest.fixture(scope="module")
def bad_data(tmp_path_factory):
    """Return the output of a run that was asked for a model on each data set above, and on a valid data set."""
    names = [*DATA, "sound"]
    changes = {
        "datasets": {name: {"classes": 10} for name in names},
        "benchmarks": {f"resnet20-{name}": {"protocol": "tiny", "width": 0.25, "image_size": 8} for name in names},
    }
    changes["datasets"]["too_large"]["fit"] = "pad"
    changes["benchmarks"]["mobilenetv2-too_large"] = {"protocol": "tiny", "image_size": 8}
    project = Project(tmp_path_factory.mktemp("bad"), merged(TINY, changes))
    (project.folder / "data").mkdir()
    for name, (content, _) in DATA.items():
        (project.folder / f"data/{name}.npz").write_bytes(content)
    large = npz(
        **{
            f"{part}_images": np.random.default_rng(n).integers(0, 256, (n, 9, 9), np.uint8)
            for part, n in (("train", 60), ("test", 20))
        }
    )
    (project.folder / "data/too_large.npz").write_bytes(large)
    (project.folder / "data/sound.npz").write_bytes(npz())
    before = {path: path.read_bytes() for path in (project.folder / "data").iterdir()}
    done = project.run(*(f"results/resnet20-{name}/seed1/pretrained.pt" for name in names))
    assert {path: path.read_bytes() for path in (project.folder / "data").iterdir()} == before
    return project, done


@pytest.mark.parametrize("name", DATA)
def test_a_bad_data_set(bad_data, name):
    project, done = bad_data
    assert done.returncode == 1
    (line,) = [line for line in lines_of(done) if f"on {name}," in line]
    culprit = DATA[name][1].replace("8 x 8", "9 x 9")
    assert culprit in line
    assert not (project.folder / f"results/resnet20-{name}/seed1/pretrained.pt").exists()
    assert not (project.folder / "planted").exists()


def test_a_sound_data_set_beside_bad_ones_is_used(bad_data):
    project, _ = bad_data
    assert (project.folder / "results/resnet20-sound/seed1/pretrained.pt").exists()
    # Six forget images, fewer than a batch of 64, are enough.
    project.make("results/resnet20-sound-class3/seed1/retain_finetune/metrics.json")


# --- the command line, the machine, the place


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--config", "suite=paper", "--config", "seeds=1"], "--config stands 2 times, and only the last counts"),
        (["--config", "suite=digits", "seeds=1", "suite=paper"], "--config: suite= stands twice, and only the last"),
        (["--configfile", "config.yaml", "--configfile=config.yaml"], "--configfile stands 2 times, and only the last"),
        (["--config", "device=cuda"], "device: cuda, but this machine has no such GPU; write auto or cpu"),
        (["--config", "device=cuda:1"], "device: cuda:1, but this machine has no such GPU; write auto or cpu"),
    ],
)
def test_what_would_be_lost_or_come_too_late_is_said_before_any_job(finished_project, arguments, message):
    if "cuda" in message and sees_gpu():
        pytest.skip("this machine has a GPU")
    (line,) = lines_of(finished_project.run("-n", *arguments))
    assert message in line


def test_a_key_twice_in_a_further_file_is_noticed(finished_project, tmp_path):
    (tmp_path / "mine.yaml").write_text("suite: digits\ndevice: cpu\nsuite: paper\n")
    (line,) = lines_of(finished_project.run("-n", "--configfile", str(tmp_path / "mine.yaml")))
    assert line == "error: mine.yaml, line 3: the key 'suite' stands twice"


@pytest.mark.parametrize("arguments", [["--forcerun", "table"], ["-n"]])
def test_the_run_says_what_it_runs(copied_project, arguments):
    printed = copied_project.make(*arguments)
    assert "suite digits: 1 benchmark x 5 methods x 1 seed, and the references" in printed


@pytest.mark.parametrize(
    "path", ["data/digits.npz", "results/resnet20-digits/seed1/pretrained.pt", "scripts/methods/scrub.py"]
)
def test_a_file_that_may_not_be_read_is_named(copied_project, path):
    """Tested as a user without root's rights."""
    file = copied_project.folder / path
    file.chmod(0)
    if os.access(file, os.R_OK):  # as root: take the rights away
        limit = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"]
        if subprocess.run([*limit, "true"], capture_output=True).returncode:
            pytest.skip("rights cannot be taken away here")
    else:
        limit = []
    command = [*limit, sys.executable, "-m", "snakemake", "-n", "--cores", "1"]
    done = subprocess.run(command, cwd=copied_project.folder, text=True, capture_output=True)
    printed = done.stdout + done.stderr
    (line,) = [line for line in printed.splitlines() if line.startswith("error")]
    named = file if path.startswith("scripts") else path
    assert line == f"error: {named}: it may not be read; give yourself the right, e.g. chmod u+r {named}"
    assert "Traceback" not in printed


def test_results_that_are_a_link_to_nowhere_are_named(finished_project, tmp_path):
    project = Project(tmp_path / "linked", TINY)
    (project.folder / "results").symlink_to(tmp_path / "nowhere")
    (line,) = lines_of(project.run("-n"))
    assert line == f"error: results: a link to {tmp_path / 'nowhere'}, which is not there; make that folder"
    (project.folder / "results").unlink()
    (project.folder / "results").touch()
    (line,) = lines_of(project.run("-n"))
    assert line == "error: results: a file, where the folder of the results has to be; move it away"


def test_data_that_are_a_link_to_nowhere_are_named(finished_project, tmp_path):
    project = Project(tmp_path / "linked", TINY)
    (project.folder / "data").symlink_to(tmp_path / "nowhere")
    (line,) = lines_of(project.run("-n"))
    assert line == f"error: data: a link to {tmp_path / 'nowhere'}, which is not there; make that folder"


def test_make_works_where_nothing_can_be_written_to_the_home(finished_project):
    """This happens in containers. There, Snakemake itself ends with a traceback."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("XDG")}
    bin_folder = Path(sys.executable).parent
    make = ["make", "-f", ROOT / "Makefile", "-o", ".venv/installed", f"BIN={bin_folder}", "status"]
    done = subprocess.run(
        make, cwd=finished_project.folder, env=environment | {"HOME": "/proc/none"}, text=True, capture_output=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "7 cells: 7 done" in done.stdout


@pytest.mark.parametrize("command", ["audit", "status"])
def test_a_reader_that_stops_early_is_no_error(finished_project, command):
    """As in `make audit | head`; here it has stopped before the first line."""
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [sys.executable, "-m", f"commands.{command}"],
        cwd=finished_project.folder,
        env=os.environ | {"PYTHONPATH": str(finished_project.folder / "scripts")},
        stdout=writer,
        stderr=subprocess.PIPE,
        text=True,
    )
    os.close(writer)
    assert (done.stderr, done.returncode) == ("", 141)


def test_what_the_user_put_in_place_is_never_removed(copied_project):
    """Fetched files stay too: only results are deleted."""
    data = copied_project.folder / "data"
    (data / "own.npz").write_bytes((data / "digits.npz").read_bytes())
    config = copied_project.folder / "config.yaml"
    changes = {
        "datasets": {"own": {"classes": 10, "fit": "resize"}},
        "benchmarks": {"resnet20-own": {"protocol": "tiny", "width": 0.25, "image_size": 8}},
        "suites": {"digits": {"benchmarks": ["resnet20-digits-class0", "resnet20-own-class0"]}},
    }
    config.write_text(yaml.safe_dump(merged(yaml.safe_load(config.read_text()), changes), sort_keys=False))
    copied_project.run("results/table.md", "--delete-all-output")
    assert not (copied_project.folder / "results/table.md").exists()
    assert sorted(path.name for path in data.iterdir()) == ["digits.npz", "own.npz"]
    for name in ("own.npz", "digits.npz"):  # nothing shows where the second came from
        copied_project.run(f"data/{name}", "--delete-all-output")
        assert (data / name).exists()


def test_the_workflow_runs_in_any_folder(finished_project, tmp_path):
    """The workflow's own methods, suites and data are found; the results are made in the folder of the start."""
    snakefile = finished_project.folder / "workflow/Snakefile"
    arguments = ["--snakefile", snakefile, "--cores", "2", "results/table.md"]
    command = [sys.executable, "-m", "snakemake", *arguments]
    done = subprocess.run(command, cwd=tmp_path, env=outside(), text=True, capture_output=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "results/metrics.csv").read_text() == finished_project.read("results/metrics.csv")
    assert not (tmp_path / "data").exists()
    for suite in ("paper", "methods"):
        planned = subprocess.run(
            [*command, "-n", "--config", f"suite={suite}"], cwd=tmp_path, text=True, capture_output=True
        )
        assert planned.returncode == 0, planned.stdout + planned.stderr


def test_as_a_module_it_says_how_to_run_it(finished_project, tmp_path):
    snakefile = finished_project.folder / "workflow/Snakefile"
    (tmp_path / "Snakefile").write_text(
        f"module bench:\n    snakefile: {str(snakefile)!r}\n\nuse rule * from bench as bench_*\n"
    )
    command = [sys.executable, "-m", "snakemake", "-n", "--cores", "1"]
    done = subprocess.run(command, cwd=tmp_path, text=True, capture_output=True)
    assert done.returncode == 1
    (line,) = [line for line in (done.stdout + done.stderr).splitlines() if line.startswith("error")]
    assert line.startswith(
        "error: this workflow cannot be a module of another; run it by itself, in any folder: snakemake"
    )


# --- one benchmark that cannot be made


@pytest.fixture(scope="module")
def one_missing(tmp_path_factory):
    """Return a project with two benchmarks, one with a data set that cannot be fetched, and the result of its run."""
    changes = {
        "suites": {
            "digits": {"benchmarks": ["resnet20-digits-class0", "resnet20-cifar10-class0"], "methods": ["scrub"]}
        },
        "benchmarks": {"resnet20-cifar10": {"protocol": "tiny", "width": 0.25}},
    }
    project = Project(tmp_path_factory.mktemp("missing"), merged(TINY, changes))
    sources = project.folder / "scripts/unlearning/data/sources.py"
    sources.write_text(sources.read_text().replace("PAUSES = (5.0, 30.0)", "PAUSES = (0.1,)"))
    proxy = {"http_proxy": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9"}
    return project, project.run("results/table.md", **proxy)


def test_a_benchmark_that_cannot_be_made_is_a_block_that_says_why(one_missing):
    project, done = one_missing
    assert done.returncode == 1
    (line,) = lines_of(done)
    assert line.startswith("error in dataset (make data/cifar10.npz from CIFAR10): could not fetch CIFAR10 (")
    table = project.read("results/table.md")
    whole, missing = table.split("## resnet20-cifar10-class0")
    assert re.search(r"\| scrub +\| +(\*\*)?0\.\d{3}", whole)
    assert "**Not made: dataset: could not fetch CIFAR10 (" in missing
    assert re.search(r"\| scrub +\| +pending", missing)
    assert "what is finished, and why the rest is not: results/preview.md: 3 of 6 cells" in done.stdout


def test_once_it_can_be_made_the_table_is_whole(one_missing):
    project, _ = one_missing
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (40, 32, 32, 3), dtype=np.uint8)
    labels = np.arange(40) % 10
    np.savez(
        project.folder / "data/cifar10.npz",
        train_images=images,
        train_labels=labels,
        test_images=images,
        test_labels=labels,
    )
    project.make("results/table.md")
    assert "pending" not in project.read("results/table.md")
    assert "preview" not in project.read("results/table.md")


def test_a_table_that_is_there_is_not_replaced_by_one_that_is_not_whole(copied_project):
    table = copied_project.read("results/table.md")
    changes = {"suites": {"digits": {"methods": ["scrub", "greedy"]}}, "methods": {"greedy": {"file": "greedy.py"}}}
    (copied_project.folder / "greedy.py").write_text(step("raise MemoryError('no more')"))
    config = copied_project.folder / "config.yaml"
    config.write_text(yaml.safe_dump(merged(yaml.safe_load(config.read_text()), changes), sort_keys=False))
    assert copied_project.run("results/table.md").returncode == 1
    assert copied_project.read("results/table.md") == table
    assert "**Not made: unlearn: MemoryError: no more" in copied_project.read("results/preview.md")


# --- checkpoints: each is the original model of a different seed


def checkpoint(**changes):
    made_by = {"model": "resnet20", "dataset": "digits", "classes": 10, "channels": 1, "width": 0.25}
    content = {"format": 2, "state_dict": build_model("resnet20", 10, 1, 0.25).state_dict(), "made_by": made_by}
    return merged(content, changes)


def written(content):
    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.getvalue()


VGG = build_model("vgg16bn", 10, 1, 0.125).state_dict()
CHECKPOINTS = {
    "truncated": (lambda: written(checkpoint())[:-3000], ""),
    "empty": (lambda: b"", ""),
    "text": (lambda: b"nothing of the kind", ""),
    "no record": (lambda: written({"state_dict": {}}), "it does not say what made it; a model of another program gets a row"),
    "a state dict": (lambda: written(VGG), "a model of another program gets a row with --config checkpoint=PATH"),
    "a list": (lambda: written([]), "it does not say what made it"),
    "another architecture's weights": (lambda: written(checkpoint() | {"state_dict": VGG}), "state_dict"),
    "another model's": (lambda: written(checkpoint(made_by={"model": "vgg16bn"})), "made with model vgg16bn, not resnet20"),
    "another seed's": (lambda: written(checkpoint(made_by={"seed": "7"})), "made with seed 7, not 1"),
    "another width's": (lambda: written(checkpoint(made_by={"width": 0.5})), "size mismatch"),
    "a newer version's": (lambda: written(checkpoint(format=99)), "format 99, of a newer version"),
    "a payload": (lambda: written(checkpoint(made_by={"seed": Planted()})), "something else than tensors"),
}  # fmt: skip


@pytest.fixture(scope="module")
def bad_checkpoints(tmp_path_factory):
    project = Project(tmp_path_factory.mktemp("checkpoints"), TINY)
    project.make("results/resnet20-digits-class0/split.npz")
    targets = []
    for seed, (content, _) in enumerate([*CHECKPOINTS.values(), (lambda: old_format(), "")], start=101):
        folder = project.folder / f"results/resnet20-digits/seed{seed}"
        folder.mkdir(parents=True)
        (folder / "pretrained.pt").write_bytes(content())
        targets.append(f"results/resnet20-digits-class0/seed{seed}/original/metrics.json")
    return project, project.run(*targets)


def old_format():
    content = checkpoint()
    del content["format"]
    return written(content)


@pytest.mark.parametrize("case", CHECKPOINTS)
def test_a_bad_checkpoint(bad_checkpoints, case):
    project, done = bad_checkpoints
    assert done.returncode == 1
    seed = 101 + list(CHECKPOINTS).index(case)
    (line,) = [line for line in lines_of(done) if f"seed{seed}/" in line]
    assert f"results/resnet20-digits/seed{seed}/pretrained.pt: not the checkpoint that is needed (" in line
    assert CHECKPOINTS[case][1].replace("not 1", f"not {seed}") in line
    assert line.endswith("delete it to have it made again")
    assert not (project.folder / "planted").exists()


def test_a_checkpoint_of_the_format_before_is_read(bad_checkpoints):
    project, _ = bad_checkpoints
    seed = 101 + len(CHECKPOINTS)
    assert '"status": "ok"' in project.read(f"results/resnet20-digits-class0/seed{seed}/original/metrics.json")


# --- methods: all in one table


def step(body, above="", signature="model, retain_batch, forget_batch, optimizer, step, epoch"):
    return f"{above}\nclass UnlearningMethod:\n    def unlearn_step(self, {signature}):\n        {body}\n"


RULES = {
    "no_class": ("x = 1\n", "no class UnlearningMethod"),
    "no_package": ("import nowhere_to_be_found\n" + step("return {'loss': 0.0}"), "No module named 'nowhere_to_be_found'"),
    "signature": (step("return {'loss': 0.0}", signature="model, batch"), "TypeError: UnlearningMethod.unlearn_step() takes"),
    "no_method": ("class UnlearningMethod:\n    pass\n", "has no attribute 'unlearn_step'"),
    "exits": (step("raise SystemExit(0)"), "SystemExit: 0"),
    "exits_early": (step("return {'loss': 0.0}", above="import sys; sys.exit(0)"), "SystemExit: 0"),
    "interrupts": (step("raise KeyboardInterrupt"), "KeyboardInterrupt"),
    "recursion": (step("return self.unlearn_step(model, retain_batch, forget_batch, optimizer, step, epoch)"), "RecursionError"),
    "closes_stdout": (step("sys.stdout.close(); return {'loss': 0.0}", above="import sys"), "closed or replaced standard output"),
    "closes_files": (step("os.closerange(1, 3); return {'loss': 0.0}", above="import os"), "closed or replaced standard output"),
    "gigabyte": (step("print('x' * 10**9); return {'loss': 0.0}"), "printed or wrote more than 100 MB"),
    "moves": (step("os.chdir('/'); return {'loss': 0.0}", above="import os"), "it changed the working directory"),
    "surrogate": (step(r"raise ValueError('\udcff')"), r"ValueError: \udcff"),
    "talkative": (step("raise ValueError('word ' * 10**6)"), "ValueError: word word"),
    "speechless": (step("raise E", above="class E(Exception):\n    def __str__(self): raise E"), "E"),
    "nothing": (step("pass"), "unlearn_step returned NoneType"),
    "sound": (step("return {'loss': 0.0}"), ""),
    "bom": ("\ufeff" + step("return {'loss': 0.0}"), ""),  # some editors on other systems begin files with it
    "latin": ("# -*- coding: latin-1 -*-\n" + step("return {'loss': 0.0, 'é': 1.0}"), ""),
    "scheduler": (step("torch.optim.lr_scheduler.StepLR(optimizer, 1); return {'loss': 0.0}"), "(initial_lr), which are fixed; a learning-rate scheduler does so, too"),
}  # fmt: skip


@pytest.fixture(scope="module")
def bad_rules(tmp_path_factory):
    changes = {
        "suites": {"digits": {"methods": [*RULES, "retain_finetune"]}},
        "methods": {name: {"file": f"{name}.py"} for name in RULES},
    }
    project = Project(tmp_path_factory.mktemp("methods"), merged(TINY, changes))
    for name, (text, _) in RULES.items():
        (project.folder / f"{name}.py").write_bytes(text.encode("latin-1" if name == "latin" else "utf-8"))
    return project, project.run("results/table.md")


@pytest.mark.parametrize("name", RULES)
def test_a_bad_method_is_a_failed_cell_of_the_table(bad_rules, name):
    project, done = bad_rules
    assert done.returncode == 0, done.stdout
    assert lines_of(done) == []
    rows = {row["method"]: row for row in csv.DictReader(project.read("results/metrics.csv").splitlines())}
    assert rows[name]["status"] == ("failed" if RULES[name][1] else "ok")
    assert RULES[name][1] in rows[name]["reason"]
    assert len(rows[name]["reason"]) < 330
    log = project.folder / CELL / name / "unlearn.log"
    assert log.stat().st_size < 110e6
    # The log has its last line, even if the method closed the log.
    assert re.search(r"unlearn: done in [\d.]+ s; processor seconds: .*\n$", log.read_bytes()[-1000:].decode())


def test_a_log_of_a_method_that_prints_too_much_takes_no_more_room(bad_rules):
    project, _ = bad_rules
    shutil.rmtree(project.folder / CELL / "gigabyte")  # 100 MB that are no longer needed
    assert "retain_finetune" in project.read("results/table.md")


def test_a_file_that_is_no_python_is_named_with_the_line(finished_project):
    path = finished_project.folder / "broken.py"
    path.write_text("class UnlearningMethod:\n    def unlearn_step(self:\n")
    try:
        (line,) = lines_of(finished_project.run("--config", "method=broken.py"))
    finally:
        path.unlink()
    assert line == "error: broken.py, line 2: not valid Python ('(' was never closed)"


HELPED = """
import helper
from more.helpers import weight

class UnlearningMethod:
    def unlearn_step(self, model, retain_batch, forget_batch, optimizer, step, epoch):
        loss = weight() * helper.loss_of(model, retain_batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return {"loss": loss}
"""


def test_modules_beside_a_method_are_imported_and_watched(copied_project):
    mine = copied_project.folder / "mine"
    (mine / "more").mkdir(parents=True)
    (mine / "helped.py").write_text(HELPED)
    (mine / "helper.py").write_text(
        "from torch.nn import functional as F\n\n\ndef loss_of(model, batch):\n    return F.cross_entropy(model(batch[0]), batch[1])\n"
    )
    (mine / "more/helpers.py").write_text("def weight():\n    return 2.0\n")
    method = ("--config", "method=mine/helped.py")
    copied_project.make("results/table.md", *method)
    assert "| helped " in copied_project.read("results/table.md")
    assert copied_project.planned("results/table.md", *method) == []
    (mine / "more/helpers.py").write_text("def weight():\n    return 3.0\n")
    assert "unlearn helped" in copied_project.planned("results/table.md", *method)
    (mine / "more/helpers.py").write_text("def weight():  # twice\n    return 2.0\n")
    assert copied_project.planned("results/table.md", *method) == []


# --- the workflow's own files


OWN_FILES = {
    "text for a number": (f"{CELL}/scrub/metrics.json", lambda c: re.sub(rb'("probe_acc": )[\d.]+', rb'\1"high"', c), "damaged (probe_acc is 'high')"),
    "metrics.json": (f"{CELL}/scrub/metrics.json", lambda content: content[:50], "damaged ("),
    "another format": (f"{CELL}/scrub/metrics.json", lambda c: c.replace(b'"format": 2', b'"format": 1'), "of format 1, not 2"),
    "scores.npz": (f"{CELL}/scrub/scores.npz", lambda content: content[:-100], "damaged ("),
    "planted": (f"{CELL}/scrub/scores.npz", lambda _: npz(non_member_logits=OBJECTS), "damaged (Object arrays cannot"),
    "features.npz": (f"{CELL}/scrub/features.npz", lambda content: content[:-100], "damaged ("),
    "compare.json": (f"{CELL}/scrub/compare.json", lambda content: content[:50], "damaged ("),
    "cost.json": (f"{CELL}/scrub/cost.json", lambda content: b"[]", "damaged (no JSON object)"),
    "split.npz": ("results/resnet20-digits-class0/split.npz", lambda content: content[:100], "damaged ("),
}  # fmt: skip


@pytest.mark.parametrize("case", OWN_FILES)
def test_a_damaged_result_is_named_and_can_be_made_again(copied_project, case):
    name, damage, culprit = OWN_FILES[case]
    project, folder = copied_project, copied_project.folder
    table, metrics = project.read("results/table.md"), project.read("results/metrics.csv")
    (folder / name).write_bytes(damage((folder / name).read_bytes()))
    done = project.run(*(["results/resnet20-digits-class0/seed1/original/metrics.json"] if "split" in name else []))
    assert done.returncode == 1
    (line,) = lines_of(done)
    assert f"{name}: {culprit}" in line
    assert line.endswith("delete it to have it made again")
    assert not (folder / "planted").exists()
    if case == "metrics.json":
        (folder / name).unlink()
        project.make()
        assert project.read("results/metrics.csv") == metrics
        assert len(project.read("results/table.md")) == len(table)
