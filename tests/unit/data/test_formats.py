"""make dataset: from what people have to a file that the workflow reads, with small files of each kind."""

import gzip
import json
import pickle
import struct

import numpy as np
import pytest
import yaml
from commands.dataset import main
from PIL import Image
from project import ROOT

from unlearning.config.checks import check_request
from unlearning.config.reading import CONFIG, read_config
from unlearning.data.datasets import read_dataset
from unlearning.data.sources import import_torchvision_datasets

RANDOM = np.random.default_rng(0)


def picture(height=9, width=9, channels=3):
    return RANDOM.integers(0, 256, (height, width, channels)[: 2 + (channels == 3)], dtype=np.uint8)


def save(path, array, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path, **options)


@pytest.fixture
def pictures(tmp_path):
    """Return a folder with train/ and test/, 5 and 2 colour pictures of cats and dogs, and all arrays by file."""
    arrays = {}
    for part, count in (("train", 5), ("test", 2)):
        for name in ("cat", "dog"):
            for number in range(count):
                path = tmp_path / "pets" / part / name / f"{number}.png"
                arrays[path] = picture()
                save(path, arrays[path])
    return tmp_path / "pets", arrays


@pytest.fixture
def make(tmp_path, capsys):
    """Return a function that calls the command: what it prints, or its error."""
    (tmp_path / "own.yaml").write_text(f"data_dir: {json.dumps(str(tmp_path / 'data'))}\n")

    def call(name, source, *options):
        status = main([name, str(source), *options, "--configfile", str(tmp_path / "own.yaml")])
        printed = capsys.readouterr()
        if status == 0:
            return printed.out
        (line,) = printed.err.splitlines()
        assert line.startswith("error: ")
        data = tmp_path / "data"
        assert [path.name for path in data.iterdir() if path.name.startswith(".")] == [] if data.exists() else True
        return line.removeprefix("error: ")

    return call


def made(tmp_path, name="x", classes=2):
    return read_dataset(tmp_path / "data" / f"{name}.npz", classes)


def test_a_folder_of_pictures_becomes_a_data_set_that_runs_with_the_printed_lines(tmp_path, pictures, make):
    folder, arrays = pictures
    printed = make("pets", folder)
    data = made(tmp_path, "pets")
    for part in ("train", "test"):
        images, labels = getattr(data, f"{part}_images"), getattr(data, f"{part}_labels")
        expected = [(array, path.parent.name) for path, array in arrays.items() if path.parent.parent.name == part]
        assert len(images) == len(expected)
        for image, label, (array, name) in zip(images, labels, expected, strict=True):
            assert np.array_equal(image, array)
            assert ["cat", "dog"][label] == name
    assert np.load(tmp_path / "data/pets.npz")["class_names"].tolist() == ["cat", "dog"]
    assert "2 classes, 9 x 9 colour" in printed
    assert "images per class: train 5 to 5, test 2 to 2" in printed
    (tmp_path / "mine.yaml").write_text("\n".join(printed.splitlines()[-4:]))
    config = read_config([CONFIG, tmp_path / "own.yaml", tmp_path / "mine.yaml"], {})
    assert (config.suite, config.chosen.benchmarks) == ("pets", ("resnet20-pets-class0",))
    assert len(config.suites["digits"].benchmarks) == 3  # a suite of its own: no other is changed
    assert config.datasets["pets"].fit == "resize"
    check_request(config, [])


def test_the_printed_suite_takes_the_place_of_no_other(tmp_path, pictures, make):
    """A suite named methods is there."""
    lines = yaml.safe_load("\n".join(make("methods", pictures[0]).splitlines()[-4:]))
    assert lines["suite"] == "own_methods"
    assert list(lines["suites"]) == ["own_methods"]


