"""Sources of data sets. Downloads are tested with a server on loopback that serves tiny archives."""

import fcntl
import gzip
import hashlib
import io
import os
import pickle
import struct
import subprocess
import tarfile
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from unlearning.data import sources
from unlearning.data.downloads import BrokenError, fetch
from unlearning.data.sources import digits, import_torchvision_datasets, make_dataset
from unlearning.errors import UserError


@pytest.fixture(autouse=True)
def without_pauses(monkeypatch):
    """Let no test wait for a server, or find data sets of this machine."""
    monkeypatch.setattr(sources, "PAUSES", (0.0, 0.0))
    monkeypatch.setattr(sources, "DEBIANS", sources.Path("/nowhere"))


class QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture
def server(tmp_path):
    """Serve a folder on loopback; return the folder and its address."""
    folder = tmp_path / "served"
    folder.mkdir()
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(QuietHandler, directory=folder)) as httpd:
        thread = threading.Thread(target=httpd.serve_forever, daemon=True)
        thread.start()
        yield folder, f"http://127.0.0.1:{httpd.server_port}/"
        httpd.shutdown()
        thread.join()


def md5(content):
    return hashlib.md5(content).hexdigest()


def cifar_archive(folder, files):
    """Return a .tar.gz of pickled dictionaries, as CIFAR's authors made theirs, and the checksum of each file."""
    buffer, sums = io.BytesIO(), []
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, content in files.items():
            pickled = pickle.dumps(content)
            info = tarfile.TarInfo(f"{folder}/{name}")
            info.size = len(pickled)
            tar.addfile(info, io.BytesIO(pickled))
            sums.append([name, md5(pickled)])
    return buffer.getvalue(), sums


def cifar_images(count, seed):
    return np.random.default_rng(seed).integers(0, 256, (count, 32, 32, 3), dtype=np.uint8)


def cifar_rows(images):
    return images.transpose(0, 3, 1, 2).reshape(len(images), -1)


def serve_cifar(monkeypatch, server, name, train_files, test_files, meta):
    folder, address = server
    original = getattr(import_torchvision_datasets(), name)
    archive, sums = cifar_archive(original.base_folder, train_files | test_files | meta)
    (folder / original.filename).write_bytes(archive)
    monkeypatch.setattr(original, "url", address + original.filename)
    monkeypatch.setattr(original, "tgz_md5", md5(archive))
    monkeypatch.setattr(original, "train_list", [row for row in sums if row[0] in train_files])
    monkeypatch.setattr(original, "test_list", [row for row in sums if row[0] in test_files])
    monkeypatch.setattr(original, "meta", original.meta | {"md5": dict(sums)[original.meta["filename"]]})
    return original


def test_cifar10_is_downloaded_and_written_as_npz(monkeypatch, server, tmp_path):
    train = {f"data_batch_{i}": {"data": cifar_rows(cifar_images(2, i)), "labels": [i, 9]} for i in (1, 2)}
    test = {"test_batch": {"data": cifar_rows(cifar_images(3, 7)), "labels": [0, 1, 2]}}
    serve_cifar(monkeypatch, server, "CIFAR10", train, test, {"batches.meta": {"label_names": list("abcdefghij")}})
    make_dataset("CIFAR10", tmp_path / "data" / "cifar10.npz")
    data = dict(np.load(tmp_path / "data" / "cifar10.npz"))
    np.testing.assert_array_equal(data["train_images"], np.concatenate([cifar_images(2, 1), cifar_images(2, 2)]))
    np.testing.assert_array_equal(data["train_labels"], [1, 9, 2, 9])
    np.testing.assert_array_equal(data["test_images"], cifar_images(3, 7))
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["cifar10.npz"]  # no archive is left behind


def test_cifar100_takes_the_fine_labels(monkeypatch, server, tmp_path):
    train = {"train": {"data": cifar_rows(cifar_images(2, 1)), "fine_labels": [99, 3], "coarse_labels": [0, 1]}}
    test = {"test": {"data": cifar_rows(cifar_images(1, 2)), "fine_labels": [42], "coarse_labels": [5]}}
    meta = {"meta": {"fine_label_names": [str(i) for i in range(100)]}}
    serve_cifar(monkeypatch, server, "CIFAR100", train, test, meta)
    make_dataset("CIFAR100", tmp_path / "cifar100.npz")
    data = dict(np.load(tmp_path / "cifar100.npz"))
    np.testing.assert_array_equal(data["train_labels"], [99, 3])
    np.testing.assert_array_equal(data["test_labels"], [42])


def idx_file(array):
    """Return an array in the gzipped IDX format of MNIST."""
    header = struct.pack(">HBB", 0, 8, array.ndim) + struct.pack(f">{array.ndim}I", *array.shape)
    return gzip.compress(header + array.tobytes())


