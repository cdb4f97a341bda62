"""The same seed gives the same bytes, independent of how the jobs are run."""

import pytest
from project import TINY, Project, merged

CELLS = "results/resnet20-digits-class0/seed1"
FEW = {"suites": {"digits": {"methods": ["bad_teacher", "scrub"]}}}
RUNS = {
    "one core, from elsewhere": (
        ["--cores", "1", "--scheduler", "greedy"],
        {"PYTHONHASHSEED": "1", "LC_ALL": "C", "TZ": "Asia/Kathmandu", "OMP_NUM_THREADS": "2"},
    ),
    "four cores, last things first": (
        ["--cores", "4", "--prioritize", f"{CELLS}/scrub/metrics.json"],
        {"PYTHONHASHSEED": "31337", "LC_ALL": "tr_TR.UTF-8", "LANG": "tr_TR.UTF-8"},
    ),
}


@pytest.mark.parametrize("how", RUNS)
def test_the_same_seed_gives_the_same_bytes(tmp_path, finished_project, how):
    """Also in a second clone, and with fewer methods: a method changes nothing in the results of another method."""
    arguments, environment = RUNS[how]
    clone = Project(tmp_path / "clone", merged(TINY, FEW))
    if "elsewhere" in how:
        arguments = [*arguments, "--directory", str(tmp_path / "elsewhere")]
    done = clone.run("results/table.md", *arguments, **environment)
    assert done.returncode == 0, done.stdout
    folder = tmp_path / "elsewhere" if "elsewhere" in how else clone.folder
    header, *rows = finished_project.read("results/metrics.csv").splitlines(keepends=True)
    expected = [row for row in rows if row.split(",")[1] in ("original", "retrain", "bad_teacher", "scrub")]
    assert (folder / "results/metrics.csv").read_text() == "".join([header, *expected])
    checkpoint = "results/resnet20-digits/seed1/pretrained.pt"
    assert (folder / checkpoint).read_bytes() == (finished_project.folder / checkpoint).read_bytes()


def test_a_method_that_draws_changes_no_batch(tmp_path, finished_project):
    """The method gets the same batches as a method that draws nothing."""
    method = (
        "import random\n"
        "import numpy as np\n"
        "class UnlearningMethod:\n"
        "    def __init__(self, *, draws):\n"
        "        self.draws = draws\n"
        "    def unlearn_step(self, model, retain_batch, forget_batch, optimizer, step, epoch):\n"
        "        for _ in range(self.draws):\n"
        "            torch.rand(3), np.random.rand(), random.random()\n"
        "        sums = [batch[0].double().sum().item() for batch in (retain_batch, forget_batch)]\n"
        "        return {'loss': 0.0, 'retain': sums[0], 'forget': sums[1], 'labels': retain_batch[1].float().mean()}\n"
    )
    methods = {
        name: {"file": "drawing.py", "hyperparameters": {"draws": draws}} for name, draws in (("a", 0), ("b", 7))
    }
    clone = Project(tmp_path / "clone", merged(TINY, {"methods": methods}))
    (clone.folder / "drawing.py").write_text(method)
    histories = [f"{CELLS}/{name}/history.csv" for name in methods]
    clone.make(*histories)
    assert clone.read(histories[0]) == clone.read(histories[1])
    assert len(clone.read(histories[0]).splitlines()) == 2
