"""Arrays in, the same arrays out; padding, splits, limits, and one line for each kind of wrong file."""

import numpy as np
import pytest

from gen.data import npz
from gen.errors import InputError

X = np.random.default_rng(0).integers(0, 256, (60, 28, 28), np.uint8)
Y = np.arange(60) % 3
TEXTS = np.arange(60).astype("U2")


def _file(tmp_path, **arrays):
    np.savez(tmp_path / "x.npz", **arrays)
    return tmp_path / "x.npz"


def test_arrays_come_back_as_stored(tmp_path):
    path = _file(
        tmp_path, x_train=X[:50], y_train=Y[:50, None], x_test=X[50:], y_test=Y[50:], class_names=["a", "b", "c"]
    )
    source = npz(path)
    np.testing.assert_array_equal(source.train.images[..., 0], X[:50])
    np.testing.assert_array_equal(source.held_out.images[..., 0], X[50:])
    np.testing.assert_array_equal(source.train.labels, Y[:50])
    np.testing.assert_array_equal(source.held_out.labels, Y[50:])
    assert source.train.labels.dtype == np.int32
    assert source.class_names == ("a", "b", "c")
    assert isinstance(npz(path).train.images, np.memmap)


@pytest.mark.parametrize("padding", ["zero", "edge"])
def test_padding_keeps_the_image_in_the_middle(tmp_path, padding):
    source = npz(_file(tmp_path, x_train=X[:50], x_test=X[50:]), 32, padding=padding)
    image = source.train.images[..., 0]
    np.testing.assert_array_equal(image[:, 2:30, 2:30], X[:50])
    corner = X[:50, 0, 0] if padding == "edge" else np.zeros(50)
    np.testing.assert_array_equal(image[:, 0, 0], corner)


def test_larger_images_are_area_averaged(tmp_path):
    source = npz(_file(tmp_path, x_train=X[:50], x_test=X[50:]), 14)
    np.testing.assert_allclose(source.train.images[..., 0], X[:50].reshape(50, 14, 2, 14, 2).mean((2, 4)), atol=1)


def test_unlabeled(tmp_path):
    source = npz(_file(tmp_path, x_train=X))
    assert source.class_names == ()
    assert not source.train.labels.any()


def test_hashed_split_keeps_duplicates_together_and_loses_nothing(tmp_path):
    images = np.concatenate([X, X])
    source = npz(_file(tmp_path, x_train=images, y_train=np.concatenate([Y, Y])), held_out=0.2)
    train, held_out = ({image.tobytes() for image in split.images} for split in (source.train, source.held_out))
    assert not train & held_out
    assert len(train | held_out) == 60
    assert len(source.train.images) + len(source.held_out.images) == 120
    assert 4 <= len(held_out) <= 24
    assert source.class_names == ("0", "1", "2")


@pytest.mark.parametrize("held_out", [0.0001, 0.9999])
def test_hashed_split_is_never_empty(tmp_path, held_out):
    source = npz(_file(tmp_path, x_train=X[:2]), held_out=held_out)
    assert len(source.train.images) == len(source.held_out.images) == 1


def test_limit_chooses_a_fixed_subset_and_leaves_the_held_out_images(tmp_path):
    path = _file(tmp_path, x_train=X, y_train=Y)
    whole, first, more = npz(path), npz(path, limit=8), npz(path, limit=16)
    kept = {image.tobytes() for image in first.train.images}
    assert len(kept) == 8
    assert kept <= {image.tobytes() for image in more.train.images} <= {image.tobytes() for image in whole.train.images}
    np.testing.assert_array_equal(first.held_out.images, whole.held_out.images)


def _said(part):
    return [part.captions.of(i) for i in range(len(part.images))]


@pytest.mark.parametrize("name", ["captions", "captions_train"])
def test_captions_go_with_their_images(tmp_path, name):
    texts = np.array([[f"image {n}", "again" if n % 2 else ""] for n in range(60)])
    wanted = {image.tobytes(): [text for text in row if text] for image, row in zip(X, texts.tolist(), strict=True)}
    source = npz(_file(tmp_path, x_train=X, **{name: texts}), limit=40, held_out=0.2)
    for part in (source.train, source.held_out):
        assert _said(part) == [wanted[image.tobytes()] for image in part.images]
    given = {"x_train": X[:50], "x_test": X[50:], name: texts[:50]}
    assert _said(npz(_file(tmp_path, **given)).held_out) == [[]] * 10
    assert _said(npz(_file(tmp_path, **given, captions_test=texts[50:, 0])).held_out) == [[t] for t in texts[50:, 0]]
    assert npz(_file(tmp_path, x_train=X)).train.captions is None


