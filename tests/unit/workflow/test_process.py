"""The settings of a job's process: no compiler, kept memory, few imports, clocks."""

import subprocess
import sys

import pytest
from project import ROOT

from unlearning.clocks import Clock


def run(code):
    """Run ``code`` in a separate Python with the library, and return its output."""
    environment = {"PYTHONPATH": str(ROOT / "scripts"), "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, text=True, capture_output=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


TRAIN = """
import sys, torch
from unlearning.workflow.process import defer_dynamo
defer_dynamo()
model = torch.nn.Linear(3, 3)
for optimizer in (torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9), torch.optim.Adam(model.parameters())):
    torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=2)
    optimizer.zero_grad()
    model(torch.ones(2, 3)).sum().backward()
    optimizer.step()
    optimizer.load_state_dict(optimizer.state_dict())
"""


def test_optimizers_do_without_the_compiler():
    assert run(TRAIN + "print('sympy' in sys.modules)") == "False"


@pytest.mark.parametrize(
    "use",
    [
        "torch.compile(lambda x: x * 2, backend='eager')(torch.ones(1))",
        "from torch._dynamo.utils import counters",
        "import torch._dynamo.config",
        "torch._dynamo.reset()",
    ],
)
def test_whoever_asks_for_the_compiler_gets_it(use):
    """Optimizers continue to work, whether they were made before or after."""
    code = f"{TRAIN}\n{use}\nstand_in = type(torch._dynamo).__name__\n{TRAIN}\noptimizer.step()\nprint(stand_in)"
    assert run(code) == "module"


def test_freed_memory_is_kept_for_the_next_tensor():
    """By default, every page of a large tensor comes from the kernel again, with a page fault."""
    code = """
import resource, torch
from unlearning.workflow.process import keep_freed_memory
{setting}
torch.ones(1)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(40):
    torch.ones(10_000_000)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""
    by_default, kept = (int(run(code.format(setting=setting))) for setting in ("", "keep_freed_memory()"))
    assert kept < by_default / 2


def test_an_evaluation_imports_neither_scipy_nor_scikit_learn_nor_pandas():
    """Each import would take longer than the evaluation of the digits."""
    imports = [line for line in (ROOT / "scripts/evaluate.py").read_text().splitlines() if line.startswith("from ")]
    code = "\n".join(imports) + "\nimport sys\nprint({'scipy', 'sklearn', 'pandas', 'sympy'} & set(sys.modules))"
    assert run(code) == "set()"


def test_a_comparison_imports_no_torch_either():
    """A job with torch would take ten times as long, for each cell."""
    imports = [line for line in (ROOT / "scripts/compare.py").read_text().splitlines() if line.startswith("from ")]
    code = "\n".join(imports) + "\nimport sys\nprint({'torch', 'scipy', 'sklearn', 'pandas'} & set(sys.modules))"
    assert run(code) == "set()"


def test_a_clock_counts_every_second_to_one_part(monkeypatch):
    now = 1.0
    monkeypatch.setattr("unlearning.clocks.time.process_time", lambda: now)
    clock = Clock()
    assert clock.switch("imports") == "start-up"
    now = 3.0
    assert clock.switch("training") == "imports"
    now = 7.0
    clock.switch("files")
    now = 7.5
    clock.switch("training")
    now = 8.0
    assert str(clock) == "start-up 1.00, imports 2.00, files 0.50, training 4.50, evaluation 0.00, other 0.00"


def test_the_peak_of_memory_is_that_of_the_job_and_not_of_its_parent():
    """Snakemake with a large plan needs more than a small job; a child's peak in getrusage begins with its parent's."""
    job = "from unlearning.workflow.job import _peak_memory_mb; print(_peak_memory_mb())"
    code = (
        "import subprocess, sys\n"
        "held = bytearray(400_000_000)\n"
        f"print(subprocess.run([sys.executable, '-c', {job!r}], text=True, capture_output=True).stdout)"
    )
    assert 5 < float(run(code)) < 100
