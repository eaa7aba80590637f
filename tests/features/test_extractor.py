"""Extractors: named by a flag, the same features of an image in any set, digests that tell networks apart."""

from __future__ import annotations

import importlib
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gen import devices
from gen.data import DatasetSplits, Examples
from gen.errors import InputError
from gen.features import custom, parse_extractor, pixels
from gen.features import extractor as module
from gen.features.extractor import batched

IMAGES = np.random.default_rng(0).integers(0, 256, (21, 20, 24, 3), dtype=np.uint8)
SOURCE = DatasetSplits("x", Examples(IMAGES, np.zeros(21, np.int32)), Examples(IMAGES[:0], np.zeros(0, np.int32)))


def plugin(tmp_path, monkeypatch, text: str, name: str = "h4_plugin") -> str:
    """A package that the user allows."""
    (tmp_path / f"{name}.py").write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("GEN_PACKAGES", name)
    monkeypatch.delitem(sys.modules, name, raising=False)
    importlib.invalidate_caches()
    return name


def test_an_image_has_the_same_features_in_any_set():
    weights = np.random.default_rng(1).normal(size=(20 * 24 * 3, 40)).astype(np.float32)
    run = batched(lambda w, x: jnp.tanh(x.reshape(len(x), -1) @ w / 100), weights, batch_size=8)
    whole = run(IMAGES)
    assert whole.shape == (21, 40)
    for at in ([20], [0, 20], range(8), range(1, 10), [*range(20, -1, -1)], [5] * 17):
        assert (run(IMAGES[list(at)]) == whole[list(at)]).all(), at


def test_one_device_works_whatever_the_mesh_of_the_caller():
    sizes = []

    def network(_, x):
        sizes.append(jax.sharding.get_abstract_mesh().size)
        return x.mean((1, 2))

    with jax.set_mesh(devices.mesh(-1, 1)):
        assert jax.sharding.get_abstract_mesh().size == 8
        found = batched(network, None)(IMAGES)
        assert jax.sharding.get_abstract_mesh().size == 8
    assert sizes == [1]
    np.testing.assert_allclose(found, IMAGES.mean((1, 2)) / 255, rtol=1e-5)


def test_bytes_and_floats_are_one_image():
    run = batched(lambda _, x: x.reshape(len(x), -1), None, batch_size=8)
    floats = IMAGES / np.float32(255)
    assert (run(IMAGES) == run(floats)).all()
    assert (run(floats) == floats.reshape(21, -1)).all()


def test_large_images_come_in_smaller_batches(monkeypatch):
    sizes = []

    def network(_, x):
        sizes.append(x.shape)
        return x.mean((1, 2))

    monkeypatch.setattr(module, "_NUMBERS", 3 * IMAGES[0].size)
    found = batched(network, None)(IMAGES)
    assert sizes == [(3, 20, 24, 3)]  # of the one compilation
    np.testing.assert_allclose(found, IMAGES.mean((1, 2)) / 255, rtol=1e-5)
    monkeypatch.setattr(module, "_NUMBERS", 1)
    assert (batched(network, None)(IMAGES).shape, sizes[-1]) == ((21, 3), (1, 20, 24, 3))


@pytest.mark.parametrize("wrong", [IMAGES[:0], IMAGES[0]])
def test_what_is_no_set_of_images_is_refused(wrong):
    with pytest.raises(InputError, match=r"allowed: \[n h w c\]"):
        pixels().features(wrong)


def test_pixels_are_averages():
    made = pixels(4)
    assert made.name == "pixels"
    blocks = IMAGES.reshape(21, 4, 5, 4, 6, 3).mean((2, 4)) / 255
    np.testing.assert_allclose(made.features(IMAGES), blocks.reshape(21, -1), atol=1e-5)
    assert made.logits(IMAGES) is None
    assert made.digest != pixels(8).digest
    assert len(made.digest) == 64
    assert pixels().features(IMAGES[..., :1]).shape == (21, 256)


CODE = """
import numpy as np
SCALE = 1.0
def means(images):
    assert images.dtype == np.uint8
    return SCALE * images.mean((1, 2))
def one(images):
    return images.mean()
nothing = 3
"""


def test_a_function_of_the_user_measures(tmp_path, monkeypatch):
    name = plugin(tmp_path, monkeypatch, CODE)
    made = parse_extractor(f"{name}:means", SOURCE)
    assert made.name == f"{name}:means"
    assert not made.cacheable
    assert made.features(IMAGES).dtype == np.float32
    np.testing.assert_allclose(made.features(IMAGES), IMAGES.mean((1, 2)), rtol=1e-6)
    assert made.digest == custom(f"{name}:means").digest
    assert made.digest != custom(f"{name}:one").digest
    with pytest.raises(InputError, match="takes images of bytes"):
        made.features(IMAGES / np.float32(255))
    with pytest.raises(InputError, match=r"gave \[\] of 21 images; it must give \[n d\]"):
        custom(f"{name}:one").features(IMAGES)
    plugin(tmp_path, monkeypatch, CODE.replace("1.0", "2.00"))
    assert custom(f"{name}:means").digest != made.digest  # though the function reads the same


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("h4_plugin:mean", "there is no 'mean' in h4_plugin; did you mean 'means'"),
        ("h4_plugin.x:means", "there is no such module"),
        ("os.path:join", "outside the packages that a run may use"),
        ("owl", "did you mean 'own'.*; allowed: own, random, pixels, fid:WEIGHTS, package.module:function"),
        ("own:x", "allowed: own, random, pixels"),
        ("pixel:x", "did you mean 'pixels'"),
        ("h4_plugin", "allowed: own, random, pixels"),
        (":x", "allowed: own, random, pixels"),
        ("fid", "needs the weights"),
        ("fid:absent.pth", "absent.pth: no such file; the weights of FID are at https"),
    ],
)
def test_a_wrong_extractor_is_refused_in_one_line(tmp_path, monkeypatch, text, message):
    plugin(tmp_path, monkeypatch, CODE)
    with pytest.raises(InputError, match=message) as caught:
        parse_extractor(text, SOURCE)
    assert "\n" not in str(caught.value)
