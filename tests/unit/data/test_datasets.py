"""Data set files and their division into retain and forget set."""

import re
import zipfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unlearning.data.datasets import DataFile, class_split, read_dataset, read_labels
from unlearning.errors import UserError


def write(path, arrays):
    np.savez(path, **arrays)
    return path


def test_grey_images_get_a_channel_axis_and_labels_become_flat(tmp_path, arrays):
    arrays["train_labels"] = arrays["train_labels"][:, np.newaxis]  # as in MedMNIST
    data = read_dataset(write(tmp_path / "d.npz", arrays), classes=3)
    assert data.train_images.shape == (30, 8, 8, 1)
    assert data.channels == 1
    np.testing.assert_array_equal(data.train_labels, arrays["train_labels"].ravel())
    assert data.train_labels.dtype == np.int64
    np.testing.assert_array_equal(data.test_images[..., 0], arrays["test_images"])


def test_colour_images_are_read_as_they_are(tmp_path, arrays):
    for part in ("train", "test"):
        arrays[f"{part}_images"] = np.repeat(arrays[f"{part}_images"][..., np.newaxis], 3, axis=-1)
    assert read_dataset(write(tmp_path / "d.npz", arrays), classes=3).channels == 3


BAD_ARRAYS = {
    "float images": ("train_images", lambda a: a / 255, "uint8"),
    "one image as a matrix": ("train_images", lambda a: a[0], r"shape \(8, 8\)"),
    "five axes": ("test_images", lambda a: a[..., None, None], "shape"),
    "two channels": ("test_images", lambda a: np.stack([a, a], -1), "shape"),
    "no images": ("test_images", lambda a: a[:0], "empty"),
    "float labels": ("train_labels", lambda a: a.astype(float), "integers"),
    "one label too few": ("test_labels", lambda a: a[1:], r"\(12,\)"),
    "two labels an image": ("test_labels", lambda a: np.stack([a, a], -1), "shape"),
    "a label above the classes": ("train_labels", lambda a: a + 1, "label 3"),
    "a negative label": ("test_labels", lambda a: a.astype(int) - 1, "label -1"),
    "objects": ("train_images", lambda a: np.array([{"x": 1}] * 30, dtype=object), "Python objects"),
}


@pytest.mark.parametrize("case", BAD_ARRAYS)
def test_a_bad_array_is_refused_in_one_line_that_names_file_and_array(tmp_path, arrays, case):
    name, spoil, reason = BAD_ARRAYS[case]
    arrays[name] = spoil(arrays[name])
    path = write(tmp_path / "mine.npz", arrays)
    with pytest.raises(UserError, match=reason) as caught:
        read_dataset(path, classes=3)
    message = str(caught.value)
    assert str(path) in message
    assert name in message
    assert "\n" not in message


@pytest.mark.parametrize("name", ["train_images", "train_labels", "test_images", "test_labels"])
def test_a_missing_array_is_named(tmp_path, arrays, name):
    del arrays[name]
    with pytest.raises(UserError, match=f"mine.npz: array {name} is missing"):
        read_dataset(write(tmp_path / "mine.npz", arrays), classes=3)


def test_train_and_test_images_of_different_shape_are_refused(tmp_path, arrays):
    arrays["test_images"] = arrays["test_images"][:, :7]
    with pytest.raises(UserError, match="differ in image shape"):
        read_dataset(write(tmp_path / "mine.npz", arrays), classes=3)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9, 0.999])
def test_a_truncated_file_is_refused(tmp_path, arrays, share):
    path = write(tmp_path / "mine.npz", arrays)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(UserError, match=r"mine\.npz: not a whole \.npz file"):
        read_dataset(path, classes=3)


def test_damaged_bytes_inside_an_array_are_noticed(tmp_path, arrays):
    path = write(tmp_path / "mine.npz", arrays)
    with zipfile.ZipFile(path) as file:
        start = file.getinfo("train_images.npy").header_offset
    content = bytearray(path.read_bytes())
    content[start + 400] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(UserError, match="train_images is damaged"):
        read_dataset(path, classes=3)


def test_a_plain_npy_file_and_a_missing_file_are_refused(tmp_path, arrays):
    with (tmp_path / "mine.npz").open("wb") as file:
        np.save(file, arrays["train_images"])
    with pytest.raises(UserError, match=r"not a whole \.npz"):
        read_labels(tmp_path / "mine.npz", classes=3)
    with pytest.raises(UserError, match="no such file"):
        read_labels(tmp_path / "other.npz", classes=3)


labels = st.lists(st.integers(0, 3), min_size=2, max_size=60).map(np.array)


