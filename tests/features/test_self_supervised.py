"""The extractor that needs no download: trained once, kept, the same features in any set, better than no training."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from gen.data import DatasetSplits, Examples
from gen.features import classifier, self_supervised, self_supervised_extractor
from gen.features.network_training import Training, side_of

SHORT = Training(encoder_steps=2, classifier_steps=2, batch_size=8)
COLORS = ("red", "green", "blue")


def source(count: int = 24, *, side: int = 8, channels: int = 3, classes=COLORS, digest: str = "") -> DatasetSplits:
    """Noise, in the color of its class."""
    rng = np.random.default_rng(0)
    labels = np.arange(count + 9, dtype=np.int32) % 3
    images = rng.integers(0, 128, (len(labels), side, side, channels))
    images += 127 * (
        np.eye(3)[labels].astype(int)[:, None, None] if channels == 3 else labels[:, None, None, None] // 2
    )
    images = images.astype(np.uint8)
    labels = labels if classes else np.zeros_like(labels)
    facts = {"digest": digest} if digest else {}
    parts = (Examples(images[at], labels[at]) for at in (slice(count), slice(count, None)))
    return DatasetSplits("colors", *parts, classes, facts)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("GEN_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def trainings(monkeypatch) -> list[int]:
    """The numbers of steps of the trainings that were made."""
    made, train = [], self_supervised.fit
    for module in (self_supervised, classifier):
        monkeypatch.setattr(module, "fit", lambda *rest: made.append(rest[3]) or train(*rest))
    return made


def test_trained_once_and_kept(cache, trainings, caplog, monkeypatch):
    data = source()
    first, again = (self_supervised_extractor(data, training=SHORT) for _ in range(2))
    assert trainings == [2, 2]
    assert caplog.text.count("images of colors is trained, once") == 1
    assert first.name == "own"
    assert first.digest == again.digest
    assert first.accuracy == again.accuracy
    assert first.resize == "linear, antialiased, to 32 x 32"
    images = data.train.images
    for one, other in zip(first.apply(images), again.apply(images), strict=True):
        assert (one == other).all()
    features = first.features(images)
    assert (features.shape, features.dtype) == ((24, 256), np.float32)
    assert first.logits(images).shape == (24, 3)
    # Of unit variance in the mean, and the same of an image in any set.
    assert features.var(0).mean() == pytest.approx(1, rel=1e-3)
    for at in ([7], [23, 7], range(3, 20)):
        assert (first.features(images[list(at)]) == features[list(at)]).all()
    # A damaged file is made again.
    (file,) = cache.glob("features-*.safetensors")
    data_ = bytearray(file.read_bytes())
    data_[len(data_) // 2] ^= 1
    file.write_bytes(data_)
    monkeypatch.setattr(self_supervised, "train_encoder", lambda *_, **__: pytest.fail("trained again"))
    with pytest.raises(pytest.fail.Exception, match="trained again"):
        self_supervised_extractor(data, training=SHORT)


def test_other_data_and_other_training_are_other_extractors(monkeypatch):
    monkeypatch.setattr(self_supervised, "fit", lambda network, *rest: {"seen": np.zeros(3)})
    monkeypatch.setattr(self_supervised, "unit_scale", lambda *_: np.float32(1))
    keys = [
        self_supervised._key(source(), SHORT, 0),
        self_supervised._key(source(21), SHORT, 0),
        self_supervised._key(source(digest="a"), SHORT, 0),
        self_supervised._key(source(), SHORT._replace(encoder_steps=3), 0),
        self_supervised._key(source(), SHORT, 1),
        self_supervised._key(source(classes=()), SHORT, 0),
    ]
    assert len(set(keys)) == len(keys)
    assert self_supervised._key(source(), SHORT, 0) == keys[0]


@pytest.mark.parametrize(("side", "same"), [(8, True), (32, True), (64, False)])
def test_networks_of_larger_patches_are_not_mixed_with_those_that_were_kept_before(side, same):
    data = source(3, side=side, digest="a")
    before = f"{self_supervised._VERSION} a {data.image_shape} 3 {tuple(SHORT)} 0"
    found = self_supervised._key(data, SHORT, 0) == hashlib.sha256(before.encode()).hexdigest()[:16]
    assert found == same


def test_gray_images_without_classes_by_the_default_training(monkeypatch, trainings):
    monkeypatch.setattr(self_supervised, "DEFAULT", SHORT._replace(encoder_steps=1))
    data = source(9, side=50, channels=1, classes=())
    made = self_supervised_extractor(data)
    assert trainings == [1]
    seen = made.apply(data.train.images)
    assert seen.features.shape == (9, 256)
    assert seen.logits is made.accuracy is None
    assert [side_of((side, 20, 3)) for side in (8, 32, 47, 48, 500)] == [32, 32, 32, 64, 64]