def serve_fashion_mnist(monkeypatch, server):
    folder, address = server
    images = np.random.default_rng(0).integers(0, 256, (5, 28, 28), dtype=np.uint8)
    arrays = [images[:3], np.array([3, 0, 9], np.uint8), images[3:], np.array([1, 2], np.uint8)]
    original = import_torchvision_datasets().FashionMNIST
    resources = []
    for (name, _), array in zip(original.resources, arrays, strict=True):
        content = idx_file(array)
        (folder / name).write_bytes(content)
        resources.append((name, md5(content)))
    monkeypatch.setattr(original, "mirrors", [address])
    monkeypatch.setattr(original, "resources", resources)
    return images, folder


def test_fashion_mnist_is_downloaded_in_its_own_size(monkeypatch, server, tmp_path):
    images, _ = serve_fashion_mnist(monkeypatch, server)
    make_dataset("FashionMNIST", tmp_path / "fmnist.npz")
    data = dict(np.load(tmp_path / "fmnist.npz"))
    np.testing.assert_array_equal(data["train_images"], images[:3])
    np.testing.assert_array_equal(data["test_labels"], [1, 2])


def test_a_file_with_a_wrong_checksum_is_not_taken(monkeypatch, server, tmp_path):
    _, folder = serve_fashion_mnist(monkeypatch, server)
    served = folder / "train-images-idx3-ubyte.gz"
    served.write_bytes(served.read_bytes()[:-1] + b"x")
    with pytest.raises(UserError, match="could not fetch FashionMNIST") as caught:
        make_dataset("FashionMNIST", tmp_path / "fmnist.npz")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "fmnist.npz").exists()


def test_without_a_server_the_error_says_what_to_do(monkeypatch, tmp_path):
    cifar10 = import_torchvision_datasets().CIFAR10
    monkeypatch.setattr(cifar10, "url", "http://127.0.0.1:9/cifar-10-python.tar.gz")  # no server listens there
    target = tmp_path / "cifar10.npz"
    with pytest.raises(UserError, match=r"could not fetch CIFAR10 \(.*put .*cifar10\.npz in place by hand") as caught:
        make_dataset("CIFAR10", target)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_with_every_mirror_down_the_error_is_still_one_line(monkeypatch, tmp_path):
    fashion_mnist = import_torchvision_datasets().FashionMNIST
    monkeypatch.setattr(fashion_mnist, "mirrors", ["http://127.0.0.1:9/a/", "http://127.0.0.1:9/b/"])
    with pytest.raises(UserError, match=r"could not fetch FashionMNIST .*in place by hand") as caught:
        make_dataset("FashionMNIST", tmp_path / "fmnist.npz")
    assert "\n" not in str(caught.value)


def test_a_download_is_tried_again_with_pauses(monkeypatch, server, tmp_path, capsys):
    """A server that is busy twice gives the file the third time."""
    images, _ = serve_fashion_mnist(monkeypatch, server)
    mirrors, pauses = import_torchvision_datasets().FashionMNIST.mirrors, []

    def pause(seconds):
        pauses.append(seconds)
        if len(pauses) == 2:
            monkeypatch.setattr(import_torchvision_datasets().FashionMNIST, "mirrors", mirrors)

    monkeypatch.setattr(import_torchvision_datasets().FashionMNIST, "mirrors", ["http://127.0.0.1:9/"])
    monkeypatch.setattr(sources.time, "sleep", pause)
    make_dataset("FashionMNIST", tmp_path / "fmnist.npz")
    assert pauses == list(sources.PAUSES)
    np.testing.assert_array_equal(np.load(tmp_path / "fmnist.npz")["train_images"], images[:3])
    assert capsys.readouterr().out.count("could not fetch FashionMNIST (") == 2


class BreakingHandler(QuietHandler):
    """A server with ranges whose connection breaks in the middle of the first answer of each file."""

    broken: set
    asked: list

    def do_GET(self):
        content = (Path(self.directory) / self.path.lstrip("/")).read_bytes()
        self.asked.append(self.headers.get("Range"))
        start = int((self.headers.get("Range") or "bytes=0-")[6:-1])
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        end = len(content) // 2 if self.path not in self.broken else len(content)
        self.broken.add(self.path)
        self.wfile.write(content[start:end])


@pytest.fixture
def breaking(tmp_path):
    folder = tmp_path / "breaking"
    folder.mkdir()
    handler = type("Handler", (BreakingHandler,), {"broken": set(), "asked": []})
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(handler, directory=folder)) as httpd:
        threading.Thread(target=httpd.serve_forever, daemon=True).start()
        yield folder, f"http://127.0.0.1:{httpd.server_port}/", handler.asked
        httpd.shutdown()