def test_the_same_files_give_the_same_bytes(tmp_path, pictures, make):
    make("x", pictures[0])
    make("y", pictures[0])
    assert (tmp_path / "data/x.npz").read_bytes() == (tmp_path / "data/y.npz").read_bytes()
    order = ["train_images", "train_labels", "test_images", "test_labels", "class_names"]
    assert np.load(tmp_path / "data/x.npz").files == order


def test_one_level_of_folders_is_split_by_a_stated_share_of_each_class(tmp_path, pictures, make):
    folder = pictures[0] / "train"
    assert "it has no test part; write TEST_SHARE=0.2" in make("x", folder)
    printed = make("x", folder, "--test-share", "0.4")
    assert "the test part is 40% of each class" in printed
    data = made(tmp_path)
    assert np.bincount(data.train_labels).tolist() == [3, 3]
    assert np.bincount(data.test_labels).tolist() == [2, 2]
    both = [image.tobytes() for part in (data.train_images, data.test_images) for image in part]
    assert set(both) == {array.tobytes() for path, array in pictures[1].items() if path.is_relative_to(folder)}
    make("y", folder, "--test-share", "0.4")
    assert np.array_equal(made(tmp_path, "y").test_images, data.test_images)
    assert "it has a test part; leave TEST_SHARE out" in make("z", pictures[0], "--test-share", "0.4")
    for file in list((folder / "cat").iterdir())[1:]:
        file.unlink()
    assert "class cat has one image; TEST_SHARE needs one to train on" in make("z", folder, "--test-share", "0.4")


def test_a_validation_part_is_left_out_with_a_word_or_is_the_test_part_if_there_is_none(tmp_path, pictures, make):
    folder = pictures[0]
    for name in ("cat", "dog"):
        save(folder / "Validation" / name / "1.png", picture())
    assert "left out: the validation part, 2 images" in make("x", folder)
    assert len(made(tmp_path).test_labels) == 4
    (folder / "test").rename(tmp_path / "away")
    assert "the validation part is the test part here" in make("y", folder)
    assert len(made(tmp_path, "y").test_labels) == 2
    (folder / "train").rename(tmp_path / "away2")
    assert "it has Validation/, but no train/" in make("z", folder)


def test_a_class_may_be_called_train(tmp_path, make):
    for name in ("bus", "train"):
        for number in range(5):
            save(tmp_path / "cars" / name / f"{number}.png", picture())
    make("x", tmp_path / "cars", "--test-share", "0.2")
    assert np.load(tmp_path / "data/x.npz")["class_names"].tolist() == ["bus", "train"]


def test_classes_that_are_numbers_are_in_the_order_of_the_numbers(tmp_path, make):
    for part in ("train", "test"):
        for name in ("10", "9", "2"):
            save(tmp_path / "numbers" / part / name / "1.png", np.full((4, 4), int(name) * 20, dtype=np.uint8))
            save(tmp_path / "numbers" / part / name / "2.png", picture(4, 4, 1))
    assert "4 x 4 grey" in make("x", tmp_path / "numbers")
    data = made(tmp_path, classes=3)
    assert data.train_images[::2, 0, 0, 0].tolist() == [40, 180, 200]
    assert data.train_labels[::2].tolist() == [0, 1, 2]


def test_pictures_of_several_sizes_need_a_size(tmp_path, pictures, make):
    folder = pictures[0]
    save(folder / "test/dog/large.png", np.full((40, 30, 3), 200, dtype=np.uint8))
    assert "the pictures have 2 sizes, 9 x 9 to 40 x 30; write SIZE=32" in make("x", folder)
    printed = make("x", folder, "--size", "16")
    assert "note: resized to 16 x 16, nothing cut off" in printed
    assert made(tmp_path).train_images.shape == (10, 16, 16, 3)
    assert (made(tmp_path).test_images == 200).all(axis=(1, 2, 3)).sum() == 1


