"""Small files in the form of the originals, prepared by the standard builders without TensorFlow or a network."""

import gzip
import io
import pathlib
import socket
import struct
import subprocess
import sys
import tarfile
import urllib.error
import zipfile
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from gen.data import tfds
from gen.errors import InputError

tensorflow_datasets = pytest.importorskip("tensorflow_datasets")
RANDOM = np.random.default_rng(0)
FASHION = ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot")


@pytest.fixture
def original(tmp_path, monkeypatch):
    """Places a file in the folder of files fetched by hand and registers its checksum with the builder."""
    from tensorflow_datasets.core.download import checksums

    manual = tmp_path / "manual"
    manual.mkdir()
    tensorflow_datasets.disable_progress_bar()

    def place(name, filename, content, register=True):
        infos = tensorflow_datasets.builder(name, data_dir=str(tmp_path / "prepared")).url_infos
        (manual / filename).write_bytes(content)
        url = next(url for url, info in infos.items() if info.filename == filename)
        if register:
            info = checksums.compute_url_info(manual / filename)
            monkeypatch.setitem(infos, url, checksums.UrlInfo(info.size, info.checksum, filename))

    place.options = {"data_dir": str(tmp_path / "prepared"), "manual_dir": str(manual)}
    return place


def _idx(array):
    return gzip.compress(struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.tobytes())


@pytest.fixture
def mnist_form(original, monkeypatch):
    """Twelve training and five test images of mnist's form, for the set named; returns them with their labels."""
    from tensorflow_datasets.image_classification import mnist

    monkeypatch.setattr(mnist, "_TRAIN_EXAMPLES", 12)
    monkeypatch.setattr(mnist, "_TEST_EXAMPLES", 5)

    def place(name, register=True):
        parts = {}
        for prefix, count in (("train", 12), ("t10k", 5)):
            parts[prefix] = RANDOM.integers(0, 256, (count, 28, 28), np.uint8), np.arange(count, dtype=np.uint8) % 10
            original(name, f"{prefix}-images-idx3-ubyte.gz", _idx(parts[prefix][0]), register)
            original(name, f"{prefix}-labels-idx1-ubyte.gz", _idx(parts[prefix][1]), register)
        return parts

    return place


def _same_set(examples, images, labels):
    """The split holds these images with these labels; tensorflow_datasets shuffles them."""
    found = {image.tobytes(): int(label) for image, label in zip(*examples[:2], strict=True)}
    assert found == {image.tobytes(): int(label) for image, label in zip(images, labels, strict=True)}


@pytest.mark.parametrize(("name", "class_names"), [("mnist", tuple("0123456789")), ("fashion_mnist", FASHION)])
def test_mnist_and_fashion_mnist(original, mnist_form, name, class_names):
    parts = mnist_form(name)
    source = tfds(name, 32, **original.options)
    assert source.class_names == class_names
    assert source.image_shape == (32, 32, 1)
    for examples, key in ((source.train, "train"), (source.held_out, "t10k")):
        images, labels = parts[key]
        _same_set(examples, np.pad(images, ((0, 0), (2, 2), (2, 2))), labels)
    again = tfds(name, 32, data_dir=original.options["data_dir"])
    assert again.metadata == source.metadata
    assert "tensorflow" not in sys.modules


def test_cifar10(original):
    images, labels = RANDOM.integers(0, 256, (12, 3, 32, 32), np.uint8), np.arange(12, dtype=np.uint8) % 10
    records = [bytes([label]) + image.tobytes() for image, label in zip(images, labels, strict=True)]
    names = [f"data_batch_{number}.bin" for number in range(1, 6)] + ["test_batch.bin"]
    members = {name: b"".join(records[2 * number : 2 * number + 2]) for number, name in enumerate(names)}
    members["batches.meta.txt"] = "\n".join(f"class{number}" for number in range(10)).encode()
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(f"cifar-10-batches-bin/{name}")
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    original("cifar10", "cifar-10-binary.tar.gz", buffer.getvalue())

    source = tfds("cifar10", 32, **original.options)
    upright = images.transpose(0, 2, 3, 1)
    _same_set(source.train, upright[:10], labels[:10])
    _same_set(source.held_out, upright[10:], labels[10:])
    assert source.class_names == tuple(f"class{number}" for number in range(10))
    unlabeled = tfds("cifar10", 16, label=None, data_dir=original.options["data_dir"])
    assert unlabeled.class_names == ()
    assert unlabeled.image_shape == (16, 16, 3)
    assert not unlabeled.train.labels.any()