def test_a_download_goes_on_where_the_connection_broke_also_in_the_next_run(breaking, tmp_path):
    folder, address, asked = breaking
    content = np.random.default_rng(0).bytes(300_000)
    (folder / "x.gz").write_bytes(content)
    lines, target = [], tmp_path / "kept/x.gz"
    with pytest.raises(BrokenError, match=r"x\.gz: the connection ended after 0\.1 MB of 0\.3 MB"):
        fetch([address + "x.gz"], md5(content), target, lines.append)
    assert not target.exists()
    fetch([address + "x.gz"], md5(content), target, lines.append)
    assert target.read_bytes() == content
    assert asked == [None, "bytes=150000-"]
    assert "x.gz: going on at 0.1 MB of 0.3 MB" in lines
    assert lines[-1] == "x.gz: 0.3 MB of 0.3 MB (100%)"
    assert [path.name for path in target.parent.iterdir()] == ["x.gz"]


def test_a_server_without_ranges_sends_all_of_it_again(server, tmp_path):
    folder, address = server
    content = bytes(range(256)) * 100
    (folder / "x.gz").write_bytes(content)
    (tmp_path / "x.gz.part").write_bytes(content[:999])
    fetch([address + "x.gz"], md5(content), tmp_path / "x.gz", lambda line: None)
    assert (tmp_path / "x.gz").read_bytes() == content


def test_a_wrong_checksum_deletes_what_came_and_the_next_address_is_asked(server, tmp_path):
    folder, address = server
    for name, content in (("bad", b"changed"), ("good", b"content")):
        (folder / name).mkdir()
        (folder / name / "x.gz").write_bytes(content)
    urls, lines = [f"{address}{name}/x.gz" for name in ("bad", "good")], []
    with pytest.raises(BrokenError, match=f"bad/x.gz: its checksum is {md5(b'changed')}, not .* is deleted"):
        fetch(urls[:1], md5(b"content"), tmp_path / "x.gz", lines.append)
    assert list(tmp_path.glob("x.gz*")) == []
    fetch(urls, md5(b"content"), tmp_path / "x.gz", lines.append)
    assert (tmp_path / "x.gz").read_bytes() == b"content"


def test_a_mirror_is_asked_first_and_a_broken_data_set_is_completed(monkeypatch, server, breaking, tmp_path, capsys):
    images, folder = serve_fashion_mnist(monkeypatch, server)
    for file in folder.iterdir():
        (breaking[0] / file.name).write_bytes(file.read_bytes())
    monkeypatch.setattr(import_torchvision_datasets().FashionMNIST, "mirrors", ["http://127.0.0.1:9/"])
    monkeypatch.setattr(sources, "PAUSES", (0.0,) * 8)
    make_dataset(["FashionMNIST", breaking[1].rstrip("/")], tmp_path / "data/fmnist.npz")
    np.testing.assert_array_equal(np.load(tmp_path / "data/fmnist.npz")["train_images"], images[:3])
    assert sum(each is not None for each in breaking[2]) == 4  # each file was broken once
    assert "train-images-idx3-ubyte.gz: going on at" in capsys.readouterr().out
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["fmnist.npz"]


def test_runs_that_share_the_data_fetch_a_data_set_once(monkeypatch, tmp_path):
    """Two wait while the first fetches it."""
    target, calls, began, may_end = tmp_path / "data/cifar10.npz", [], threading.Event(), threading.Event()

    def download(*arguments):
        calls.append(arguments)
        began.set()
        may_end.wait(30)
        return digits()

    monkeypatch.setattr(sources, "download", download)
    runs = [threading.Thread(target=make_dataset, args=("CIFAR10", target)) for _ in range(3)]
    runs[0].start()
    assert began.wait(30)
    for run in runs[1:]:
        run.start()
    may_end.set()
    for run in runs:
        run.join(30)
    assert len(calls) == 1
    assert [path.name for path in target.parent.iterdir()] == ["cifar10.npz"]


