"""The pinned versions: one lock for pip, and the conda environment with the same versions."""

import re

from project import ROOT


def pins(text):
    """Return the names and versions in lines such as "- numpy==2.4.6  # reason"."""
    return dict(re.findall(r"^\s*(?:- )?([\w.-]+)==([^\s#]+)", text, re.MULTILINE))


def test_the_lock_pins_every_direct_dependency_and_torch_in_any_build():
    lock = (ROOT / "requirements.lock").read_text()
    direct = re.findall(r"^([\w-]+)", (ROOT / "requirements.txt").read_text(), re.MULTILINE)
    assert set(direct) <= set(pins(lock))
    assert pins(lock)["torch"] == "2.13.0"  # without +cpu, because a CUDA build would not match it
    lines = [line for line in lock.splitlines() if line and not line.lstrip().startswith("#")]
    assert len(lines) == len(pins(lock))


def test_the_conda_environment_has_the_versions_of_the_lock():
    conda, lock = (pins((ROOT / name).read_text()) for name in ("envs/unlearning.yaml", "requirements.lock"))
    assert {"torch", "torchvision", "scikit-learn", "pandas"} <= set(conda)
    assert conda.items() <= lock.items()