@pytest.mark.parametrize(
    ("arrays", "options", "message"),
    [
        ({"x_trian": X}, {}, "has no x_train; it holds x_trian; did you mean 'x_trian'"),
        ({"x_train": X.astype(np.float32)}, {}, "float32"),
        ({"x_train": X.reshape(60, -1)}, {}, r"\[60, 784\]"),
        ({"x_train": X[:0]}, {}, r"\[0, 28, 28\]"),
        ({"x_train": X, "y_train": Y[:9]}, {}, "60 integers"),
        ({"x_train": X, "y_train": Y + 0.5}, {}, "60 integers"),
        ({"x_train": X, "y_train": Y - 1}, {}, "60 integers"),
        ({"x_train": X[:1], "y_train": np.int64(0)}, {}, r"int64 \[\]; it must be 1 integers"),
        ({"x_train": X, "y_train": Y, "x_test": X}, {}, "no y_test"),
        ({"x_train": X, "x_test": X[:, :20]}, {}, "differ in shape"),
        ({"x_train": X, "y_train": Y, "class_names": ["a", "b"]}, {}, "label 2 has no name"),
        ({"x_train": np.array([{}, {}])}, {}, "cannot be read"),
        ({"x_train": X, "y_train": Y, "class_names": np.array(["a", "b", "a"])}, {}, "class_names holds 'a' twice"),
        ({"x_train": X, "y_train": Y, "class_names": np.eye(3)}, {}, "class_names is float64"),
        ({"x_train": X, "y_train": Y * 1_000_000_000}, {}, "label 2,000,000,000: .* at most 100,000 classes"),
        ({"x_train": X, "y_train": Y.astype(np.uint64) << 62}, {}, "label 9,223,372,036,854,775,808"),
        ({"x_train": X, "captions": TEXTS[1:]}, {}, r"captions is <U2 \[59\]; it must be texts, 60 of them"),
        ({"x_train": X, "captions_train": Y}, {}, r"captions_train is int64 \[60\]; it must be texts"),
        ({"x_train": X, "captions": TEXTS, "captions_train": TEXTS}, {}, "captions and captions_train, which both"),
        ({"x_train": X, "captions": TEXTS, "captions_test": TEXTS}, {}, "has captions_test, but no x_test"),
        ({"x_train": X, "x_test": X, "captions_test": TEXTS}, {}, "has captions_test, but no captions_train"),
        ({"x_train": X[:1]}, {}, "2 different images"),
        ({"x_train": X}, {"resolution": 36}, "cannot be padded to resolution=36"),
        ({"x_train": X}, {"limit": 0}, "limit"),
        ({"x_train": X}, {"held_out": 0}, "held_out"),
    ],
)
def test_what_does_not_fit_gets_one_line(tmp_path, arrays, options, message):
    with pytest.raises(InputError, match=message) as error:
        npz(_file(tmp_path, **arrays), **options)
    assert "\n" not in str(error.value)


def test_damaged_and_missing_files_get_one_line(tmp_path):
    path = _file(tmp_path, x_train=X)
    data = path.read_bytes()
    for content in (b"", b"hello", data[:1000], data[:5000] + bytes(100) + data[5100:]):
        path.write_bytes(content)
        with pytest.raises(InputError, match="cannot be read"):
            npz(path)
    np.save(tmp_path / "array.npy", X)
    with pytest.raises(InputError, match="cannot be read"):
        npz(tmp_path / "array.npy")
    with pytest.raises(InputError, match=r"did you mean 'x\.npz'"):
        npz(tmp_path / "y.npz")


def test_class_names_of_bytes_and_labels_in_the_byte_order_of_others(tmp_path):
    names = np.array([b"Katze", "Vögel".encode(), b"\x1b[31mdog"])
    source = npz(_file(tmp_path, x_train=np.asfortranarray(X), y_train=Y.astype(">i8"), class_names=names))
    assert source.class_names == ("Katze", "Vögel", "\\x1b[31mdog")
    images = np.concatenate([source.train.images, source.held_out.images])[..., 0]
    assert sorted(image.tobytes() for image in images) == sorted(image.tobytes() for image in X)
    labels = {image.tobytes(): label for image, label in zip(X, Y, strict=True)}
    assert all(labels[image.tobytes()] == label for image, label in zip(*source.train[:2], strict=True))