def test_while_a_source_is_fetched_no_other_data_set_of_it_is(monkeypatch, tmp_path):
    """What has come of a file lies in one folder for both."""
    calls = []

    def fetched(source, target, *rest):
        with (target.parent / f".fetching-{source}.lock").open() as lock, pytest.raises(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        calls.append(source)
        return digits()

    monkeypatch.setattr(sources, "_fetched", fetched)
    monkeypatch.setattr(sources, "_from_torchvision", lambda *arguments, **settings: None)
    make_dataset("CIFAR10", tmp_path / "a.npz")
    assert calls == ["CIFAR10"]
    assert [path.name for path in tmp_path.iterdir()] == ["a.npz"]


def test_a_file_that_is_missing_while_a_data_set_is_made_is_named(monkeypatch, tmp_path):
    def download(*arguments):
        raise FileNotFoundError("raw/labels")

    monkeypatch.setattr(sources, "download", download)
    with pytest.raises(FileNotFoundError, match="raw/labels"):
        make_dataset("CIFAR10", tmp_path / "a.npz")
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_download_left_behind_is_removed(tmp_path):
    ended = subprocess.Popen(["true"])
    ended.wait()
    for process in (ended.pid, os.getpid()):
        (tmp_path / f".fetching-CIFAR10-{process}-abc").mkdir()
    (tmp_path / ".fetching-mine").mkdir()
    sources.remove_left_behind(tmp_path)
    stay = {f".fetching-CIFAR10-{os.getpid()}-abc", ".fetching-mine"}
    assert {path.name for path in tmp_path.iterdir()} == stay


def test_torchvisions_files_that_are_there_are_taken(monkeypatch, server, tmp_path):
    """Another program with the same data folder may have put them there. Nothing is fetched, and the files stay."""
    images, _ = serve_fashion_mnist(monkeypatch, server)
    original = import_torchvision_datasets().FashionMNIST
    original(tmp_path, train=True, download=True)
    mirrors = original.mirrors
    monkeypatch.setattr(original, "mirrors", ["http://127.0.0.1:9/"])
    make_dataset("FashionMNIST", tmp_path / "fmnist.npz")
    np.testing.assert_array_equal(np.load(tmp_path / "fmnist.npz")["train_images"], images[:3])
    assert (tmp_path / "FashionMNIST/raw").is_dir()
    # Where one of them is damaged, all are fetched.
    (tmp_path / "FashionMNIST/raw/train-images-idx3-ubyte").write_bytes(b"")
    monkeypatch.setattr(original, "mirrors", mirrors)
    make_dataset("FashionMNIST", tmp_path / "again.npz")
    np.testing.assert_array_equal(np.load(tmp_path / "again.npz")["train_images"], images[:3])


DEBIANS_NAMES = ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1")


def test_debians_files_that_are_there_are_taken(monkeypatch, tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (5, 28, 28), dtype=np.uint8)
    arrays = [images[:3], np.array([3, 0, 9], np.uint8), images[3:], np.array([1, 2], np.uint8)]
    folder = tmp_path / "debian"
    folder.mkdir()
    for name, array in zip(DEBIANS_NAMES, arrays, strict=True):
        (folder / f"{name}-ubyte.gz").write_bytes(idx_file(array))
    monkeypatch.setattr(sources, "DEBIANS", folder)
    monkeypatch.setattr(import_torchvision_datasets().FashionMNIST, "mirrors", ["http://127.0.0.1:9/"])
    make_dataset("FashionMNIST", tmp_path / "fmnist.npz")
    data = np.load(tmp_path / "fmnist.npz")
    names = ("train_images", "train_labels", "test_images", "test_labels")
    for name, array in zip(names, arrays, strict=True):
        np.testing.assert_array_equal(data[name], array)
    # If one of the files is damaged, all files are fetched.
    (folder / f"{DEBIANS_NAMES[0]}-ubyte.gz").write_bytes(b"no gzip")
    assert sources.from_debian() is None


def test_idx_of_another_type_or_length_is_refused(tmp_path):
    (tmp_path / "floats.gz").write_bytes(gzip.compress(struct.pack(">HBBI", 0, 13, 1, 1) + bytes(4)))
    (tmp_path / "short.gz").write_bytes(idx_file(np.zeros((2, 3), np.uint8))[:-9])
    with pytest.raises(ValueError, match="no bytes in the format idx"):
        sources.read_idx(tmp_path / "floats.gz")
    with pytest.raises((ValueError, EOFError)):
        sources.read_idx(tmp_path / "short.gz")


def test_digits_are_scikit_learns_in_a_fixed_stratified_split():
    arrays, again = digits(), digits()
    assert all((arrays[name] == again[name]).all() for name in arrays)
    assert len(arrays["train_images"]) + len(arrays["test_images"]) == 1797
    assert arrays["train_images"].shape[1:] == (8, 8)
    assert arrays["train_images"].max() == 255
    shares = np.bincount(arrays["test_labels"]) / np.bincount(np.r_[arrays["train_labels"], arrays["test_labels"]])
    np.testing.assert_allclose(shares, 0.25, atol=0.01)


def test_torchvision_can_be_imported_beside_this_torch():
    assert issubclass(import_torchvision_datasets().CIFAR100, import_torchvision_datasets().CIFAR10)
