"""Continuing after an interruption: the same weights as without it, or a new start."""

import copy
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import yaml
from project import AS_CHOSEN, ROOT
from snakemake.iocontainers import Params

from unlearning import watched_code
from unlearning.config.model import method_file
from unlearning.data.batches import TensorData
from unlearning.data.datasets import DataSet
from unlearning.data.sources import make_dataset
from unlearning.errors import UserError
from unlearning.runner.interface import load_method
from unlearning.runner.loop import unlearn
from unlearning.streams import generator, seed_global_streams
from unlearning.training import savepoint
from unlearning.training.loop import train_from_scratch
from unlearning.training.savepoint import Savepoint
from unlearning.watched_code import digest_of_file, meanings_of
from unlearning.workflow import job_sources
from unlearning.workflow.checkpoint_job import savepoint_of
from unlearning.workflow.job_sources import dataset_of

METHODS = yaml.safe_load((ROOT / "config.yaml").read_text())["methods"]
PROTOCOL = {
    "batch_size": 8,
    "crop_padding": 1,
    "flip": True,
    "precision": "float32",
    "pretrain": {"epochs": 4, "learning_rate": 0.1, "momentum": 0.9, "weight_decay": 5e-4, "evaluate_every": 2},
    "unlearn": {"epochs": 4, "learning_rate": 0.003} | AS_CHOSEN,
}


class InterruptionError(MemoryError):
    """A failure that does not count as the method's mistake."""


class Interrupting(Savepoint):
    """Ends the run after ``last`` epochs."""

    def __init__(self, path, last):
        super().__init__(path, "the same job")
        self.last = last

    def _write(self, state, is_over):
        super()._write(state, is_over)
        if state["epochs"] == self.last:
            raise InterruptionError


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (40, 8, 8, 1), dtype=np.uint8)
    labels = np.arange(40) % 3
    return TensorData.on("cpu", DataSet(images, labels, images[:12], labels[:12], 3), 8, "pad", "channels")


def interrupted(run, path, lasts):
    """Call ``run`` with a savepoint that is interrupted after each of ``lasts`` epochs, then to the end."""
    for last in lasts:
        with pytest.raises(InterruptionError):
            run(Interrupting(path, last))
    return run(Savepoint(path, "the same job"))


def same(one, other):
    states = one.state_dict(), other.state_dict()
    return all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def without_seconds(history):
    return [{name: value for name, value in row.items() if name != "seconds"} for row in history]


@pytest.mark.parametrize("model", ["resnet20", "mobilenetv2"])  # MobileNetV2 has dropout: torch's global stream
@pytest.mark.parametrize("lasts", [[1], [2, 3], [4]])
def test_an_interrupted_training_ends_with_the_same_weights(tmp_path, data, model, lasts):
    def train(savepoint):
        settings = {"width": 0.25, "protocol": PROTOCOL}
        return train_from_scratch(model, data, settings, 1, np.arange(40), np.arange(12), savepoint)

    (whole, history), (resumed, resumed_history) = train(None), interrupted(train, tmp_path / "kept", lasts)
    assert same(whole, resumed)
    assert without_seconds(history) == without_seconds(resumed_history)


def unlearner(data, method_file, hyperparameters=None, **otherwise):
    """Return a function that takes a savepoint and applies the method in ``method_file``, always from the same start.

    ``otherwise`` are changes to the protocol's unlearning.
    """
    settings = {"width": 0.25, "protocol": PROTOCOL | {"pretrain": PROTOCOL["pretrain"] | {"epochs": 1}}}
    original, _ = train_from_scratch("resnet20", data, settings, 1, np.arange(40), np.arange(12))
    labels = data.train_labels.numpy()

    def run(savepoint=None):
        model = copy.deepcopy(original)
        seed_global_streams(3, "method")
        retain, forget = (
            data.train_batches(np.flatnonzero(chosen), PROTOCOL, generator(3, name))
            for name, chosen in {"retain": labels != 0, "forget": labels == 0}.items()
        )
        make = partial(load_method, method_file, hyperparameters or {})
        done = unlearn(model, make, method_file, retain, forget, PROTOCOL["unlearn"] | otherwise, savepoint)
        assert done.outcome.status == "ok", done.outcome
        return model, done

    return run


