"""Sets: parts are a function of the data alone, features are computed once, and damage to what is kept is noticed."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from comparisons import NAMES, extractor
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from gen.data import DatasetSplits, Examples
from gen.data.captions import Captions
from gen.evaluation import extract_features, folder_reference, reference
from gen.features.extractor import Extractor


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("GEN_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def counted(**changes) -> tuple[Extractor, list[int]]:
    """An extractor that writes down of how many images it was asked."""
    plain, seen = extractor(), []

    def apply(images):
        seen.append(len(images))
        return plain.apply(images)

    return plain._replace(apply=apply, **changes), seen


def source(train: int = 30, held_out: int = 12, *, classes=NAMES, digest: str = "a" * 64) -> DatasetSplits:
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (train + held_out, 8, 8, 3), dtype=np.uint8)
    y = np.arange(len(x), dtype=np.int32) % 3 if classes else np.zeros(len(x), np.int32)
    facts = {"digest": digest} if digest else {}
    return DatasetSplits("x", Examples(x[:train], y[:train]), Examples(x[train:], y[train:]), classes, facts)


def test_sets_and_their_labels_features_and_logits_belong_together():
    data, network = source(), extractor()
    made = reference(data, network, references=10)
    assert [len(x) for x in (made.real, made.train, made.held_out)] == [10, 30, 10]
    assert (made.split, made.digest, made.class_names) == ("train", "a" * 64, NAMES)
    for part, examples in ((made.real, data.train), (made.train, data.train), (made.held_out, data.held_out)):
        at = [next(i for i, x in enumerate(examples.images) if (x == image).all()) for image in part.images]
        assert at == sorted(set(at))
        assert (part.labels == examples.labels[at]).all()
        assert (part.features == network.features(examples.images[at])).all()
        assert (part.logits == network.logits(examples.images[at])).all()


def test_which_images_are_compared_with_is_a_function_of_the_data():
    one, other = (reference(source(), extractor(), references=10) for _ in range(2))
    assert (one.real.images == other.real.images).all()
    assert not (one.real.images == one.train.images[:10]).all()
    held_out = reference(source(), extractor(), split="held_out")
    assert (held_out.real.images == held_out.held_out.images).all()
    assert held_out.split == "held_out"
    assert len(reference(source(), extractor(), most=5).train) == 5


def test_without_classes_there_are_no_labels():
    made = reference(source(classes=()), extractor(classes=0))
    assert made.real.labels is None
    assert made.real.logits is None
    assert made.class_names == ()


def test_features_are_computed_once(cache):
    network, seen = counted()
    one = reference(source(), network)
    assert seen == [30, 12]
    other = reference(source(), network, split="held_out")
    assert seen == [30, 12]
    for name in ("features", "logits", "labels", "images"):
        assert (getattr(one.train, name) == getattr(other.train, name)).all()
    reference(source(), network._replace(digest="b" * 64))
    reference(source(digest="c" * 64), network)
    assert seen == 3 * [30, 12]


def test_damage_to_kept_features_is_noticed(cache):
    network, seen = counted()
    whole = reference(source(), network)
    for file in cache.glob("measured-*.safetensors"):
        data = bytearray(file.read_bytes())
        data[len(data) // 2] ^= 1
        file.write_bytes(data)
    again = reference(source(), network)
    assert seen == 2 * [30, 12]
    assert (again.train.features == whole.train.features).all()


def test_forged_features_are_noticed(cache):
    network, seen = counted()
    reference(source(), network)
    for file in cache.glob("measured-*.safetensors"):
        with safe_open(file, "numpy") as kept:
            stored, metadata = load_file(file), kept.metadata()
        save_file({**stored, "features": stored["features"] + 1}, file, metadata)
    reference(source(), network)
    assert seen == 2 * [30, 12]


@pytest.mark.parametrize("changes", [{"digest": ""}, {"cacheable": False}])
def test_nothing_is_kept_where_digests_do_not_tell_all(cache, changes):
    network, seen = counted(**({} if "digest" in changes else changes))
    for _ in range(2):
        reference(source(**changes) if "digest" in changes else source(), network)
    assert seen == 2 * [30, 12]
    assert not cache.exists()


def test_a_cache_that_cannot_be_written_costs_a_warning(cache, caplog):
    cache.write_text("a file")
    assert len(reference(source(), extractor()).train) == 30
    assert "cannot write" in caplog.text


def test_a_folder_has_nothing_held_out():
    made = folder_reference(source(classes=()), extractor(classes=0), "d" * 64)
    assert (made.split, len(made.real), len(made.held_out)) == ("all", 30, 0)


def test_no_images_have_no_features():
    data = source()
    assert (
        extract_features(
            Examples(data.train.images[:0], data.train.labels[:0]), extractor(), labeled=True
        ).features.size
        == 0
    )


def test_images_with_a_caption_are_told_from_those_without():
    data = source(4)
    texts = Captions.packed([[b"one"], [], [b"two", b"zwei"], []])
    found = extract_features(data.train._replace(captions=texts), extractor(), labeled=True)
    assert found.captions[[0, 1, 3]].tolist() == ["one", "", ""]
    assert (found.captioned.images == data.train.images[[0, 2]]).all()
    assert (found.captioned.features == found.features[[0, 2]]).all()
    none = extract_features(data.train._replace(captions=Captions.packed([[]] * 4)), extractor(), labeled=True)
    assert none.captions is none.captioned is None


def test_taking_some_leaves_what_was_found_of_all_behind():
    whole = extract_features(source().train, extractor(), labeled=True)
    assert whole.manifold.distances.shape == (30, 5)
    some = whole.take(np.array([3, 1, 4, 1, 5, 9, 2]))
    assert some.manifold.distances.shape == (7, 5)
    assert (some.images == whole.images[[3, 1, 4, 1, 5, 9, 2]]).all()
    assert dataclasses.replace(whole, logits=None).take(np.arange(2)).logits is None
