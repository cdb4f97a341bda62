"""make plan: its calculations from measurements and sizes, and the variables that make hands on."""

import subprocess

import pytest
from commands.plan import OF_PATH, Estimates, cores
from project import ROOT, configured
from snakemake.utils import available_cpu_count

from benches import estimate
from benches.estimate import unlearning_seconds
from unlearning.config.variants import with_calibration
from unlearning.workflow.progress import PlannedJob


def test_epochs_that_were_not_measured_take_what_the_last_before_them_took(monkeypatch, tmp_path):
    """A method with an expensive first step, two expensive epochs, and cheap epochs to the end; in made-up seconds."""
    (tmp_path / "method.py").write_text(
        "class UnlearningMethod:\n"
        "    def unlearn_step(self, model, retain_batch, forget_batch, optimizer, step, epoch):\n"
        "        import builtins\n"
        "        builtins.seconds += 100 if (epoch, step) == (0, 0) else 7 if epoch < 2 else 1\n"
        "        return {'loss': 0.0}\n"
    )
    import builtins

    import torch

    monkeypatch.setattr(builtins, "seconds", 0.0, raising=False)
    monkeypatch.setattr(estimate.time, "perf_counter", lambda: builtins.seconds)
    setup = estimate.Setup("resnet20", 0.25, 3, 1, 8, 4, "float32")
    speed = estimate.Speed(step=1.0, image=0.0, probe=0.0, weights=0, features=0, small=setup, scale=2.0)
    sizes = {"steps_per_epoch": 10, "steps_per_forget_pass": 4}
    seconds = unlearning_seconds(speed, torch.device("cpu"), tmp_path / "method.py", {}, 6, sizes)
    assert seconds == 2 * ((100 - 7) + 10 * (7 + 7 + 1 + 1 + 1 + 1))


@pytest.mark.parametrize("when", ["is_forget_turn", "is_in_forget_round"])
@pytest.mark.parametrize("forget", [5, 40])
def test_a_method_that_forgets_once_in_a_while_is_measured_in_both_kinds_of_steps(monkeypatch, tmp_path, when, forget):
    """9 s in the steps of a pass over the forget set per epoch, spread or at its beginning, and 1 s in the others."""
    (tmp_path / "method.py").write_text(
        f"from methods.shared.schedule import {when}\n"
        "class UnlearningMethod:\n"
        "    def __init__(self, *, steps_per_epoch, steps_per_forget_pass):\n"
        "        self.sizes = steps_per_epoch, steps_per_forget_pass\n"
        "    def unlearn_step(self, model, retain_batch, forget_batch, optimizer, step, epoch):\n"
        "        import builtins\n"
        f"        builtins.seconds += 9 if {when}(step, *self.sizes) else 1\n"
        "        return {'loss': 0.0}\n"
    )
    import builtins

    import torch

    monkeypatch.setattr(builtins, "seconds", 0.0, raising=False)
    monkeypatch.setattr(estimate.time, "perf_counter", lambda: builtins.seconds)
    setup = estimate.Setup("resnet20", 0.25, 3, 1, 8, 4, "float32")
    speed = estimate.Speed(step=1.0, image=0.0, probe=0.0, weights=0, features=0, small=setup, scale=1.0)
    sizes = {"steps_per_epoch": 352, "steps_per_forget_pass": forget}
    seconds = unlearning_seconds(speed, torch.device("cpu"), tmp_path / "method.py", {}, 20, sizes)
    assert seconds == pytest.approx(20 * (forget * 9 + (352 - forget) * 1), rel=0.002)


def test_relearning_costs_two_starts_and_on_request_a_pass_over_the_retained_images():
    """Seconds by hand: .1 per image of training, .01 per image of a test; the row of original has two starts more."""
    setup = estimate.Setup("resnet20", 0.25, 10, 1, 8, 32, "float32")
    speed = estimate.Speed(step=3.2, image=0.01, probe=0.0, weights=0, features=0, small=setup, scale=1.0)
    sizes = estimate.Sizes(train=1000, test=300, forget_train=100, forget_test=30)
    path = "results/resnet20-digits-class0/seed1/{}/relearning.json"
    cell, original = (OF_PATH.fullmatch(path.format(method)) for method in ("scrub", "original"))
    estimates = object.__new__(Estimates)  # nothing is measured
    estimates.config = configured()
    protocol = estimates.config.protocols["digits"]  # 20 images of each of 10 classes, 20 epochs
    one_start, test = 20 * (200 * 0.1 + 30 * 0.01), 300 * 0.01
    assert estimates._relearning(cell, protocol, speed, sizes) == pytest.approx(2 * one_start + test)
    assert estimates._relearning(original, protocol, speed, sizes) == pytest.approx(4 * one_start + test)
    estimates.config = configured(retain_relearning=True)
    with_retained = 2 * one_start + test + 900 * 0.1 + 30 * 0.01
    assert estimates._relearning(cell, protocol, speed, sizes) == pytest.approx(with_retained)


