"""The networks of R3GAN: sizes, starting point, precision, and that an image is judged by itself."""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny

from gen.errors import InputError
from gen.metrics import spectrum
from gen.models.layers import LEAKY_RELU_GAIN
from gen.models.r3gan import PRESETS, Block, Discriminator, Generator

LABEL = jax.ShapeDtypeStruct((2,), jnp.int32)


def tiny_network(network, **changes):
    return network(**{**tiny.NETWORK, "image_shape": tiny.IMAGE_SHAPE, "num_classes": tiny.NUM_CLASSES, **changes})


def abstract(network):
    """Output and parameters of a network without computing them."""
    given = (2, network.latent) if isinstance(network, Generator) else (2, *network.image_shape)
    return jax.eval_shape(network.init_with_output, jax.random.key(0), jax.ShapeDtypeStruct(given, jnp.float32), LABEL)


def millions(variables) -> float:
    return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(variables)) / 1e6


def anywhere(network):
    """Parameters away from their start, where blocks are no identity and every path is open."""
    rng = np.random.default_rng(7)
    return jax.tree.map(lambda leaf: 0.3 * rng.normal(size=leaf.shape).astype(np.float32), abstract(network)[1])


# -- Sizes


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_makes_and_judges_images_of_its_resolution(name):
    side = {"ffhq64": 64, "ffhq256": 256, "imagenet64": 64}.get(name, 32)
    shape = (side, side, 3)
    for classes in (0, 10):
        images, _ = abstract(Generator(**PRESETS[name].generator, image_shape=shape, num_classes=classes))
        logits, _ = abstract(Discriminator(**PRESETS[name].discriminator, image_shape=shape, num_classes=classes))
        assert (images.shape, images.dtype) == ((2, *shape), jnp.float32)
        assert (logits.shape, logits.dtype) == ((2,), jnp.float32)


@pytest.mark.parametrize(
    ("name", "side", "classes", "generator", "discriminator"),
    [
        ("cifar10", 32, 10, 20.8, 21.3),
        ("ffhq64", 64, 0, 22.4, 22.4),
        ("ffhq256", 256, 0, 23.1, 23.0),
        ("imagenet64", 64, 1000, 103.6, 107.2),
    ],
)
def test_parameter_counts_are_the_published_ones(name, side, classes, generator, discriminator):
    """In millions."""
    facts = {"image_shape": (side, side, 3), "num_classes": classes}
    _, g_params = abstract(Generator(**PRESETS[name].generator, **facts))
    _, d_params = abstract(Discriminator(**PRESETS[name].discriminator, **facts))
    assert millions(g_params) == pytest.approx(generator, abs=0.06)
    assert millions(d_params) == pytest.approx(discriminator, abs=0.06)


def test_grayscale_and_patches():
    for patch, side in ((1, 8), (2, 16), (4, 32)):
        changes = {"patch": patch, "image_shape": (side, side, 1)}
        assert abstract(tiny_network(Generator, **changes))[0].shape == (2, side, side, 1)
        assert abstract(tiny_network(Discriminator, **changes))[0].shape == (2,)


def test_the_image_end_adds_no_grid_of_patches():
    """White latents of a new generator: no more power at the patches' frequencies than beside them."""
    network = tiny_network(Generator, widths=(16, 8, 8), patch=4, image_shape=(64, 64, 3), num_classes=0)
    latent = jax.random.normal(jax.random.key(0), (200, network.latent))
    images, _ = jax.jit(network.init_with_output)(jax.random.key(1), latent, jnp.zeros(200, jnp.int32))
    power = spectrum.line_power(np.clip((np.asarray(images) + 1) / 2, 0, 1)).mean(axis=0)  # at k / 64
    assert power[32] <= power[24]  # a period of 2 pixels, and what lies between the patches' frequencies
    assert power[16] <= power[12]


@pytest.mark.parametrize("network", [Generator, Discriminator])
def test_of_the_widths_as_many_are_used_as_the_resolution_needs(network):
    for patch in (1, 2):
        for n, side in enumerate((4, 8, 16, 32), 1):
            shape = (patch * side, patch * side, 3)
            widths = (16, 12, 8, 4)
            some = tiny_network(network, widths=widths, patch=patch, image_shape=shape)
            some.check("task.generator")
            exact = tiny_network(network, widths=widths[:n], patch=patch, image_shape=shape)
            assert abstract(some) == abstract(exact)
            assert some.stage_widths == widths[:n]


@pytest.mark.parametrize("network", [Generator, Discriminator])
@pytest.mark.parametrize("image_shape", [(32, 32, 3), (16, 8, 3), (15, 15, 3)])
def test_another_resolution_is_refused_in_one_line(network, image_shape):
    tiny_network(network).check("task.generator")
    with pytest.raises(InputError) as error:
        tiny_network(network, image_shape=image_shape).check("task.generator")
    message = str(error.value)
    assert "task.generator.widths=(16, 8) with patch=2 makes square images of 8, 16 pixels a side" in message
    assert f"the data is {image_shape[0]} x {image_shape[1]}" in message
    assert "\n" not in message


# -- Classes