def test_pictures_are_taken_as_they_are_seen(tmp_path, pictures, make):
    """Turned as the camera notes, on white where they are transparent, grey ones in colour among colour ones."""
    folder = pictures[0]
    turned = np.full((9, 9, 3), 255, dtype=np.uint8)
    turned[0] = 0  # the upper edge
    exif = Image.Exif()
    exif[0x0112] = 6  # "turn me by 90 degrees": the upper edge becomes the right one
    save(folder / "train/cat/a_turned.jpg", turned, quality=100, subsampling=0, exif=exif)
    save(folder / "train/cat/b_clear.png", np.dstack([picture(), np.zeros((9, 9), np.uint8)]))
    grey = picture(channels=1)
    save(folder / "train/cat/c_grey.png", grey)
    assert "what is transparent became white: train/cat/b_clear.png" in make("x", folder)
    images = made(tmp_path).train_images[5:8]
    assert images[0][:, -1].max() < 30
    assert images[0][:, :-1].min() > 225
    assert images[1].min() == 255
    assert np.array_equal(images[2], np.stack([grey] * 3, axis=-1))


def test_files_that_are_no_pictures_are_left_out_with_a_word(tmp_path, pictures, make):
    folder = pictures[0]
    (folder / "train/cat/notes.txt").write_text("five cats")
    (folder / "train/cat/.DS_Store").write_bytes(b"\0")
    for place in ("train/stray.png", "extra/emu/0.png", "train/cat/.thumbnails/0.png", ".cache/0.png"):
        save(folder / place, picture())
    printed = make("x", folder)
    assert "note: left out, no pictures by their names: train/cat/notes.txt\n" in printed
    assert "note: left out, in no folder of a class: extra/emu/0.png, train/stray.png\n" in printed
    assert len(made(tmp_path).train_labels) == 10


def test_pictures_that_cannot_be_read_are_named_and_nothing_is_written(tmp_path, pictures, make):
    folder = pictures[0]
    whole = (folder / "train/cat/0.png").read_bytes()
    (folder / "train/cat/0.png").write_bytes(whole[:-40])  # its head is whole
    assert "1 of 10 pictures cannot be read: train/cat/0.png; mend or remove" in make("x", folder)
    for number in range(5):
        (folder / f"train/dog/{number}.png").write_bytes(b"no picture")
    message = make("x", folder)
    assert "5 of 14 pictures cannot be read: train/dog/0.png, train/dog/1.png, train/dog/2.png and 2 more" in message
    assert not (tmp_path / "data/x.npz").exists()


def test_pictures_of_sixteen_bits_are_refused_instead_of_clipped(pictures, make):
    folder = pictures[0]
    save(folder / "train/cat/deep.png", np.full((9, 9), 40_000, dtype=np.uint16))
    assert "more than 8 bits per pixel: train/cat/deep.png; save them with 8 bits" in make("x", folder)


def test_a_class_without_pictures_or_without_test_pictures_is_named(tmp_path, pictures, make):
    folder = pictures[0]
    (folder / "train/emu").mkdir()
    assert "train/emu: the class has no picture" in make("x", folder)
    save(folder / "train/emu/1.png", picture())
    assert "class emu has no test image; each class needs some in both parts" in make("x", folder)
    for file in (folder / "train/emu", folder / "train/dog", folder / "test/dog"):
        file.rename(tmp_path / f"away{file.parent.name}{file.name}")
    assert "all images are of one class, cat" in make("x", folder)


def test_images_that_show_nothing_are_refused_and_their_folder_named(tmp_path, make):
    for part in ("train", "test"):
        for name in ("a", "b"):
            save(tmp_path / "flat" / part / name / "1.png", np.zeros((9, 9), np.uint8))
    message = make("x", tmp_path / "flat")
    assert message.startswith(f"{tmp_path / 'flat'}: train_images has values from 0 to 0 only")
    assert list((tmp_path / "data").iterdir()) == []