@pytest.mark.parametrize("method", METHODS)
def test_an_interrupted_method_ends_with_the_same_weights(tmp_path, data, method, capfd):
    file = ROOT / method_file(method, METHODS[method].get("file"))
    run = unlearner(data, file, METHODS[method].get("hyperparameters"))
    (whole, done), (resumed, resumed_done) = run(), interrupted(run, tmp_path / "kept", [1, 3])
    assert same(whole, resumed)
    assert done == resumed_done
    output = capfd.readouterr().out
    assert "going on after 1 epoch(s)" in output
    assert "going on after 3 epoch(s)" in output


def test_an_interruption_changes_nothing_where_an_epoch_is_one_pass_over_the_forget_set(tmp_path, data):
    """In this case an epoch may begin in the middle of a pass over the retain set."""
    run = unlearner(data, ROOT / "scripts/methods/negative_gradient.py", {"forget_weight": 0.5}, epoch_of="forget")
    (whole, done), (resumed, resumed_done) = run(), interrupted(run, tmp_path / "kept", [1, 3])
    assert same(whole, resumed)
    assert done == resumed_done


REMEMBERING = """
import copy, random
import numpy as np

class UnlearningMethod:
    def __init__(self):
        self.count, self.losses, self.settings = 0, [], {"a": (1, [2.5])}
        self.own = torch.Generator().manual_seed(5)
        self.average = None
        self.teacher = None

    def unlearn_step(self, model, retain_batch, forget_batch, optimizer, step, epoch):
        if self.teacher is None:
            self.teacher = copy.deepcopy(model).eval()
            self.teacher.requires_grad_(False)
            self.model = model
            self.optimizer = optimizer
            model.head.bias.requires_grad_(False)
        if step % 2:  # the gradients of an epoch's last step live on in the next epoch's first
            optimizer.zero_grad()
        noise = torch.rand(1, generator=self.own) + torch.rand(1) + random.random() + np.random.rand()
        loss = F.cross_entropy(self.model(retain_batch[0]), retain_batch[1]) * noise.float()
        loss = loss - 0.1 * F.mse_loss(model(forget_batch[0]), self.teacher(forget_batch[0]))
        (loss * (1 + sum(self.losses) / (1 + self.count))).backward()
        optimizer.step()
        weight = model.head.weight.detach().clone()
        self.average = weight if self.average is None else 0.9 * self.average + 0.1 * weight
        self.count += 1
        self.losses = [*self.losses, loss.item()][-3:]
        self.settings["a"][1].append(self.count)
        model.head.weight.data.lerp_(self.average, 0.1)
        frozen = sum(not parameter.requires_grad for parameter in self.teacher.parameters())
        return {"loss": loss, "remembered": len(self.settings["a"][1]), "frozen": frozen}
"""


def test_all_that_a_method_remembers_in_its_attributes_is_kept(tmp_path, data):
    file = tmp_path / "remembering.py"
    file.write_text(REMEMBERING)
    run = unlearner(data, file)
    (whole, done), (resumed, resumed_done) = run(), interrupted(run, tmp_path / "kept", [2])
    assert same(whole, resumed)
    assert done == resumed_done
    assert Savepoint(tmp_path / "kept", "the same job").read()["epochs"] == 4


IDIOMS = """
from collections import Counter, OrderedDict, defaultdict, deque
from dataclasses import dataclass, field
import random
import numpy as np
import torch.nn as nn


@dataclass
class UnlearningMethod:
    weight: float = 1.0
    losses: list = field(default_factory=list)

    def __post_init__(self):
        self.loss = nn.CrossEntropyLoss(label_smoothing=0.1)
        self.recent = deque(maxlen=3)
        self.seen = {2, 5}
        self.own = random.Random(5)
        self.numpys = np.random.default_rng(7)
        self.table = np.zeros((3, 2))
        self.ordered = OrderedDict(b=1, a=2)
        # Two of a kind, one after the other: what is made of the first on the way must not be taken for the second.
        self.one, self.two = np.zeros(3), np.ones(2)
        self.first, self.last = deque([1]), deque([2])
        self.counted = Counter()
        self.of_epoch = defaultdict(list)
        self.without_default = defaultdict()
        self.flags = [np.True_, np.True_]  # one object: such a value cannot change
        self.old = np.random.RandomState(3)
        self.largest = np.float32(0)

    def unlearn_step(self, model, retain_batch, forget_batch, optimizer, step, epoch):
        if not hasattr(self, "divergence"):
            self.divergence = nn.KLDivLoss(reduction="batchmean")  # made in the first step
        optimizer.zero_grad()
        noise = self.own.random() + self.numpys.random() + self.table.sum() / 100 + len(self.recent) + len(self.seen)
        loss = self.loss(model(retain_batch[0]), retain_batch[1]) * float(noise)
        log_probabilities = F.log_softmax(model(forget_batch[0]), dim=1)
        loss = loss + self.divergence(log_probabilities, torch.full_like(log_probabilities, 1 / 3))
        loss.backward()
        optimizer.step()
        self.losses.append(loss.item())
        self.recent.append(loss.item())
        self.seen.add(step)
        self.table[step % 3] += 1
        self.ordered.move_to_end("b")
        self.one[0] += self.old.random()
        self.last.append(len(self.last))
        self.counted[step] += 1
        self.of_epoch[epoch].append(loss.item())
        self.without_default[epoch] = step
        self.largest = max(self.largest, np.float32(loss.item()))
        numbers = {"one": self.one[0], "last": len(self.last), "counted": self.counted[0], "largest": self.largest}
        numbers["epochs"] = sum(len(values) for values in self.of_epoch.values()) + len(self.without_default)
        return {"loss": loss, "kept": len(self.losses), "first": list(self.ordered.values())[0]} | numbers
"""


