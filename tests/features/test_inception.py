"""The Inception network against torch-fidelity with the same random weights, and the mistakes that ports make."""

from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from make_goldens_inception import PIXELS, TAPS, torch_fidelity
from random_inception import weights

from gen.errors import InputError
from gen.features import inception as extractor
from gen.features.inception import checked, inception
from gen.features.weights import read_weights
from gen.models import inception as model
from gen.models.inception import Inception, Unit, prepare, resize_tf1

GOLDENS = dict(np.load(Path(__file__).parent / "goldens" / "inception.npz"))
IMAGES = GOLDENS["images"]


def apply(params, prepared):
    return Inception().apply({"params": params}, prepared)


def error(found, tap: str) -> float:
    """The largest difference from torch-fidelity, relative to its largest number."""
    golden = GOLDENS[tap]
    assert found.shape == golden.shape
    assert found.dtype == golden.dtype == np.float32
    return float(np.abs(np.asarray(found) - golden).max() / np.abs(golden).max())


@pytest.fixture(scope="module")
def taps():
    # Not compiled as a whole, as the extractor below is: the networks with mistakes share most of its operations.
    return apply(weights(), prepare(jnp.asarray(IMAGES)))


@pytest.mark.parametrize("tap", TAPS)
def test_features_are_those_of_torch_fidelity(taps, tap):
    assert error(taps[tap], tap) < 5e-6
    assert np.std(GOLDENS[tap], 0).max() > 0.01 * np.abs(GOLDENS[tap]).max()  # the two pictures differ


def test_live_torch_fidelity():
    for name in ("torchvision", "torch_fidelity"):
        pytest.importorskip(name)
    live = torch_fidelity(weights(), IMAGES)
    for tap in TAPS:
        np.testing.assert_allclose(live[tap], GOLDENS[tap], rtol=0, atol=2e-6 * np.abs(GOLDENS[tap]).max())


# Resizing


def test_resize_is_that_of_tensorflow_1():
    np.testing.assert_allclose(resize_tf1(jnp.asarray(IMAGES), 299, 299)[PIXELS], GOLDENS["resized"], rtol=1e-6)
    large = np.random.default_rng(1).integers(0, 256, (1, 331, 600, 3), np.uint8)
    np.testing.assert_allclose(resize_tf1(jnp.asarray(large), 299, 299)[PIXELS], GOLDENS["smaller"], rtol=1e-6)


def test_resize_by_hand():
    row = jnp.array([0, 10, 40], jnp.uint8).reshape(1, 1, 3, 1)
    # Twice as wide: at 0, 0.5, 1, 1.5, 2 and 2.5, where the border is repeated.
    np.testing.assert_array_equal(resize_tf1(row, 1, 6).ravel(), [0, 5, 10, 25, 40, 40])
    np.testing.assert_array_equal(resize_tf1(row.reshape(1, 3, 1, 1), 6, 1).ravel(), [0, 5, 10, 25, 40, 40])
    np.testing.assert_array_equal(resize_tf1(row, 2, 3), jnp.tile(row, (1, 2, 1, 1)))
    np.testing.assert_array_equal(resize_tf1(jnp.asarray(IMAGES), 40, 52), IMAGES)


# The mistakes that ports make, by one or the other of which most published numbers differ


def pads_count(patch):
    patch.setitem(model.POOLS, "average", lambda x: nn.avg_pool(x, (3, 3), padding="SAME"))


def last_pool_averages(patch):
    patch.setitem(model.POOLS, "maximum", model.POOLS["average"])


def epsilon_of_pytorch(patch):
    patch.setattr(model, "EPSILON", 1e-5)


def half_pixels(patch):
    def resize(images, height, width):
        return jax.image.resize(images, (len(images), height, width, 3), "bilinear", antialias=False)

    patch.setattr(model, "resize_tf1", resize)


def scaled_by_127_5(patch):
    patch.setattr(model, "prepare", lambda images: resize_tf1(images, 299, 299) / 127.5 - 1)


def blue_first(patch):
    patch.setattr(model, "prepare", lambda images: prepare(images[..., ::-1]))


def network_with(patch, change):
    """The network with every step changed."""

    def changed(step):
        parts = [changed(part) for part in step] if isinstance(step, list | tuple) else step
        return change(tuple(parts) if isinstance(step, tuple) else parts)

    patch.setattr(model, "NETWORK", {tap: changed(steps) for tap, steps in model.NETWORK.items()})