# --- names, numbers, paths


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("My-Pets", (), "NAME=My-Pets: lower-case letters, digits and underscores"),
        ("", (), "NAME=: lower-case letters"),
        ("x", ("--size", "big"), "SIZE=big: write a number from 8 to 256"),
        ("x", ("--size", "4"), "SIZE=4: write a number from 8 to 256"),
        ("x", ("--test-share", "20"), "TEST_SHARE=20: write a number from 0.01 to 0.9"),
        ("x", ("--test-share", "nan"), "TEST_SHARE=nan: write a number"),
        ("cifar10", (), "the configuration has datasets.cifar10 with 10 classes, and here are 2"),
    ],
)
def test_a_name_or_number_that_cannot_be_is_refused(tmp_path, pictures, make, name, options, message):
    assert message in make(name, pictures[0], *options)
    assert not (tmp_path / "data").exists()


def test_a_file_that_is_there_is_replaced_on_request_alone(tmp_path, pictures, make):
    (tmp_path / "data").mkdir()
    own = tmp_path / "data/x.npz"
    own.write_bytes(b"mine")
    assert "x.npz is there already; choose another NAME, or write FORCE=1" in make("x", pictures[0])
    assert own.read_bytes() == b"mine"
    (pictures[0] / "train/cat/0.png").write_bytes(b"no picture")
    assert "cannot be read" in make("x", pictures[0], "--force")
    assert own.read_bytes() == b"mine"  # a mistake leaves it
    (pictures[0] / "train/cat/0.png").unlink()
    make("x", pictures[0], "--force")
    assert len(made(tmp_path).train_labels) == 9


def test_the_name_of_a_part_is_refused(tmp_path, pictures, make):
    (tmp_path / "own.yaml").write_text("datasets: {few: {part_of: digits, per_class: 9}}\n")
    assert "NAME=few: a part of another data set in the configuration" in make("few", pictures[0])


def test_what_is_no_data_set_is_refused_with_what_to_write(tmp_path, make):
    assert "where are the images? write make dataset NAME=x FROM=path/to/them" in make("x", "")
    assert "nowhere: there is no such file or folder" in make("x", tmp_path / "nowhere")
    for name, advice in (("a.zip", "unpack it first"), ("a.txt", "name a folder, or a .npz file")):
        (tmp_path / name).write_bytes(b"")
        assert f"{name}: {advice}" in make("x", tmp_path / name)
    (tmp_path / "empty/folder").mkdir(parents=True)
    assert "empty: nothing in it is a data set: a folder per class with pictures" in make("x", tmp_path / "empty")


# --- MNIST's format idx


def idx(array, kind=8):
    return struct.pack(f">HBB{array.ndim}I", 0, kind, array.ndim, *array.shape) + array.tobytes()


def write_idx(folder, packed=True, test="t10k", labels_from=0, prefix=""):
    folder.mkdir(parents=True, exist_ok=True)
    arrays = {}
    for part, count in (("train", 12), (test, 6)):
        images = RANDOM.integers(0, 256, (count, 7, 5), dtype=np.uint8)
        labels = (np.arange(count) % 3 + labels_from).astype(np.uint8)
        for what, array in (("images", images), ("labels", labels)):
            content = idx(array)
            name = f"{prefix}{part}-{what}-idx{array.ndim}-ubyte" + (".gz" if packed else "")
            (folder / name).write_bytes(gzip.compress(content) if packed else content)
            arrays["train" if part == "train" else "test", what] = array
    return arrays


@pytest.mark.parametrize(
    ("packed", "test", "under"), [(True, "t10k", "."), (False, "test", "."), (False, "t10k", "MNIST/raw")]
)
def test_files_of_the_format_idx_are_read_packed_or_not(tmp_path, make, packed, test, under):
    arrays = write_idx(tmp_path / "given" / under, packed, test)
    assert "files of MNIST's format idx, 3 classes, 7 x 5 grey" in make("x", tmp_path / "given")
    data = made(tmp_path, classes=3)
    for (part, what), array in arrays.items():
        assert np.array_equal(getattr(data, f"{part}_{what}").squeeze(), array)