def test_common_idioms_are_kept(tmp_path, data, capfd):
    """Losses of torch, arrays, sets, queues, counters, random streams, dataclasses."""
    file = tmp_path / "idioms.py"
    file.write_text(IDIOMS)
    run = unlearner(data, file)
    (whole, done), (resumed, resumed_done) = run(), interrupted(run, tmp_path / "kept", [1, 3])
    assert "cannot be kept" not in capfd.readouterr().out
    assert same(whole, resumed)
    assert done == resumed_done


EXCHANGING = """
class UnlearningMethod:
    def __init__(self):
        self.others = None

    def unlearn_step(self, model, retain_batch, forget_batch, optimizer, step, epoch):
        if self.others is None:
            self.others = [{} for _ in model.parameters()]
        for images, labels, sign in ((*forget_batch, -0.1), (*retain_batch, 1)):
            optimizer.zero_grad()
            loss = sign * F.cross_entropy(model(images), labels)
            loss.backward()
            optimizer.step()
            for index, parameter in enumerate(model.parameters()):
                self.others[index], optimizer.state[parameter] = optimizer.state[parameter], self.others[index]
        return {"loss": loss}
"""


def test_moments_that_a_method_exchanges_with_the_optimizers_are_kept(tmp_path, data, capfd):
    file = tmp_path / "exchanging.py"
    file.write_text(EXCHANGING)
    run = unlearner(data, file)
    (whole, done), (resumed, resumed_done) = run(), interrupted(run, tmp_path / "kept", [1, 3])
    assert "cannot be kept" not in capfd.readouterr().out
    assert same(whole, resumed)
    assert done == resumed_done


