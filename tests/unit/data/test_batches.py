"""Augmentation and batching, compared with a loop over single images."""

import tracemalloc

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from unlearning.data import batches as batches_module
from unlearning.data.batches import Batches, Normalisation, TensorData, crop_and_flip, fit_images
from unlearning.data.datasets import DataSet
from unlearning.errors import UserError
from unlearning.seeds import stream_seed
from unlearning.streams import generator, seed_global_streams

PROTOCOL = {"batch_size": 500, "crop_padding": 0, "flip": False}
IDENTITY = Normalisation(torch.zeros(1), torch.ones(1))


def numbered_images(count, size=4, channels=1):
    """Return images that are all different, each with one constant pixel value: the number of the image."""
    return torch.arange(count, dtype=torch.uint8)[:, None, None, None].expand(count, size, size, channels).contiguous()


def batches(images, batch_size=4, seed=0, **augmentation):
    augmentation = {"crop_padding": 0, "flip": False} | augmentation
    labels = torch.arange(len(images))
    return Batches(images, labels, IDENTITY, batch_size, random_stream=generator(seed, "test"), **augmentation)


@given(st.integers(1, 6), st.integers(0, 3), st.sampled_from([1, 3]), st.integers(0, 2**31))
def test_each_image_gets_its_own_crop_and_flip(count, padding, channels, seed):
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 256, (count, 5, 6, channels), dtype=np.uint8)
    rows, columns = rng.integers(0, 2 * padding + 1, (2, count))
    flips = rng.random(count) < 0.5
    result = crop_and_flip(*map(torch.from_numpy, (images, rows, columns, flips)), padding).numpy()
    for i in range(count):
        padded = np.pad(images[i], ((padding, padding), (padding, padding), (0, 0)))
        expected = padded[rows[i] : rows[i] + 5, columns[i] : columns[i] + 6]
        np.testing.assert_array_equal(result[i], expected[:, ::-1] if flips[i] else expected)


@given(st.integers(1, 50), st.integers(1, 20))
def test_an_epoch_shows_every_image_once_and_keeps_the_short_batch(count, batch_size):
    loader = batches(numbered_images(count), batch_size)
    seen = list(loader.epoch())
    assert len(seen) == len(loader)
    assert [len(labels) for _, labels in seen[:-1]] == [batch_size] * (len(seen) - 1)
    assert sorted(torch.cat([labels for _, labels in seen]).tolist()) == list(range(count))
    for images, labels in seen:  # images and labels stay together
        assert torch.equal(images[:, 0, 0, 0].long(), labels)


def test_epochs_differ_and_repeat_with_the_seed():
    def order(loader):
        return torch.cat([labels for _, labels in loader.epoch()]).tolist()

    loader, same, other = (
        batches(numbered_images(50)),
        batches(numbered_images(50)),
        batches(numbered_images(50), seed=1),
    )
    first, second = order(loader), order(loader)
    assert first != second
    torch.rand(1000)  # draws of a method from the global stream change nothing
    assert [order(same), order(same)] == [first, second]
    assert order(other) != first


def test_half_of_the_images_are_flipped_and_all_offsets_occur():
    corner = torch.zeros(4000, 3, 3, 1, dtype=torch.uint8)
    corner[:, 1, 0] = 255
    images = next(batches(corner, 4000, flip=True).epoch())[0]
    assert images[:, 0, 1, 2].eq(255).float().mean().item() == pytest.approx(0.5, abs=0.05)
    centre = torch.zeros(4000, 3, 3, 1, dtype=torch.uint8)
    centre[:, 1, 1] = 255
    images = next(batches(centre, 4000, crop_padding=1).epoch())[0]
    np.testing.assert_allclose(images.eq(255).float().mean(0)[0], np.full((3, 3), 1 / 9), atol=0.03)


def test_forever_starts_again_with_another_order():
    stream = batches(numbered_images(50), 30).forever()
    labels = [next(stream)[1] for _ in range(6)]
    assert [len(chosen) for chosen in labels] == [30, 20] * 3
    epochs = [torch.cat(labels[i : i + 2]).tolist() for i in (0, 2, 4)]
    assert all(sorted(order) == list(range(50)) for order in epochs)
    assert epochs[0] != epochs[1] != epochs[2]


@given(st.sampled_from([1, 3]), st.integers(0, 2**31))
def test_normalisation_is_per_channel_mean_and_deviation(channels, seed):
    images = np.random.default_rng(seed).integers(0, 256, (7, 4, 4, channels), dtype=np.uint8)
    normalisation = Normalisation.of(images)
    np.testing.assert_allclose(normalisation.mean, images.mean((0, 1, 2)), rtol=1e-5)
    np.testing.assert_allclose(normalisation.std, images.std((0, 1, 2)), rtol=1e-5)
    applied = normalisation.apply(torch.from_numpy(images))
    assert applied.is_contiguous(memory_format=torch.channels_last)
    expected = (images - images.mean((0, 1, 2))) / images.std((0, 1, 2))
    np.testing.assert_allclose(applied.permute(0, 2, 3, 1), expected, atol=1e-5)


@pytest.mark.parametrize(("name", "black", "white"), [("half", -1.0, 1.0), ("none", 0.0, 1.0)])
def test_a_fixed_normalisation_does_not_look_at_the_images(name, black, white):
    images = np.array([0, 0, 0, 255], dtype=np.uint8).reshape(4, 1, 1, 1)
    applied = Normalisation.named(name, images).apply(torch.from_numpy(images))
    assert applied.flatten().tolist() == [black, black, black, white]