def _celeb_a(original):
    from tensorflow_datasets.datasets.celeb_a import celeb_a_dataset_builder as celeb_a

    names = [f"{number:06d}.jpg" for number in range(1, 7)]
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for number, name in enumerate(names):
            picture = np.zeros((218, 178, 3), np.uint8)
            picture[20:198] = 40 * number  # the central square
            encoded = io.BytesIO()
            Image.fromarray(picture).save(encoded, "JPEG", quality=95)
            archive.writestr(f"img_align_celeba/{name}", encoded.getvalue())

    def table(headings, row):
        lines = [f"{name} {' '.join(map(str, row(number)))}" for number, name in enumerate(names)]
        return "\n".join([*headings, *lines, ""]).encode()

    attributes, landmarks = celeb_a.ATTR_HEADINGS, celeb_a.LANDMARK_HEADINGS
    male = attributes.index("Male")
    signs = [[1 if number % 2 and column == male else -1 for column in range(40)] for number in range(6)]
    original("celeb_a", "img_align_celeba.zip", buffer.getvalue())
    original("celeb_a", "list_eval_partition.txt", table([], lambda number: [[0, 0, 0, 0, 1, 2][number]]))
    original("celeb_a", "list_attr_celeba.txt", table(["6", " ".join(attributes)], lambda number: signs[number]))
    original("celeb_a", "list_landmarks_align_celeba.txt", table(["6", " ".join(landmarks)], lambda number: range(10)))
    original("celeb_a", "identity_CelebA.txt", table([], lambda number: [number]))


def test_celeb_a(original):
    _celeb_a(original)
    source = tfds("celeb_a", 64, **original.options)
    assert source.class_names == ()
    assert source.image_shape == (64, 64, 3)
    assert (len(source.train.images), len(source.held_out.images)) == (4, 1)
    means = source.train.images[:, 2:-2].mean((1, 2, 3))
    np.testing.assert_allclose(np.sort(means), [0, 40, 80, 120], atol=3)
    source = tfds("celeb_a", 32, label="Male", data_dir=original.options["data_dir"])
    assert source.class_names == ("not Male", "Male")
    number = np.round(source.train.images.mean((1, 2, 3)) / 40).astype(int)
    np.testing.assert_array_equal(source.train.labels, number % 2)
    with pytest.raises(InputError, match="did you mean 'Smiling'"):
        tfds("celeb_a", 32, label="Smilin", data_dir=original.options["data_dir"])


def _refused(match, *args, **options):
    with pytest.raises(InputError, match=match) as error:
        tfds(*args, **options)
    assert "\n" not in str(error.value)


def test_a_file_with_other_content_is_refused(original, mnist_form):
    mnist_form("mnist", register=False)
    _refused("wrong checksum", "mnist", 32, **original.options)


def test_what_is_missing_is_named(original, mnist_form, tmp_path):
    data_dir = original.options["data_dir"]
    _refused("not prepared .* download=True.*t10k-images-idx3-ubyte.gz", "mnist", 32, data_dir=data_dir, download=False)
    _refused("is not a folder", "mnist", 32, data_dir=data_dir, manual_dir=str(tmp_path / "nowhere"))
    _refused(r"needs .*ubyte\.gz from https?://", "mnist", 32, **original.options, download=False)
    mnist_form("mnist")
    tfds("mnist", 28, **original.options)
    _refused("cannot be padded to resolution=40", "mnist", 40, data_dir=data_dir)


def test_what_is_not_there_is_downloaded_by_default(original, mnist_form, monkeypatch, tmp_path, capsys):
    """Part of it was brought by hand, into a subfolder; the rest comes from the site, which is said before."""
    parts = mnist_form("fashion_mnist")
    manual = tmp_path / "manual"
    (manual / "sub").mkdir()
    (manual / "train-images-idx3-ubyte.gz").rename(manual / "sub" / "train-images-idx3-ubyte.gz")
    site = {path.name: path.read_bytes() for path in manual.glob("*.gz")}
    for path in manual.glob("*.gz"):
        path.unlink()

    def fetch(url, file, expected, *, began):
        began()
        file.write_bytes(site[expected.name])

    monkeypatch.setattr("gen.data.tfds_files.fetch", fetch)
    source = tfds("fashion_mnist", 28, **original.options)
    _same_set(source.train, *parts["train"])
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1
    for part in ("downloading fashion_mnist", "3 files", " MB", "tmp", "MIT license", "fashion-mnist"):
        assert part in said[0]


def test_without_a_network_one_line_says_the_other_ways(tmp_path, monkeypatch, capsys):
    def no_network(*args):
        raise urllib.error.URLError(socket.gaierror(-2, "Name or service not known"))

    monkeypatch.setattr("gen.data.download._request", no_network)
    for word in ("drive.google.com cannot be reached", "img_align_celeba.zip", "manual_dir=DIR", ":folder .*path="):
        _refused(word, "celeb_a", 64, data_dir=str(tmp_path))
    assert not any(path.is_file() for path in tmp_path.rglob("*"))
    assert capsys.readouterr().err == ""


def test_too_little_space_is_said_before(tmp_path, monkeypatch):
    monkeypatch.setattr("gen.data.tfds_files.shutil.disk_usage", lambda place: SimpleNamespace(free=10**9))
    _refused(r"needs about 3.0 GB in .*, where 1.0 GB are free", "celeb_a", 64, data_dir=str(tmp_path))