def test_without_classes_there_is_no_embedding_and_labels_are_ignored():
    for network, given in ((Generator, jnp.ones((2, 8))), (Discriminator, jnp.ones((2, 16, 16, 3)))):
        changes = {"latent": 8} if network is Generator else {}
        free = tiny_network(network, num_classes=0, **changes)
        variables = anywhere(free)
        assert not any("Embed" in name for name in variables["params"])
        np.testing.assert_array_equal(*jax.jit(free.apply)(variables, given, jnp.array([0, 5])))
        bound = tiny_network(network, **changes)
        variables = anywhere(bound)
        one, other = jax.jit(bound.apply)(variables, given, jnp.array([3, 5]))
        assert jnp.abs(one - other).max() > 1e-3  # the same latent or image under two labels


# -- At the start


def test_blocks_start_as_the_identity_and_at_the_scale_of_fixup():
    x = jax.random.normal(jax.random.key(0), (2, 8, 8, 64))
    y, variables = jax.jit(Block(expansion=2.0, group_size=16, depth=16).init_with_output)(jax.random.key(1), x)
    np.testing.assert_array_equal(y, x)
    kernels = [variables["params"][f"Conv_{i}"]["kernel"] for i in range(3)]
    assert [k.shape for k in kernels] == [(1, 1, 64, 128), (3, 3, 16, 128), (1, 1, 128, 64)]
    gain = LEAKY_RELU_GAIN * 16**-0.25
    assert [float(jnp.std(k)) for k in kernels] == pytest.approx([gain / 8, gain / 12, 0.0], rel=0.05)


def test_images_and_logits_start_at_unit_scale():
    keys = jax.random.split(jax.random.key(0), 3)
    generator = tiny_network(Generator, widths=(64, 64), latent=64, embedding=64)
    latent, label = jax.random.normal(keys[0], (256, 64)), jnp.arange(256) % 8
    images, _ = jax.jit(generator.init_with_output)(keys[1], latent, label)
    assert 0.5 < float(jnp.sqrt(jnp.mean(jnp.square(images)))) < 2
    assert float(jnp.std(images, axis=0).mean()) > 0.5  # latents differ, so do images
    discriminator = tiny_network(Discriminator, widths=(64, 64), embedding=64)
    white = jax.random.normal(keys[2], (256, 16, 16, 3))
    logits, _ = jax.jit(discriminator.init_with_output)(keys[1], white, label)
    assert 0.05 < float(jnp.std(logits)) < 5


# -- Precision and independence


def stages_in_bfloat16(network) -> set[int]:
    """Sides s of the stages whose 1x1 convolutions, products of [2*s*s c], the network computes in bfloat16."""
    given = (2, network.latent) if isinstance(network, Generator) else (2, *network.image_shape)
    _, variables = abstract(network)
    jaxpr = jax.make_jaxpr(network.apply)(variables, jax.ShapeDtypeStruct(given, jnp.float32), LABEL)
    sides = set()
    for equation in jaxpr.eqns:
        for atom in equation.outvars:
            if atom.aval.dtype == jnp.bfloat16 and equation.primitive.name == "dot_general":
                sides.add(math.isqrt(atom.aval.shape[0] // 2))
    return sides


@pytest.mark.parametrize("network", [Generator, Discriminator])
def test_bfloat16_only_where_asked(network):
    for start, sides in ((None, set()), (16, {16}), (8, {8, 16}), (4, {4, 8, 16})):
        made = tiny_network(network, bfloat16_from=start, widths=(16, 16, 16), patch=1)
        assert stages_in_bfloat16(made) == sides
        output, variables = abstract(made)
        assert output.dtype == jnp.float32
        assert {leaf.dtype for leaf in jax.tree.leaves(variables)} == {jnp.dtype(jnp.float32)}


@pytest.mark.parametrize("group_size", [None, 4])
def test_a_logit_depends_on_its_own_image_only(group_size):
    network = tiny_network(Discriminator, group_size=group_size)
    images = jax.random.normal(jax.random.key(0), (4, *tiny.IMAGE_SHAPE))
    label = jnp.array([0, 3, 3, 7])
    variables = anywhere(network)
    judge = jax.jit(network.apply)
    logits = judge(variables, images, label)
    assert len(np.unique(logits)) == 4
    for rows in ([2, 0, 3, 1], [0], [1], [2], [3]):
        rows = np.array(rows)
        np.testing.assert_allclose(judge(variables, images[rows], label[rows]), logits[rows], rtol=1e-5)


def test_no_grouped_convolution_reaches_xla():
    """`feature_group_count` is slow to differentiate, and makes SPMD gather the batch (openxla/xla#47945)."""
    network = tiny_network(Discriminator, group_size=4)
    _, variables = abstract(network)
    images = jax.ShapeDtypeStruct((2, *tiny.IMAGE_SHAPE), jnp.float32)
    slope = jax.grad(lambda *a: network.apply(*a).sum(), (0, 1))
    program = jax.jit(slope).lower(variables, images, LABEL).as_text()
    assert "stablehlo.dot_general" in program
    assert program.count("stablehlo.convolution") == program.count("feature_group_count = 1 ")
