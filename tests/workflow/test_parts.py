"""A data set that is a part of another one: made when it is asked for, and again when it changes."""

import shutil

import numpy as np
import pytest
import yaml
from project import TINY, Project, merged

SPLIT = "results/resnet20-few-class0/split.npz"
PART = "results/datasets/few.npz"


def with_part(**part):
    return merged(
        TINY,
        {
            "datasets": {"few": {"part_of": "digits", "per_class": 20} | part},
            "benchmarks": {"resnet20-few": {"protocol": "tiny", "width": 0.25, "image_size": 8}},
        },
    )


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    project = Project(tmp_path_factory.mktemp("parts"), with_part())
    project.make(SPLIT)
    return project


@pytest.fixture
def copied(project, tmp_path):
    return Project.at(shutil.copytree(project.folder, tmp_path / "copy"))


def say(project, **part):
    config = project.folder / "config.yaml"
    config.write_text(yaml.safe_dump(merged(yaml.safe_load(config.read_text()), with_part(**part)), sort_keys=False))


def test_a_part_is_made_from_its_original_which_is_fetched_once(project):
    assert {path.name for path in (project.folder / "data").iterdir()} == {"digits.npz"}
    part, whole = np.load(project.folder / PART), np.load(project.folder / "data/digits.npz")
    assert np.bincount(part["train_labels"]).tolist() == [20] * 10
    assert np.array_equal(part["test_images"].squeeze(), whole["test_images"])
    assert len(np.load(project.folder / SPLIT)["forget_train"]) == 20
    done = project.command("subset", "data/digits.npz", "200", "by_hand.npz")
    assert done.returncode == 0, done.stderr
    assert (project.folder / "by_hand.npz").read_bytes() == (project.folder / PART).read_bytes()
    assert project.planned(SPLIT) == []


def test_another_size_makes_the_part_and_what_rests_on_it_again(copied):
    say(copied, per_class=21)
    assert copied.planned(SPLIT) == ["part", "split"]
    copied.make(SPLIT)
    assert len(np.load(copied.folder / SPLIT)["forget_train"]) == 21
    say(copied, per_class=21, test_per_class=7)
    copied.make(SPLIT)
    assert len(np.load(copied.folder / SPLIT)["forget_test"]) == 7
    assert copied.planned(SPLIT) == []


def test_another_original_makes_the_part_again(copied):
    original = copied.folder / "data/digits.npz"
    arrays = dict(np.load(original))
    np.savez(original, **arrays | {"train_images": arrays["train_images"][:, ::-1]})
    assert copied.planned(SPLIT) == ["part", "split"]


def test_without_its_original_a_part_that_is_there_stays_and_another_size_fetches_it(copied):
    shutil.rmtree(copied.folder / "data")
    assert copied.planned(SPLIT) == []
    say(copied, per_class=21)
    copied.make(SPLIT)
    assert len(np.load(copied.folder / SPLIT)["forget_train"]) == 21


def test_a_file_put_there_by_hand_is_named_before_any_job(copied, arrays):
    own = copied.folder / "data/few.npz"
    np.savez(own, **arrays)
    before = own.read_bytes()
    done = copied.run(SPLIT, "--forceall")
    assert done.returncode == 1
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("error")]
    assert "data/few.npz is there, but datasets.few is a part of digits" in line
    assert own.read_bytes() == before


def test_a_part_that_is_larger_than_a_class_ends_its_job_with_one_line(copied):
    say(copied, per_class=500)
    done = copied.run(SPLIT)
    assert done.returncode == 1
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("error in part")]
    assert "datasets.few.per_class: 500, but class 8 has 131 train images; write at most that" in line
    assert "Traceback" not in done.stdout