def test_sets_prepared_in_a_format_of_tensorflow_are_recognized(original, mnist_form):
    mnist_form("mnist")
    data_dir = original.options["data_dir"]
    tfds("mnist", 28, **original.options)
    for info in pathlib.Path(data_dir).rglob("dataset_info.json"):
        info.write_text(info.read_text().replace("array_record", "tfrecord"))
    _refused("only TensorFlow reads.*another data_dir", "mnist", 28, data_dir=data_dir)


def test_places_of_prepared_sets(tmp_path, monkeypatch):
    _refused("gs://bucket is a URL.*mount", "mnist", 28, data_dir="gs://bucket")
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "there"))
    _refused(str(tmp_path / "there"), "mnist", 28, download=False)
    monkeypatch.delenv("TFDS_DATA_DIR")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    _refused(str(tmp_path / "home" / "tensorflow_datasets"), "mnist", 28, download=False)


@pytest.mark.parametrize(
    ("name", "options", "match"),
    [
        ("fashion_mnst", {}, "did you mean 'fashion_mnist'"),
        ("mnist:9.9.9", {}, "9.9.9"),
        ("mnist", {"held_out": 2}, "held_out=2"),
    ],
)
def test_wrong_options_get_one_line(tmp_path, name, options, match):
    _refused(match, name, 32, data_dir=str(tmp_path), **options)


def test_imported_only_when_used():
    code = "import sys, gen.data; sys.exit('tensorflow_datasets' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_prepared_set_imports_nothing_of_its_own(tmp_path, monkeypatch):
    (tmp_path / "payload.py").write_text(f"open({str(tmp_path / 'OWNED')!r}, 'w')\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "payload", raising=False)
    folder = tmp_path / "sets" / "mine" / "1.0.0"
    folder.mkdir(parents=True)
    (folder / "dataset_info.json").write_text('{"name": "mine", "version": "1.0.0", "fileFormat": "array_record"}')
    inner = '{"pythonClassName": "payload.Image", "jsonFeature": {"json": "{}"}}'
    outer = "tensorflow_datasets.core.features.features_dict.FeaturesDict"
    for features in (
        '{"pythonClassName": "payload.Features", "featuresDict": {"features": {}}}',
        f'{{"pythonClassName": "{outer}", "featuresDict": {{"features": {{"image": {inner}}}}}}}',
    ):
        (folder / "features.json").write_text(features)
        with pytest.raises(InputError, match=r"tfds: mine: its features\.json names payload\.[A-Z]") as error:
            tfds("mine", 8, data_dir=str(tmp_path / "sets"), download=False)
        assert "\n" not in str(error.value)
    assert not (tmp_path / "OWNED").exists()
    for name in ("huggingface:mnist", "kaggle:mine", "somebody:mine/a"):
        with pytest.raises(InputError, match="come with programs of their own"):
            tfds(name, 8, data_dir=str(tmp_path / "sets"), download=False)


@pytest.fixture(scope="module")
def captioned():
    """A set of four images with one caption and several others, registered with tensorflow_datasets."""
    features = tensorflow_datasets.features

    class GenCaptioned(tensorflow_datasets.core.GeneratorBasedBuilder):
        VERSION = tensorflow_datasets.core.Version("1.0.0")

        def _info(self):
            several = features.Sequence({"text": features.Text(), "number": np.int32})
            fields = {"image": features.Image(shape=(16, 16, 3)), "title": features.Text(), "captions": several}
            return tensorflow_datasets.core.DatasetInfo(builder=self, features=features.FeaturesDict(fields))

        def _split_generators(self, dl_manager):
            return {"train": self._generate_examples(range(3)), "test": self._generate_examples([3])}

        def _generate_examples(self, numbers):
            for number in numbers:
                several = [{"text": f"größe {number}", "number": 1}, {"text": f" number {number}", "number": 2}]
                image = np.full((16, 16, 3), 10 * number, np.uint8)
                yield number, {"image": image, "title": f"title {number}", "captions": several}

    return "gen_captioned"


def test_captions_are_those_of_a_text_feature(captioned, tmp_path):
    options = {"data_dir": str(tmp_path)}
    source = tfds(captioned, 16, **options)
    for examples in (source.train, source.held_out):
        for index, image in enumerate(examples.images):
            number = int(image[0, 0, 0]) // 10
            assert examples.captions.of(index) == [f"größe {number}", f"number {number}"]
    assert len(source.train.images) == 3
    titled = tfds(captioned, 16, caption="title", **options)
    assert titled.held_out.captions.of(0) == ["title 3"]
    assert tfds(captioned, 16, caption=None, **options).train.captions is None
    assert titled.metadata["digest"] != source.metadata["digest"]
    with pytest.raises(
        InputError, match="has no text 'titel'; allowed are captions, text, title; did you mean 'title'"
    ):
        tfds(captioned, 16, caption="titel", **options)