@given(labels, labels, st.integers(0, 3))
def test_a_split_divides_every_image_by_its_class(train, test, forget_class):
    parts = {"train": train, "test": test}
    if any((y == forget_class).all() or (y != forget_class).all() for y in parts.values()):
        with pytest.raises(UserError, match=f"class {forget_class}; choose another class"):
            class_split(train, test, forget_class)
        return
    split = class_split(train, test, forget_class)
    for part, y in parts.items():
        retain, forget = split[f"retain_{part}"], split[f"forget_{part}"]
        assert sorted([*retain, *forget]) == list(range(len(y)))
        assert (y[forget] == forget_class).all()
        assert (y[retain] != forget_class).all()


@pytest.mark.parametrize(
    ("images", "reason"),
    [
        (np.zeros((30, 8, 8), np.uint8), "values from 0 to 0 only; were they floats from 0 to 1? multiply by 255"),
        (np.arange(1920).reshape(30, 8, 8) % 2, "values from 0 to 1 only; were they floats from 0 to 1?"),
        (np.full((30, 8, 8), 200), "values from 200 to 200 only; all images look alike"),
        (200 + np.arange(1920).reshape(30, 8, 8) % 3, "values from 200 to 202 only; all images look alike"),
    ],
)
@pytest.mark.parametrize("name", ["train_images", "test_images"])
def test_images_with_nothing_to_see_are_refused_with_the_likely_reason(tmp_path, arrays, name, images, reason):
    """Without this check, black images would give a table with a row per method."""
    path = write(tmp_path / "black.npz", arrays | {name: images[: len(arrays[name])].astype(np.uint8)})
    with pytest.raises(UserError, match=re.escape(f"black.npz: {name} has {reason}")):
        read_dataset(path, classes=3)


@pytest.mark.parametrize("name", ["train_images", "test_images"])
def test_all_but_a_few_images_of_one_colour_are_refused(tmp_path, arrays, name):
    images = np.zeros((600, 8, 8), np.uint8)
    images[0, 0, 0] = 255
    labels = np.arange(600, dtype=np.uint8) % 3
    path = write(tmp_path / "plain.npz", arrays | {name: images, name.replace("images", "labels"): labels})
    with pytest.raises(UserError, match=rf"plain\.npz: {name}: 599 of 600 images are of one colour"):
        read_dataset(path, classes=3)
    images[:6, 0, 0] = 255  # one image in a hundred shows something
    path = write(tmp_path / "plain.npz", arrays | {name: images, name.replace("images", "labels"): labels})
    assert len(getattr(read_dataset(path, classes=3), name)) == 600


def test_coloured_images_of_one_colour_are_refused(tmp_path, arrays):
    colours = np.random.default_rng(0).integers(0, 256, (30, 1, 1, 3), dtype=np.uint8)
    plain = np.broadcast_to(colours, (30, 8, 8, 3))
    other = np.random.default_rng(1).integers(0, 256, (12, 8, 8, 3), dtype=np.uint8)
    path = write(tmp_path / "plain.npz", arrays | {"train_images": plain, "test_images": other})
    with pytest.raises(UserError, match=r"plain\.npz: train_images: 30 of 30 images are of one colour"):
        read_dataset(path, classes=3)


def test_images_that_are_all_the_same_are_refused(tmp_path, arrays):
    same = np.repeat(arrays["test_images"][:1], 12, axis=0)
    path = write(tmp_path / "same.npz", arrays | {"test_images": same})
    with pytest.raises(UserError, match=r"same\.npz: test_images: all 12 images are the same"):
        read_dataset(path, classes=3)


def test_a_damaged_file_that_nothing_makes_again_is_not_to_be_deleted(tmp_path):
    (tmp_path / "mine.npz").write_bytes(b"no archive")
    with pytest.raises(UserError, match=r"put a whole one in its place$"):
        read_dataset(tmp_path / "mine.npz", classes=3)
    with pytest.raises(UserError, match=r"delete it to have it made again$"):
        read_dataset(DataFile(tmp_path / "mine.npz", comes_again=True), classes=3)


def test_a_larger_data_set_may_be_allowed(tmp_path, arrays):
    path = write(tmp_path / "large.npz", arrays)
    with pytest.raises(
        UserError, match=r"it unpacks to \S+e-06 GB; a data set may have 1e-06 GB, or what its entry says"
    ):
        read_dataset(DataFile(path, largest_gb=1e-6), classes=3)
    assert read_dataset(DataFile(path, largest_gb=1e-3), classes=3).classes == 3
