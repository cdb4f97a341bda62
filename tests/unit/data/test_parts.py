"""Parts of a data set: fewer training images, or some training images set aside for validation."""

import numpy as np
import pytest
from commands.subset import main
from hypothesis import given
from hypothesis import strategies as st

from unlearning.data.datasets import DataFile, read_dataset
from unlearning.data.parts import carve, part_of, part_of_each_class
from unlearning.errors import UserError


def test_a_file_that_is_there_is_not_overwritten(tmp_path, arrays, capsys):
    """This matters most for the data set itself."""
    own = tmp_path / "own.npz"
    np.savez(own, **arrays)
    before = own.read_bytes()
    assert main([str(own), "6", str(own), "--classes", "3"]) == 1
    assert f"{own} is there already; name a file that is not, or remove it" in capsys.readouterr().err
    assert own.read_bytes() == before


@given(st.lists(st.integers(0, 4), min_size=1, max_size=60), st.integers(1, 10), st.booleans())
def test_of_each_class_as_many_images_are_kept(labels, count, at_random):
    labels = np.array(labels)
    kept = part_of_each_class(labels, count, at_random)
    assert (np.diff(kept) > 0).all()
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        of_class = [index for index in kept if labels[index] == label]
        assert len(of_class) == min(count, len(members))
        assert at_random or of_class == list(members[:count])
    assert np.array_equal(part_of_each_class(labels, count, at_random), kept)


def test_at_random_the_end_of_a_file_counts_as_much_as_its_beginning():
    kept = part_of_each_class(np.zeros(10_000), 2000, at_random=True)
    assert 4800 < kept.mean() < 5200


def test_the_written_data_set_has_the_kept_training_images_and_all_test_images(tmp_path, arrays):
    source, target = tmp_path / "whole.npz", tmp_path / "small.npz"
    np.savez(source, **arrays)
    assert main([str(source), "6", str(target), "--classes", "3", "--first"]) == 0
    small = np.load(target)
    assert small["train_labels"].tolist() == [0, 1, 2, 0, 1, 2]  # the classes take turns in the fixture
    assert np.array_equal(small["train_images"].squeeze(), arrays["train_images"][:6])
    assert np.array_equal(small["test_images"].squeeze(), arrays["test_images"])
    assert np.array_equal(small["test_labels"], arrays["test_labels"])


def test_a_part_in_the_configuration_is_the_file_that_make_subset_writes(tmp_path, arrays):
    np.savez(tmp_path / "whole.npz", **arrays)
    assert main([str(tmp_path / "whole.npz"), "12", str(tmp_path / "small.npz"), "--classes", "3"]) == 0
    by_command = np.load(tmp_path / "small.npz")
    part = part_of(read_dataset(tmp_path / "whole.npz", 3), per_class=4)
    assert set(part) == set(by_command)
    assert all(np.array_equal(part[name], by_command[name]) for name in part)
    assert np.bincount(part["train_labels"]).tolist() == [4, 4, 4]


def test_a_part_may_have_fewer_test_images_as_well(tmp_path, arrays):
    np.savez(tmp_path / "whole.npz", **arrays)
    data = read_dataset(tmp_path / "whole.npz", 3)
    part = part_of(data, per_class=10, test_per_class=2)
    assert np.array_equal(part["train_images"], data.train_images)
    assert np.bincount(part["test_labels"]).tolist() == [2, 2, 2]
    whole = [image.tobytes() for image in data.test_images]
    for image, label in zip(part["test_images"], part["test_labels"], strict=True):
        assert data.test_labels[whole.index(image.tobytes())] == label


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"per_class": 10}, r"d\.per_class: 10, but class 2 has 9 train images; write at most that"),
        ({"per_class": 9, "test_per_class": 5}, r"d\.test_per_class: 5, but class 0 has 4 test images"),
    ],
)
def test_a_part_that_is_larger_than_a_class_is_refused(tmp_path, arrays, asked, message):
    arrays["train_labels"][29] = 0
    np.savez(tmp_path / "whole.npz", **arrays)
    with pytest.raises(UserError, match=message):
        part_of(read_dataset(tmp_path / "whole.npz", 3), **asked, where="d")