CANNOT_BE_KEPT = {
    "NumPy's global stream": ("", "import numpy; self.rng = numpy.random.mtrand._rand", "self.rng is a RandomState"),
    "a default of its own": (
        "from collections import defaultdict",
        "self.seen = defaultdict(lambda: 1)",
        "self.seen is a defaultdict",
    ),
    "its own optimizer": ("", "self.sgd = torch.optim.SGD([torch.ones(1, requires_grad=True)], lr=1)", "self.sgd is a"),
    "an iterator": ("", "self.numbers = getattr(self, 'numbers', iter(range(99)))", "self.numbers is a range_iter"),
    "the model's tensors": ("", "self.weight = model.head.weight.data", "self.weight is shared"),
    "a tensor twice": ("", "self.one = self.two = torch.zeros(3)", "self.two is shared"),
    "a module of another kind": ("", "self.layer = torch.nn.Linear(2, 2)", "self.layer is a Linear"),
    "its module": ("SEEN = []", "SEEN.append(step)", "SEEN of its module"),
    "a new name in its module": ("", "global TEACHER; TEACHER = step", "left something on"),
    "its class": ("", "type(self).count = step", "left something on"),
    "a class in a class": ("class A:\n    class B:\n        seen = {}", "A.B.seen[step] = 1", "seen of its class"),
    "a bound function": ("add = [].append", "add(step)", "add of its module"),
    "a tensor's attributes": ("", "self.t = torch.zeros(1); self.t.note = step", "self.t is a Tensor"),
    "another class of its module": ("class Store:\n    seen = {}", "Store.seen[step] = 1", "seen of its class"),
    "a default argument": ("def f(x, seen=[]):\n    seen.append(x)", "f(step)", "f of its module"),
    "a closure": ("def g():\n    n = []\n    return lambda x: n.append(x)\nf = g()", "f(step)", "f of its module"),
    "a decorated function": ("@torch.no_grad()\ndef f(x, seen=[]):\n    seen.append(x)", "f(step)", "f of its module"),
    "identities": ("", "self.seen = {id(p): 1 for p in model.parameters()}", "self.seen is a dict"),
    "a setting of torch": ("", "torch.set_default_dtype(torch.float64)", "left something on"),
    "the layout of a weight": ("", "w = model.head.weight; w.data = w.data.t().contiguous().t()", "left something on"),
    "the model": ("", "model.note = step", "left something on the model"),
    "a hook": ("", "if step == 0 == epoch: model.register_forward_hook(lambda *_: None)", "left something on"),
    "the optimizer": ("", "optimizer.note = step", "left something on"),
    "the optimizer's state": ("", "if epoch: optimizer.state[model.head.bias]['note'] = lambda: 1", "on the optimizer"),
    "a setting of a module": ("", "model.features[1].momentum = 0.5", "left something on"),
    "a buffer": ("", "model.register_buffer('note', torch.ones(1), persistent=False)", "left something on"),
    "a parameter": ("", "model.head.bias.note = step", "left something on"),
    "a buffer's attributes": ("", "model.features[1].running_mean.note = step", "left something on"),
    "a loss with weights": ("", "self.l = torch.nn.CrossEntropyLoss(weight=torch.ones(3))", "self.l is a CrossEn"),
    "a view of an array": ("import numpy as np", "self.a = np.zeros(3); self.b = self.a[1:]", "self.b is a ndarray"),
    "an array of objects": ("import numpy as np", "self.a = np.array([None])", "self.a is a ndarray"),
    "a set of tensors": ("", "self.s = {torch.zeros(1)}", "self.s is a set"),
    "a deque of what cannot be": ("from collections import deque", "self.d = deque([iter(())])", "self.d[0][0] is a"),
    "a parameter's hook": ("", "if step == 0 == epoch: model.head.bias.register_hook(lambda g: g)", "left some"),
}  # fmt: skip


@pytest.mark.parametrize("where", CANNOT_BE_KEPT)
def test_a_method_that_remembers_elsewhere_starts_again(tmp_path, data, where, capfd):
    """The lost memory does not affect the result, which equals the result of an undisturbed run."""
    above, line, reason = CANNOT_BE_KEPT[where]
    file = tmp_path / "method.py"
    file.write_text(
        f"{above}\nclass UnlearningMethod:\n"
        "    def unlearn_step(self, model, retain_batch, forget_batch, optimizer, step, epoch):\n"
        f"        {line}\n"
        "        optimizer.zero_grad()\n"
        "        loss = F.cross_entropy(model(retain_batch[0]), retain_batch[1])\n"
        "        loss.backward()\n"
        "        optimizer.step()\n"
        "        return {'loss': loss}\n"
    )
    run = unlearner(data, file)
    savepoint = Savepoint(tmp_path / "kept", "the same job")
    whole, _ = run(savepoint)
    torch.set_default_dtype(torch.float32)
    output = capfd.readouterr().out
    assert "the method's state cannot be kept (" in output
    assert reason in output
    # Only the end was kept, and it needs no method: a lost result is restored.
    assert savepoint.read()["epochs"] == 4
    assert same(whole, run(Savepoint(tmp_path / "kept", "the same job"))[0])


def test_another_jobs_savepoint_or_a_damaged_one_is_of_no_use(tmp_path, capfd):
    savepoint = Savepoint(tmp_path / "kept", "one")
    savepoint.keep({"epochs": 3})
    assert Savepoint(tmp_path / "kept", "one").read() == {"epochs": 3}
    assert Savepoint(tmp_path / "kept", "another").read() is None
    whole = (tmp_path / "kept").read_bytes()
    (tmp_path / "kept").write_bytes(whole[:-50])
    assert Savepoint(tmp_path / "kept", "one").read() is None
    assert "cannot be read" in capfd.readouterr().out
    assert Savepoint(tmp_path / "none", "one").read() is None
    assert Savepoint().read() is None


def test_a_savepoint_runs_no_code(tmp_path):
    class Payload:
        def __reduce__(self):
            return (open, (str(tmp_path / "planted"), "w"))

    torch.save({"identity": "one", "seconds": 0.0, "state": Payload()}, tmp_path / "kept")  # everything else is valid
    assert Savepoint(tmp_path / "kept", "one").read() is None
    assert not (tmp_path / "planted").exists()