def test_a_choice_of_a_calibration_takes_its_own_steps(monkeypatch):
    """CIFAR-10: 5,000 images of the forget class, 45,000 others; batches of 128, 20 epochs."""
    monkeypatch.setattr("commands.plan.unlearning_seconds", lambda *given: given[-2] * given[-1]["steps_per_epoch"])
    calibrated, _ = with_calibration(configured(suite="cifar10", calibrate=True, choices="epoch_of"))
    estimates = object.__new__(Estimates)
    estimates.config, estimates.device, estimates._methods = calibrated, None, {}
    monkeypatch.setattr(estimates, "_speed", lambda setup: None, raising=False)
    sizes = estimate.Sizes(train=50_000, test=10_000, forget_train=5_000, forget_test=1_000)
    steps = {}
    for method in ("retain_finetune", "retain_finetune__epoch_of_forget"):
        cell = OF_PATH.fullmatch(f"results/resnet20-cifar10-class0/seed42/{method}/unlearned.pt")
        setup = estimate.Setup("resnet20", 1.0, 10, 3, 32, 128, "float32")
        steps[method] = estimates._unlearning(cell, setup, sizes, calibrated.protocols["paper"])
    assert steps == {"retain_finetune": 7_040, "retain_finetune__epoch_of_forget": 800}


@pytest.mark.parametrize(
    ("given", "number"), [("3", 3), ("all", available_cpu_count()), ("0", None), ("-1", None), ("x", None)]
)
def test_cores_are_those_of_snakemake(given, number):
    if number is None:
        with pytest.raises(ValueError):  # noqa: PT011 - argparse says the rest
            cores(given)
    else:
        assert cores(given) == number


def test_a_model_that_is_carried_costs_the_start_of_its_job(tmp_path):
    its = "resnet20-digits/seed42/pretrained.pt"
    (tmp_path / its).parent.mkdir(parents=True)
    (tmp_path / its).write_bytes(b"")
    carried, trained = (
        PlannedJob("pretrain", (f"results/{path}", f"results/{path.replace('pretrained.pt', 'cost.json')}"), False)
        for path in (its, its.replace("42", "43"))
    )
    estimates = object.__new__(Estimates)  # nothing is measured
    estimates._start, estimates.config = 3.0, configured(checkpoints=str(tmp_path))
    assert [estimates.is_carried(job) for job in (carried, trained)] == [True, False]
    assert estimates.seconds(carried) == 3.0
    estimates.config = configured()
    assert not estimates.is_carried(carried)


def test_the_sizes_of_what_is_not_there_yet_are_those_that_will_be():
    from unlearning.data.sources import CHANNELS, SIZES, digits

    arrays = digits()
    assert (len(arrays["train_labels"]), len(arrays["test_labels"])) == SIZES["digits"]
    assert set(SIZES) == set(CHANNELS)
    schema = (ROOT / "workflow/schemas/config.schema.yaml").read_text()
    assert f"enum: [{', '.join(SIZES)}]" in schema


def test_the_sizes_of_a_part_follow_from_its_original(tmp_path):
    estimates = object.__new__(Estimates)  # nothing is measured
    part = {"classes": 10, "part_of": "fmnist", "per_class": 40}
    whole = {"classes": 10, "source": "FashionMNIST"}
    of_class = OF_PATH.fullmatch("results/resnet20-few-class3/seed1/scrub/unlearned.pt")
    for further, expected in (({}, (400, 10_000, 40, 1_000)), ({"test_per_class": 7}, (400, 70, 40, 7))):
        estimates.config = configured(data_dir=str(tmp_path), datasets={"fmnist": whole, "few": part | further})
        assert estimates._sizes(of_class) == estimate.Sizes(*expected)
        assert estimates._channels("few") == 1


def test_make_names_a_configuration_that_is_not_there():
    done = subprocess.run(["make", "-n", "table", "CONFIG=mine.yaml"], cwd=ROOT, text=True, capture_output=True)
    assert done.returncode == 2
    assert "CONFIG=mine.yaml: there is no such file" in done.stderr
    assert "snakemake" not in done.stdout


def test_make_hands_on_what_is_asked_for():
    for target in ("preview", "status", "plan"):
        command = ["make", "-n", target, "SUITE=paper", "METHODS=scrub delete", "CORES=2"]
        done = subprocess.run(command, cwd=ROOT, text=True, capture_output=True, check=True)
        cores = " --cores 2" if target == "plan" else ""
        expected = f"-m commands.{target}{cores} suite='paper' methods='scrub delete'"
        assert done.stdout.splitlines()[-1].strip().endswith(expected)
