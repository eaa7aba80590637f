"""The U-Net: shapes, what each input does, what it refuses."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gen.errors import InputError
from gen.models.text_encoder import Encoded
from gen.models.unet import PRESETS, UNet, _CrossAttention
from gen.text import VOCABULARY, tokens_of

SMALL = {"widths": (8, 12), "blocks": 1, "embedding": 16, "pixel_width": 4, "image_shape": (8, 12, 3)}


def inputs(count=2, channels=3):
    z = jax.random.normal(jax.random.key(1), (count, 8, 12, channels))
    return z, jnp.linspace(0.1, 0.9, count), jnp.arange(count, dtype=jnp.int32)


def stirred(network, *given):
    """Parameters away from the start, where the output is 0."""
    params = jax.eval_shape(network.init, jax.random.key(0), *given)
    rng = np.random.default_rng(0)
    return jax.tree.map(lambda leaf: 0.3 * rng.normal(size=leaf.shape).astype(np.float32), params)


def test_it_makes_images_of_the_shape_of_its_input():
    made, _ = jax.eval_shape(UNet(**SMALL, num_classes=2).init_with_output, jax.random.key(0), *inputs())
    assert (made.shape, made.dtype) == ((2, 8, 12, 3), jnp.float32)


def test_positions_read_the_caption_by_the_definition_of_attention():
    read = _CrossAttention(heads=2, size=4)
    x = jax.random.normal(jax.random.key(0), (1, 2, 3, 6))
    text = Encoded(jnp.ones((1, 5)), jax.random.normal(jax.random.key(1), (1, 4, 5)), jnp.array([[1.0, 1.0, 1.0, 0.0]]))
    params = stirred(read, x, text)
    kernels = {name: np.asarray(leaf["kernel"]) for name, leaf in params["params"].items() if "kernel" in leaf}
    scales = {name: np.asarray(leaf["scale"]) for name, leaf in params["params"].items() if "scale" in leaf}
    rows = np.concatenate([np.ones((1, 5)), text.states[0, :3]])  # that beyond the end is not read
    flat = np.asarray(x).reshape(6, 6)

    def normal(row, name):
        return row / np.sqrt(np.mean(row**2, axis=-1, keepdims=True) + 1e-6) * scales[name]

    query, key = normal(flat @ kernels["query"], "query_norm"), normal(rows @ kernels["key"], "key_norm")
    value, found = rows @ kernels["value"], []
    for head in (slice(0, 4), slice(4, 8)):
        weight = np.exp(query[:, head] @ key[:, head].T / 4**0.5)
        found.append(weight / weight.sum(1, keepdims=True) @ value[:, head])
    expected = flat + np.concatenate(found, 1) @ kernels["out"]
    np.testing.assert_allclose(np.asarray(read.apply(params, x, text)).reshape(6, 6), expected, atol=2e-5)


@pytest.mark.parametrize("levels", [0, 1, 2])
def test_captions_count_and_what_fills_them_does_not(levels):
    network = UNet(**SMALL, vocabulary=VOCABULARY, text_width=8, text_levels=levels)
    z, time, label = inputs()
    caption = jnp.asarray(tokens_of([b"a red star", b"a ring"], 12))
    params = stirred(network, z, time, label, caption)
    apply = jax.jit(network.apply)
    made = apply(params, z, time, label, caption)
    np.testing.assert_allclose(
        made, apply(params, z, time, label, jnp.pad(caption, ((0, 0), (0, 8)))), rtol=1e-3, atol=1e-3
    )
    for other in (b"a rung", None, b""):
        changed = apply(params, z, time, label, jnp.asarray(tokens_of([b"a red star", other], 12)))
        np.testing.assert_array_equal(made[0], changed[0])
        assert np.isfinite(changed).all()
        assert float(jnp.abs(made[1] - changed[1]).max()) > 1e-4
    readers = [name for name in params["params"] if name.startswith("_CrossAttention")]
    assert len(readers) == 2 * levels  # on the way down and on the way up


@pytest.mark.parametrize("patch", [1, 2])
def test_every_input_counts_and_images_do_not_mix(patch):
    network = UNet(**SMALL, patch=patch, num_classes=2)
    z, time, label = inputs()
    context = jnp.ones((2, 8, 12, 1))
    params = stirred(network, z, time, label, context)
    apply = jax.jit(network.apply)
    made = apply(params, z, time, label, context)
    for changed in (
        (z.at[1].add(0.5), time, label, context),
        (z, time.at[1].add(0.05), label, context),
        (z, time, label.at[1].set(2), context),  # unknown
        (z, time, label, context.at[1].set(0.0)),
    ):
        other = apply(params, *changed)
        np.testing.assert_array_equal(made[0], other[0])
        assert float(jnp.abs(made[1] - other[1]).max()) > 1e-4


def test_without_classes_labels_do_not_count():
    network = UNet(**SMALL)
    z, time, label = inputs()
    apply, params = jax.jit(network.apply), stirred(network, z, time, label)
    np.testing.assert_array_equal(apply(params, z, time, label), apply(params, z, time, label + 1))


def test_it_computes_in_bfloat16_and_gives_float32():
    z, time, label = inputs()
    params = stirred(UNet(**SMALL), z, time, label)
    full, half = (jax.jit(UNet(**SMALL, bfloat16=b).apply)(params, z, time, label) for b in (False, True))
    assert half.dtype == jnp.float32
    difference = float(jnp.abs(full - half).mean() / jnp.abs(full).mean())
    assert 0 < difference < 0.05, difference


def test_a_pixel_sees_across_patches():
    """At the end the patches are blended: each pixel of a patch has a weight on pixels of its neighbors."""
    network = UNet(**{**SMALL, "blocks": 0, "widths": (8,)}, patch=4)
    z, time, label = inputs(1)
    params = stirred(network, z, time, label)
    reach = jax.jit(jax.grad(lambda z: network.apply(params, z, time, label)[0, 3, 3].sum()))(z)[0]
    assert jnp.abs(reach[4:6, 4:6]).min() > 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"patch": 8}, "halves images to positions of 16 x 16 pixels, which do not divide the 8 x 12"),
        ({"widths": (0, 8)}, "task.network.widths"),
        ({"embedding": 0}, "task.network.embedding"),
        ({"blocks": -1}, "task.network.blocks"),
    ],
)
def test_it_refuses_what_does_not_fit(changes, message):
    with pytest.raises(InputError, match=message.replace(".", r"\.")):
        UNet(**{**SMALL, **changes}).check("task.network")


def test_the_presets_fit_32_pixels():
    for fields in PRESETS.values():
        UNet(**fields, image_shape=(32, 32, 1)).check("task.network")


def test_the_pixels_of_a_patch_start_alike():
    """Without the input's own path, an image of the start is one of repeated pixels."""
    params = jax.jit(UNet(**SMALL, patch=2).init)(jax.random.key(0), *inputs())
    kernel = params["params"]["fine"]["kernel"].reshape(8, 4, 4)
    np.testing.assert_array_equal(kernel, np.broadcast_to(kernel[:, :1], (8, 4, 4)))
    assert float(kernel.std()) == pytest.approx(8**-0.5, rel=0.3)


@pytest.mark.parametrize(
    ("side", "patch", "used"),
    [
        (32, 2, (48, 128, 192)),
        (64, 2, (32, 48, 128, 192)),
        (128, 2, (16, 32, 48, 128, 192)),
        (256, 2, (16, 32, 48, 128, 192)),
        (48, 2, (48, 128, 192)),
        (16, 2, (128, 192)),
        (8, 2, (128, 192)),
        (8, 1, (128, 192)),
        (16, 1, (48, 128, 192)),
    ],
)
def test_a_resolution_uses_as_many_levels_as_it_needs(side, patch, used):
    network = UNet(widths=(16, 32, 48, 128, 192), blocks=1, patch=patch, image_shape=(side, side, 3))
    assert network.level_widths == used
    assert network.factor == patch * 2 ** (len(used) - 1)
    network.check("task.network")