def test_seconds_go_on_from_those_before(tmp_path):
    first = Savepoint(tmp_path / "kept", "one")
    first._seconds_before = 1000.0
    first.keep({"epochs": 1})
    second = Savepoint(tmp_path / "kept", "one")
    second.read()
    assert 1000 <= second.seconds < 1100
    other = Savepoint(tmp_path / "kept", "other")
    other.read()
    assert other.seconds < 100


def test_seconds_are_those_of_the_training_without_its_writing(tmp_path, monkeypatch):
    clock = SimpleNamespace(now=0.0, perf_counter=lambda: clock.now)

    def write(*_):
        clock.now += 500.0

    monkeypatch.setattr(savepoint, "time", clock)
    monkeypatch.setattr(savepoint, "write_tensors", write)
    kept = Savepoint(tmp_path / "kept", "one")
    for epochs in (1, 2, 3):
        clock.now += 7.0
        kept.keep({"epochs": epochs})
    assert kept.seconds == 21.0
    clock.now += 1.0
    kept.keep_end({"epochs": 4})
    assert kept.seconds == 22.0


def params_of(*files, **named):
    """Return parameters as Snakemake hands them to a script: the code's parameters without a name, the others named."""
    params = Params()
    for name, value in [*((None, value) for value in files), *named.items()]:
        params.append(value)
        if name:
            params._set_name(name, len(params) - 1)
    return params


@pytest.fixture
def job(tmp_path, monkeypatch):
    """Return a function that makes a job of the rule unlearn, as Snakemake describes it to the script."""
    scripts = tmp_path / "scripts"
    scripts.mkdir()
    for module in (job_sources, watched_code):
        monkeypatch.setattr(module, "SCRIPTS", scripts)

    def make(split=b"split", checkpoint=b"checkpoint", hyperparameters=None, precision="float32", **changes):
        (tmp_path / "split").write_bytes(split)
        (tmp_path / "checkpoint").write_bytes(checkpoint)
        files = [scripts / "unlearn.py", scripts / "unlearn_shadow.py", tmp_path / "method.py"]
        for file in files:
            file.write_text(f"name = '{file.stem}'\n")
        named = {"method_code": meanings_of(files[2:]), "hyperparameters": hyperparameters, "lost": []}
        unwatched = {"method": str(files[2]), "precision": precision, "largest_gb": 8.0}
        described = {
            "rule": "unlearn",
            "wildcards": {"seed": "1"},
            "params": params_of(*meanings_of(files[:2]), **named, unwatched=unwatched),
            "threads": 1,
            "input": {"split": tmp_path / "split", "checkpoint": tmp_path / "checkpoint"},
            "output": [tmp_path / "out/unlearned.pt"],
        }
        return SimpleNamespace(**described | changes)

    return make


def test_everything_that_was_asked_for_is_in_its_identity(job):
    def identity(**changes):
        return savepoint_of(job(**changes), torch.device("cpu")).identity

    params = job().params
    others = [
        identity(),
        identity(split=b"another"),
        identity(checkpoint=b"another"),
        identity(rule="unlearn_shadow"),
        identity(wildcards={"seed": "2"}),
        identity(hyperparameters={"a": 2}),
        identity(params=params_of(*[*params][:2], **dict(params.items()), protocol={"batch_size": 3})),
        identity(params=params_of(*[*params][:2], "more.py 0", **dict(params.items()))),
    ]
    assert len(set(others)) == len(others)
    assert identity() == others[0]
    # Unwatched parameters are not part of the identity, and neither is the reason why the job runs again.
    watched = {key: value for key, value in params.items() if key not in ("unwatched", "lost")}
    without = {"lost": ["history.csv is missing"], "unwatched": params.unwatched | {"dataset": "elsewhere"}}
    assert identity(params=params_of(*[*params][:2], **watched, **without)) == others[0]


def test_the_middle_of_a_training_is_of_use_only_where_it_was_made(job, monkeypatch):
    """Another device or version rounds differently; a finished training is valid everywhere."""
    cpu, cuda = torch.device("cpu"), torch.device("cuda")
    savepoint_of(job(), cpu).keep({"epochs": 1})
    assert savepoint_of(job(), cpu).read() == {"epochs": 1}
    assert savepoint_of(job(), cuda).read() is None
    with monkeypatch.context() as another:
        another.setattr(torch, "__version__", "99.0")
        assert savepoint_of(job(), cpu).read() is None
    savepoint_of(job(), cpu).keep_end({"epochs": 4})
    monkeypatch.setattr(torch, "__version__", "99.0")
    for device in (cpu, cuda):
        assert savepoint_of(job(), device).read() == {"epochs": 4}