def test_unlearning_takes_images_as_they_are_if_the_protocol_says_so():
    images = np.random.default_rng(0).integers(0, 256, (8, 6, 6, 1), dtype=np.uint8)
    data = TensorData.on("cpu", DataSet(images, np.arange(8), images, np.arange(8), 8), 6, "pad", "none")
    protocol = {"batch_size": 8, "crop_padding": 2, "flip": True}
    batches = {}
    for augment in (True, False):
        settings = protocol | {"unlearn": {"augment": augment}}
        ((shown, labels),) = data.unlearning_batches(np.arange(8), settings, generator(0, "test")).epoch()
        batches[augment] = shown[labels.argsort()]
    plain = data.normalisation.apply(data.train_images)
    assert torch.equal(batches[False], plain)
    assert not torch.equal(batches[True], plain)


def test_images_are_resized_some_at_a_time_to_what_they_would_be_all_at_once(monkeypatch):
    images = np.random.default_rng(0).integers(0, 256, (10, 9, 7, 3), dtype=np.uint8)
    at_once, resize, sizes = fit_images(images, 5, "resize"), batches_module.F.interpolate, []
    monkeypatch.setattr(batches_module, "AT_A_TIME", 4)
    monkeypatch.setattr(
        batches_module.F,
        "interpolate",
        lambda part, *rest, **more: (sizes.append(len(part)), resize(part, *rest, **more))[1],
    )
    assert torch.equal(fit_images(images, 5, "resize"), at_once)
    assert sizes == [4, 4, 2]


def test_the_images_of_a_data_set_lie_in_memory_once(tmp_path):
    """From the file to the batches of a subset, there is extra memory for one batch, but not for a copy."""
    images = np.random.default_rng(0).integers(0, 256, (20_000, 32, 32, 3), dtype=np.uint8)
    few = {"train_labels": np.arange(20_000) % 10, "test_images": images[:10], "test_labels": np.arange(10)}
    np.savez(tmp_path / "large.npz", train_images=images, **few)
    size = images.nbytes
    del images, few
    tracemalloc.start()  # it also counts NumPy's memory
    data = TensorData.read(
        tmp_path / "large.npz", "cpu", classes=10, image_size=32, fit="pad", normalisation="channels"
    )
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # While mean and deviation are measured, a part of the images is counted in integers of eight bytes.
    assert peak < size + 8 * batches_module.AT_A_TIME * 32 * 32 * 1.5 + 5e6
    retained = data.train_batches(np.arange(5_000, 20_000), PROTOCOL, generator(0, "test"))
    assert retained.images is data.train_images
    assert torch.equal(torch.cat([labels for _, labels in retained.epoch()]).bincount(), torch.full((10,), 1500))


def test_a_constant_channel_does_not_become_nan():
    assert torch.isfinite(Normalisation.of(np.full((2, 3, 3, 1), 9, np.uint8)).apply(numbered_images(2))).all()


def test_padding_keeps_the_pixels_in_the_middle():
    images = np.random.default_rng(0).integers(1, 256, (2, 28, 28, 1), dtype=np.uint8)
    fitted = fit_images(images, 32, "pad").numpy()
    np.testing.assert_array_equal(fitted[:, 2:30, 2:30], images)
    assert fitted.sum() == images.sum()


@pytest.mark.parametrize("size", [16, 4])
def test_resizing_keeps_the_mean_and_the_type(size):
    images = np.random.default_rng(0).integers(0, 256, (3, 8, 8, 3), dtype=np.uint8)
    fitted = fit_images(images, size, "resize")
    assert fitted.shape == (3, size, size, 3)
    assert fitted.dtype == torch.uint8
    assert fitted.float().mean().item() == pytest.approx(images.mean(), abs=4)


def test_images_that_are_too_large_to_pad_are_refused_with_advice():
    images, labels = np.zeros((2, 64, 64, 1), np.uint8), np.zeros(2, np.int64)
    with pytest.raises(UserError, match=r"64 x 64 do not fit into 32 x 32.*fit: resize"):
        TensorData.on("cpu", DataSet(images, labels, images, labels, 2), 32, "pad", "channels")


def test_streams_depend_on_seed_and_purpose_alone():
    assert stream_seed(42, "init") == stream_seed(42, "init")
    assert len({stream_seed(seed, purpose) for seed in (1, 2) for purpose in ("a", "b")}) == 4
    assert stream_seed(42, "method", "scrub") == 3440013255405534471  # the same on every machine and version
    seed_global_streams(1, "x")
    first = torch.rand(3)
    seed_global_streams(1, "x")
    assert torch.equal(first, torch.rand(3))


@given(st.integers(1, 9), st.integers(1, 5), st.integers(0, 25))
def test_endless_batches_go_on_from_any_place(count, batch_size, taken):
    source = batches(numbered_images(count), batch_size, crop_padding=1, flip=True).forever()
    for _ in range(taken):
        next(source)
    place = source.place()
    expected = [next(source) for _ in range(7)]
    again = batches(numbered_images(count), batch_size, seed=1, crop_padding=1, flip=True).forever()
    again.go_to(place)
    for (images, labels), (other_images, other_labels) in zip(expected, (next(again) for _ in range(7)), strict=True):
        assert torch.equal(images, other_images)
        assert torch.equal(labels, other_labels)
