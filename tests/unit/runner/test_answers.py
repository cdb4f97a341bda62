"""Whether the saved weights give the answers that the model gave."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from unlearning.data.batches import Normalisation, TensorData
from unlearning.runner.answers import PROBED, differs_from_its_weights, probe_of

NAN = float("nan")


@pytest.mark.parametrize(("last", "is_lost"), [((9.0, 9.0), False), ((9.05, 9.0), False), ((9.5, 9.0), True)])
def test_rounding_is_no_effect(last, is_lost):
    answers, of_weights = (torch.tensor([0.0, logit]) for logit in last)
    assert (differs_from_its_weights(answers, of_weights) is not None) == is_lost


def test_weights_that_give_no_finite_answer_are_another_failure():
    assert differs_from_its_weights(torch.tensor([1.0]), torch.tensor([NAN])) is None
    assert differs_from_its_weights(torch.tensor([NAN]), torch.tensor([1.0])) is not None


def test_the_images_to_compare_answers_on_do_not_depend_on_their_places_in_the_file():
    random_stream = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (100, 4, 4, 1), generator=random_stream, dtype=torch.uint8)
    labels = torch.arange(100) % 4
    data = TensorData(images, labels, images, labels, Normalisation(torch.zeros(1), torch.ones(1)), 4, 1)
    order = torch.randperm(100, generator=random_stream)
    reordered = replace(data, train_images=images[order], train_labels=labels[order])
    first, second = (
        probe_of(its, {"retain_train": places(its.train_labels != 0), "forget_train": places(its.train_labels == 0)})
        for its in (data, reordered)
    )
    assert torch.equal(first, second)
    assert len(first) == 2 * PROBED


def test_to_choose_them_copies_no_data_set():
    images = torch.zeros((20_000, 32, 32, 3), dtype=torch.uint8)
    labels = torch.arange(20_000) % 10
    data = TensorData(images, labels, images, labels, Normalisation(torch.zeros(3), torch.ones(3)), 10, 3)
    few, all_of_them = (allocated_for_a_probe(data, np.arange(count)) for count in (10, 20_000))
    assert all_of_them < few + images.nbytes / 10


def allocated_for_a_probe(data, indices):
    """Return how many bytes torch allocates while a probe is chosen."""
    with torch.profiler.profile(profile_memory=True) as profiler:
        probe_of(data, {"retain_train": indices, "forget_train": indices[:10]})
    return sum(max(0, event.self_cpu_memory_usage) for event in profiler.key_averages())


def places(chosen):
    return np.flatnonzero(chosen.numpy())