def test_labels_that_begin_at_one_are_moved_with_a_word(tmp_path, make):
    """As in EMNIST's letters."""
    write_idx(tmp_path / "letters", labels_from=1, prefix="emnist-letters-")
    assert "note: the labels 1, 2, 3 became 0 to 2" in make("x", tmp_path / "letters")
    assert set(made(tmp_path, classes=3).train_labels) == {0, 1, 2}
    write_idx(tmp_path / "letters", prefix="emnist-digits-")
    assert "files of several data sets: emnist-digits-, emnist-letters-" in make("y", tmp_path / "letters")


def test_an_idx_file_that_is_missing_cut_off_or_of_floats_is_named(tmp_path, make):
    folder = tmp_path / "given"
    write_idx(folder, packed=False)
    images = folder / "train-images-idx3-ubyte"
    whole = images.read_bytes()
    for content in (whole[:-1], b"", b"\x1f\x8bno gzip", idx(np.zeros((12, 7, 5), np.float32), kind=13)):
        images.write_bytes(content)
        assert "train-images-idx3-ubyte: not a whole file of the format idx" in make("x", folder)
    images.write_bytes(idx(np.zeros((11, 7, 5), np.uint8)))
    assert "11 train images, but 12 labels" in make("x", folder)
    images.unlink()
    assert "the file of the train images is missing" in make("x", folder)
    assert f"name the folder that it is in: {folder}" in make("x", folder / "t10k-labels-idx1-ubyte")


# --- torchvision's folders


def write_cifar(monkeypatch, folder):
    """Write a small folder as torchvision leaves it, and let torchvision take its checksums for the right ones."""
    import hashlib

    cifar10 = import_torchvision_datasets().CIFAR10
    rows = {name: RANDOM.integers(0, 256, (10, 3072), dtype=np.uint8) for name in ("data_batch_1", "test_batch")}
    contents = {name: {"data": its, "labels": list(range(10))} for name, its in rows.items()}
    contents["batches.meta"] = {"label_names": list("abcdefghij")}
    (folder / cifar10.base_folder).mkdir(parents=True)
    sums = {}
    for name, content in contents.items():
        pickled = pickle.dumps(content)
        (folder / cifar10.base_folder / name).write_bytes(pickled)
        sums[name] = hashlib.md5(pickled).hexdigest()
    monkeypatch.setattr(cifar10, "train_list", [["data_batch_1", sums["data_batch_1"]]])
    monkeypatch.setattr(cifar10, "test_list", [["test_batch", sums["test_batch"]]])
    monkeypatch.setattr(cifar10, "meta", cifar10.meta | {"md5": sums["batches.meta"]})
    return rows


@pytest.mark.parametrize("inside", [False, True])
def test_a_folder_that_torchvision_downloaded_is_read(tmp_path, monkeypatch, make, inside):
    rows = write_cifar(monkeypatch, tmp_path / "given")
    printed = make("x", tmp_path / "given" / ("cifar-10-batches-py" if inside else "."))
    assert "a folder of torchvision, 10 classes, 32 x 32 colour" in printed
    data = made(tmp_path, classes=10)
    assert np.array_equal(data.train_images, rows["data_batch_1"].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1))
    assert np.load(tmp_path / "data/x.npz")["class_names"].tolist() == list("abcdefghij")


def test_a_pickle_with_another_checksum_is_not_opened(tmp_path, monkeypatch, make):
    """It could run any code."""
    write_cifar(monkeypatch, tmp_path / "given")

    class Touch:
        def __reduce__(self):
            return (open, (str(tmp_path / "ran"), "w"))

    (tmp_path / "given/cifar-10-batches-py/data_batch_1").write_bytes(pickle.dumps(Touch()))
    assert "cifar-10-batches-py: a file is missing, or has a wrong checksum" in make("x", tmp_path / "given")
    assert not (tmp_path / "ran").exists()