def test_what_is_done_comes_back_with_its_cost(job):
    first = savepoint_of(job(), torch.device("cpu"))
    first._seconds_before = 1000.0
    first.keep_end({"epochs": 4})
    again = savepoint_of(job(), torch.device("cuda"))
    again.read()
    assert first.cost["device"] == "cpu"
    assert again.cost == first.cost
    assert again.seconds == pytest.approx(first.seconds, abs=60)
    assert again.seconds == again.seconds  # the clock does not run: nothing is trained


@pytest.mark.parametrize(("asked", "then", "is_of_use"), [("tf32", "tf32", True), ("tf32", "float32", False)])
def test_what_is_done_in_another_precision_than_is_asked_for_does_not_count(job, asked, then, is_of_use):
    """Only CUDA has tf32. On a CPU it is float32, and if tf32 is asked for again, a result from a CPU is valid."""
    cuda, cpu = torch.device("cuda"), torch.device("cpu")
    savepoint_of(job(precision=asked), cuda).keep_end({"epochs": 4})
    for device in (cuda, cpu):
        assert (savepoint_of(job(precision=then), device).read() is not None) == is_of_use
    savepoint_of(job(precision="tf32"), cpu).keep_end({"epochs": 4})
    assert savepoint_of(job(precision="float32"), cpu).read() is not None


@pytest.mark.parametrize("name", ["scripts/unlearn.py", "method.py"])
def test_a_job_whose_code_changed_while_it_was_starting_is_ended(job, name, tmp_path):
    """Without this, the result of the changed file would be taken for the result of the old file."""
    started = job()
    (tmp_path / name).write_text(f"# a comment\n{(tmp_path / name).read_text()}")
    savepoint_of(started, torch.device("cpu"))  # the edit did not change the meaning
    (tmp_path / name).write_text("name = 'edited'\n")
    with pytest.raises(UserError, match=r"the code of this job changed while it was starting \(.*\.py\); run again"):
        savepoint_of(started, torch.device("cpu"))


def test_an_unfinished_job_removes_no_savepoint_and_a_finished_one_all_others(job):
    first, second = (savepoint_of(job(hyperparameters=value), torch.device("cpu")) for value in ({"a": 1}, {"a": 2}))
    first.keep_end({"epochs": 4})
    second.keep({"epochs": 1})
    assert first.read() == {"epochs": 4}  # the edit may still be undone
    second.keep_end({"epochs": 4})
    assert first.read() is None
    assert second.read() == {"epochs": 4}


@pytest.fixture
def dataset_job(tmp_path, monkeypatch):
    """Return a function that makes a job on the existing data set, and the data set's file."""
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "data/digits.npz"

    def make(source="digits"):
        digest = digest_of_file(file) if file.exists() else "0123"
        unwatched = {"dataset": str(file), "source": source, "largest_gb": 8.0}
        return SimpleNamespace(params=params_of(data=digest, unwatched=unwatched))

    make_dataset("digits", file)
    return make, file


def test_a_job_whose_data_changed_while_it_was_starting_is_ended(dataset_job):
    make, file = dataset_job
    started = make()
    assert dataset_of(started).path == file
    file.write_bytes(b"edited")
    with pytest.raises(UserError, match="the data of this job changed while it was starting"):
        dataset_of(started)


def test_a_damaged_part_of_a_data_set_is_to_be_deleted_because_it_is_made_again(dataset_job):
    make, file = dataset_job
    assert not dataset_of(make(source=None)).comes_again
    part = Path("results/datasets/few.npz")
    part.parent.mkdir(parents=True, exist_ok=True)
    part.write_bytes(file.read_bytes())
    job = make(source=None)
    job.params.unwatched["dataset"] = str(part)
    assert dataset_of(job).comes_again


def test_a_data_set_that_is_gone_is_fetched_again_if_the_same_comes_of_it(dataset_job):
    make, file = dataset_job
    started, content = make(), file.read_bytes()
    file.unlink()
    assert dataset_of(started).path.read_bytes() == content
    assert list(file.parent.iterdir()) == [file]
    file.unlink()
    with pytest.raises(UserError, match=r"digits\.npz: no such file"):
        dataset_of(make(source=None))
    with pytest.raises(UserError, match="the data of this job changed"):
        dataset_of(make())