@pytest.mark.parametrize(
    ("images", "message"),
    [
        ("2", "2 images are less than one of each of the 3 classes"),
        ("31", "it has 30 training images, not 31"),
        ("7", "7 images are not as many of each of the 3 classes; write 6"),
    ],
)
def test_a_number_that_cannot_be_is_refused(tmp_path, arrays, capsys, images, message):
    np.savez(tmp_path / "whole.npz", **arrays)
    assert main([str(tmp_path / "whole.npz"), images, str(tmp_path / "small.npz"), "--classes", "3"]) == 1
    assert message in capsys.readouterr().err
    assert not (tmp_path / "small.npz").exists()


def test_a_class_with_fewer_images_is_named(tmp_path, arrays, capsys):
    arrays["train_labels"][29] = 0
    np.savez(tmp_path / "whole.npz", **arrays)
    assert main([str(tmp_path / "whole.npz"), "30", str(tmp_path / "small.npz"), "--classes", "3"]) == 1
    assert "whole.npz: class 2 has 9 training images; write at most 27" in capsys.readouterr().err
    assert not (tmp_path / "small.npz").exists()


def test_a_large_data_set_can_be_cut(tmp_path, arrays, monkeypatch):
    np.savez(tmp_path / "whole.npz", **arrays)
    monkeypatch.setattr(DataFile.__init__, "__defaults__", (1e-9, False))  # what a data set may have
    with pytest.raises(UserError, match="it unpacks to"):
        read_dataset(tmp_path / "whole.npz", 3)
    assert main([str(tmp_path / "whole.npz"), "6", str(tmp_path / "small.npz"), "--classes", "3"]) == 0


@pytest.mark.parametrize("content", [None, b"no data set"])
def test_a_source_that_is_no_data_set_is_named(tmp_path, capsys, content):
    source = tmp_path / "whole.npz"
    if content is not None:
        source.write_bytes(content)
    assert main([str(source), "6", str(tmp_path / "small.npz")]) == 1
    assert f"{source}: " in capsys.readouterr().err


@given(st.lists(st.integers(2, 30), min_size=2, max_size=5), st.floats(0.01, 0.5), st.booleans())
def test_the_validation_part_is_of_the_training_part_alone_and_of_each_class_alike(counts, share, in_columns):
    labels = (
        np.repeat(np.arange(len(counts)), counts)[:, None] if in_columns else np.repeat(np.arange(len(counts)), counts)
    )
    images = np.arange(len(labels))[:, None, None]  # all images are different
    unseen = {"test_images": np.full((1, 1, 1), -1), "test_labels": np.zeros(1)}
    carved = carve({"train_images": images, "train_labels": labels} | unseen, share)
    parts = [carved["train_images"].ravel(), carved["test_images"].ravel()]
    assert sorted(np.concatenate(parts)) == list(range(len(labels)))  # each image once, and no image of the test part
    for part, chosen in zip(("train", "test"), parts, strict=True):
        assert np.array_equal(carved[f"{part}_labels"].ravel(), labels.ravel()[chosen])
    for label, count in enumerate(counts):
        of_class = (carved["test_labels"].ravel() == label).sum()
        assert 1 <= of_class <= count - 1
        assert abs(of_class - share * count) <= 1
    again = carve({"train_images": images, "train_labels": labels} | unseen, share)
    assert np.array_equal(again["test_images"], carved["test_images"])


def test_a_class_with_one_image_cannot_be_divided():
    arrays = {"train_images": np.zeros((3, 1, 1)), "train_labels": np.array([0, 0, 1])}
    with pytest.raises(UserError, match="class 1 has one training image"):
        carve(arrays, 0.2)