def test_two_data_sets_in_one_folder_are_named(tmp_path, monkeypatch, make):
    write_cifar(monkeypatch, tmp_path / "given")
    write_idx(tmp_path / "given/FashionMNIST/raw")
    message = make("x", tmp_path / "given")
    assert "several data sets" in message
    assert "given/cifar-10-batches-py, " in message
    assert "given/FashionMNIST/raw; name one of them" in message


# --- MedMNIST


def medmnist(**changes):
    counts = {"train": 12, "val": 3, "test": 6}
    arrays = {}
    for part, count in counts.items():
        arrays[f"{part}_images"] = RANDOM.integers(0, 256, (count, 28, 28, 3), dtype=np.uint8)
        arrays[f"{part}_labels"] = (np.arange(count) % 3)[:, np.newaxis]
    return arrays | changes


def test_a_file_of_medmnist_is_read_and_its_validation_part_left_out(tmp_path, make):
    arrays = medmnist()
    np.savez(tmp_path / "pathmnist.npz", **arrays)
    printed = make("x", tmp_path / "pathmnist.npz")
    assert "3 classes, 28 x 28 colour" in printed
    assert "left out: the validation part, 3 images" in printed
    assert "{x: {classes: 3, fit: pad}}" in printed
    assert yaml.safe_load(printed.splitlines()[-3]) == {"datasets": {"x": {"classes": 3, "fit": "pad"}}}
    assert np.array_equal(made(tmp_path, classes=3).test_images, arrays["test_images"])
    assert set(np.load(tmp_path / "data/x.npz").files) == {
        f"{part}_{what}" for part in ("train", "test") for what in ("images", "labels")
    }


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"train_labels": np.ones((12, 14), int)}, "14 train labels per image; here, each image is of one class"),
        ({"train_labels": np.linspace(0, 1, 12)}, "the train labels are float64 (12,); they must be integers"),
        ({"test_labels": np.zeros((6, 1), int)}, "class 1 has no test image"),
        ({"train_images": np.zeros((12, 28, 28, 28), np.uint8)}, "shape (12, 28, 28, 28)"),
        ({"train_images": np.linspace(0, 1, 12 * 64).reshape(12, 8, 8)}, "type float64; it must be uint8"),
        ({"train_images": np.array([{}] * 12, dtype=object)}, "it cannot be read (Object arrays"),
        ({"train_images": np.array(3)}, "the train images have the shape (); it must be (N, height, width)"),
    ],
)
def test_arrays_that_cannot_be_a_data_set_are_refused(tmp_path, make, changes, message):
    np.savez(tmp_path / "given.npz", **medmnist(**changes))
    error = make("x", tmp_path / "given.npz")
    assert message in error
    assert error.startswith(f"{tmp_path / 'given.npz'}: ")
    assert not (tmp_path / "data/x.npz").exists()


def test_a_file_that_is_cut_off_or_holds_other_arrays_is_refused(tmp_path, make):
    file = tmp_path / "given.npz"
    np.savez(file, images=np.zeros(3))
    assert "it has the arrays images; a data set has train_images and train_labels" in make("x", file)
    file.write_bytes(file.read_bytes()[:-30])
    assert "given.npz: it cannot be read" in make("x", file)
    with file.open("wb") as alone:
        np.save(alone, np.zeros(3))
    assert "given.npz: it cannot be read" in make("x", file)
    np.savez(file, **medmnist())
    assert "SIZE is for folders of pictures" in make("x", file, "--size", "32")


def test_make_hands_on_what_is_asked_for():
    import subprocess

    command = ["make", "-n", "dataset", "NAME=x", "FROM=my folder", "SIZE=32", "FORCE=1", "CONFIG=config.yaml"]
    done = subprocess.run(command, cwd=ROOT, text=True, capture_output=True, check=True)
    words = " ".join(done.stdout.replace("\\\n", " ").splitlines()[-1].split())
    assert words.endswith('-m commands.dataset "x" "my folder" --size "32" --force --configfile config.yaml')