def joined_in_another_order(patch):
    first = {"Mixed_5b.branch1x1", "Mixed_7b.branch3x3_2a"}
    starts = lambda step: isinstance(step, list) and isinstance(step[0], Unit) and step[0].name in first  # noqa: E731
    network_with(patch, lambda step: step[::-1] if starts(step) else step)


def rows_for_columns(patch):
    def change(step):
        return dataclasses.replace(step, kernel=step.kernel[::-1]) if isinstance(step, Unit) else step

    network_with(patch, change)
    return {name: array.swapaxes(2, 3) if array.ndim == 4 else array for name, array in weights().items()}


MISTAKES = [
    *(pads_count, last_pool_averages, epsilon_of_pytorch, rows_for_columns, half_pixels),
    *(scaled_by_127_5, blue_first, joined_in_another_order),
]


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake.__name__)
def test_mistake_shows(monkeypatch, mistake):
    params = mistake(monkeypatch) or weights()
    found = apply(params, model.prepare(jnp.asarray(IMAGES, jnp.float32)))
    print(f"{mistake.__name__}: {error(found['2048'], '2048'):.1e}")
    assert error(found["2048"], "2048") > 1e-3


# The extractor


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "weights.npz"
    np.savez(path, **weights())
    return path


@pytest.fixture(scope="module")
def made(path):
    return inception(path, batch_size=2)


def test_extractor_from_a_file(made):
    three = made.features(IMAGES[[1, 0, 1]])
    assert error(three[1::-1], "2048") < 5e-6
    np.testing.assert_array_equal(three[0], three[2])  # alone in a batch that was filled with zeros
    # Floats take the same way.
    assert error(made.logits(IMAGES / np.float32(255)), "logits_unbiased") < 5e-6


def test_gray_is_three_equal_channels(made):
    with pytest.raises(InputError, match="4 channels"):
        made.features(np.zeros((1, 40, 52, 4), np.uint8))
    images = jnp.asarray(IMAGES[..., :1]) / 255
    shape = jax.eval_shape(lambda x: extractor._apply(weights(), x, layer="64"), images)
    assert shape.shape == (2, 64 + 1008)
    np.testing.assert_array_equal(extractor.rgb(images), jnp.concatenate([images] * 3, -1))


def test_only_the_published_weights_are_called_fid(monkeypatch, path, made):
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert (made.name, made.digest) == (f"inception-{digest[:12]}", digest)
    assert inception(path, layer=64).name == f"inception-{digest[:12]}-64"
    assert inception(path, layer=64).digest not in (made.digest, inception(path, layer=192).digest)
    monkeypatch.setattr(extractor, "FID_DIGEST", digest)
    assert inception(path).name == "fid"
    assert inception(path, layer=768).name != "fid"


def test_state_dict_in_the_format_of_the_published_file(tmp_path, made):
    torch = pytest.importorskip("torch")
    state = {name: torch.from_numpy(array) for name, array in weights().items()}
    state["Conv2d_1a_3x3.bn.num_batches_tracked"] = torch.tensor(0)
    torch.save(state, tmp_path / "weights.pth", _use_new_zipfile_serialization=False)
    tensors = read_weights(tmp_path / "weights.pth").tensors
    given = checked(tensors, "weights.pth")
    assert given.keys() == weights().keys()
    assert all(np.array_equal(given[name], weights()[name]) for name in weights())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"fc.bias": None}, "'fc.bias' is missing"),
        ({"fc.bias": np.zeros(1000, np.float32)}, r"'fc.bias' is float32\[1000\]; .* float32\[1008\]"),
        ({"fc.bias": np.zeros(1008, np.int64)}, "'fc.bias' is int64"),
        ({"fc.biases": np.zeros(1008, np.float32)}, r"'fc.biases' is no weight .* did you mean 'fc.bias'\?"),
        ({"AuxLogits.fc.weight": np.zeros(3, np.float32)}, "'AuxLogits.fc.weight' is no weight"),
    ],
)
def test_other_networks_are_refused(change, message):
    tensors = {name: array for name, array in {**weights(), **change}.items() if array is not None}
    with pytest.raises(InputError, match=message):
        checked(tensors, "weights.pth")


def test_what_can_be_wrong_is_said(tmp_path, path):
    with pytest.raises(InputError, match="layer=1000; allowed: 64, 192, 768, 2048"):
        inception(path, layer=1000)
    with pytest.raises(InputError, match=r"no such file.*pt_inception-2015-12-05-6726825d\.pth.*not downloaded"):
        inception(tmp_path / "none.pth")
