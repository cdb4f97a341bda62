"""Streams of random numbers: one per purpose and seed, the same in every process."""

import subprocess
import sys

import torch
from project import ROOT

from unlearning.seeds import stream_seed
from unlearning.streams import generator, read_global_streams, seed_global_streams, set_global_streams


def test_each_purpose_and_seed_has_a_stream_of_its_own():
    purposes = ["initialisation", "dropout", "training batches", "retain batches", "forget batches", "method/scrub"]
    seeds = {stream_seed(seed, purpose) for seed in (0, 1, 42, 2**32 - 1) for purpose in purposes}
    assert len(seeds) == 4 * len(purposes)
    assert stream_seed(42, "method", "scrub") == stream_seed(42, "method/scrub")


def test_a_stream_does_not_depend_on_what_others_draw():
    expected = torch.rand(5, generator=generator(1, "retain batches"))
    seed_global_streams(1, "method", "greedy")
    torch.rand(1000)
    generator(1, "forget batches").seed()
    assert torch.equal(torch.rand(5, generator=generator(1, "retain batches")), expected)


def test_a_stream_is_the_same_in_every_process():
    code = "from unlearning.streams import stream_seed; print(stream_seed(42, 'initialisation'))"
    printed = [
        subprocess.run(
            [sys.executable, "-c", code],
            env={"PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(ROOT / "scripts")},
            text=True,
            capture_output=True,
            check=True,
        ).stdout
        for hash_seed in ("0", "7")
    ]
    assert printed == [f"{stream_seed(42, 'initialisation')}\n"] * 2


def test_of_several_devices_the_jobs_own_is_kept_and_set(monkeypatch):
    """Another run may see one device where this one sees two. There is none here, so torch's functions are replaced."""
    set_to = []
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_rng_state", lambda: torch.tensor([7]))
    monkeypatch.setattr(torch.cuda, "set_rng_state", lambda state: set_to.append(state.tolist()))
    kept = read_global_streams()
    set_global_streams(kept)
    set_global_streams(kept | {"cuda": [torch.tensor([8]), torch.tensor([9])]})  # of an earlier version
    assert set_to == [[7], [8]]
