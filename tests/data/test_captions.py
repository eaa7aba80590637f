"""Captions: packed, drawn by (seed, step), described, kept by the cache and put on the devices."""

import jax
import numpy as np

from gen import text
from gen.data import captions
from gen.data.cache import cached
from gen.data.captions import Captions
from gen.data.dataset import BatchSampler, Examples
from gen.data.loader import DeviceLoader
from gen.devices import mesh

TEXTS = [[b"one"], [], [b"two", "zwei ü".encode(), b"deux"], [b"three"]]


def test_captions_are_found_by_image_and_by_number():
    packed = Captions.packed(TEXTS)
    assert [packed.of(i) for i in range(4)] == [["one"], [], ["two", "zwei ü", "deux"], ["three"]]
    images = np.array([2, 1, 0, 2])
    assert packed.drawn(images, np.array([0.99, 0.5, 0.0, 0.34])) == [b"deux", None, b"one", "zwei ü".encode()]
    assert [packed.subset(images).of(i) for i in range(4)] == [packed.of(i) for i in images]


def test_every_caption_of_an_image_is_drawn_equally_often():
    uniform = np.random.default_rng(0).random(3000)
    drawn = Captions.packed(TEXTS).drawn(np.full(3000, 2), uniform)
    assert all(900 < drawn.count(given) < 1100 for given in TEXTS[2])


def test_data_json_says_how_many_there_are_and_how_long():
    about = captions.described(Captions.packed([*TEXTS, [b"x" * 100]]))
    assert about == {
        "images": 4,
        "captions": 6,
        "median_bytes": 4.5,
        "longest_bytes": 100,
        "bytes": bytes(sorted(set("one two zwei ü deux three x".encode()))).hex(),
        "length": 104,
    }
    assert captions.described(None) == captions.described(Captions.packed([[], []])) == {}
    assert captions.shortened([" a ", "", "\t", "é" * 200]) == [b"a", "é".encode() * 127]


def test_the_cache_keeps_them_and_its_digest_tells_them_apart(cache):
    images = np.random.default_rng(0).integers(0, 256, (6, 4, 4, 3), np.uint8)

    def source(name, given):
        def make(add):
            add("train", images[:2], [0, 0], given[:2])
            add("train", images[2:4], [0, 0], given[2:4])
            add("held_out", images[4:], [0, 0], None if given[0] is None else [[], []])
            return (), {"source": "test"}

        return cached(name, {}, make, identity="1")

    made = [source("x", TEXTS) for _ in range(2)]  # written, then read
    for found in made:
        assert [found.train.captions.of(i) for i in range(4)] == [["one"], [], ["two", "zwei ü", "deux"], ["three"]]
        assert found.held_out.captions.of(1) == []
        assert (found.metadata["captions"]["captions"], found.caption_length) == (5, 64)
    other = source("y", [[b"other"], *TEXTS[1:]])
    assert made[0].metadata["digest"] == made[1].metadata["digest"] != other.metadata["digest"]

    cache.chmod(0o500)  # nothing can be kept
    try:
        unkept = source("z", TEXTS)
    finally:
        cache.chmod(0o700)
    assert unkept.metadata["digest"] == made[0].metadata["digest"]
    assert unkept.train.captions.of(3) == ["three"]


def test_a_batch_has_one_caption_of_each_image_by_seed_and_step():
    examples = Examples(np.zeros((4, 2, 2, 1), np.uint8), np.arange(4, dtype=np.int32), Captions.packed(TEXTS))
    sampler = BatchSampler(examples, 8, seed=3, caption_length=16)
    batches = [sampler.batch(step) for step in (0, 1, 0)]
    np.testing.assert_array_equal(batches[0]["caption"], batches[2]["caption"])
    for step, batch in enumerate(batches[:2]):
        assert batch["caption"].shape == (8, 16)
        assert batch["caption"].dtype == np.int32
        for label, found in zip(batch["label"], text.texts_of(batch["caption"]), strict=True):
            assert found is None if label == 1 else found.encode() in TEXTS[label]
        part = sampler.batch(step, rows=slice(2, 5))
        np.testing.assert_array_equal(part["caption"], batch["caption"][2:5])
    seen = {found for step in range(20) for found in text.texts_of(sampler.batch(step)["caption"])}
    assert seen == {None, "one", "two", "zwei ü", "deux", "three"}
    assert "caption" not in BatchSampler(examples, 8).batch(0)


def test_the_devices_get_the_captions_of_the_host():
    examples = Examples(np.zeros((4, 2, 2, 1), np.uint8), np.arange(4, dtype=np.int32), Captions.packed(TEXTS))
    sampler = BatchSampler(examples, 8, caption_length=16)
    for size in (2**30, 0):  # all on the devices; from the host
        loader = DeviceLoader(sampler, mesh(-1, 1), device_bytes=size)
        for step in (0, 1):
            found = jax.device_get(loader(step))
            assert found.keys() == {"image", "label", "caption"}
            for name, value in sampler.batch(step).items():
                np.testing.assert_array_equal(found[name], value)
