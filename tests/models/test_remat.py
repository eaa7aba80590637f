"""Networks whose blocks compute again what a gradient needs: the same numbers, in less memory."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gen import devices
from gen.models.autoencoder import Autoencoder
from gen.models.r3gan import Discriminator, Generator
from gen.models.recurrent import Recurrent
from gen.models.unet import UNet

IMAGES = jax.random.normal(jax.random.key(1), (8, 32, 32, 3))
LABELS = jnp.zeros(8, jnp.int32)
TOKENS = jax.random.randint(jax.random.key(2), (8, 64), 0, 16)
PLACES = jnp.tile(jnp.arange(64), (8, 1))
STAGES = {"widths": (16, 16, 16, 16), "blocks": 4, "group_size": None, "bfloat16_from": None}

NETWORKS = {
    "generator": (Generator, STAGES | {"latent": 8}, (IMAGES[:, 0, :8, 0], LABELS)),
    "discriminator": (Discriminator, STAGES, (IMAGES, LABELS)),
    "unet": (
        UNet,
        {"widths": (16, 16), "blocks": 8, "pixel_width": 4, "embedding": 16},
        (IMAGES, LABELS + 0.5, LABELS),
    ),
    "autoencoder": (Autoencoder, {"widths": (16, 16), "blocks": 8}, (IMAGES,)),
    "recurrent": (Recurrent, {"width": 32, "layers": 8, "vocabulary": 16}, (TOKENS, PLACES, None)),
}


def gradient(kind, remat):
    """The compiled loss and gradient of a network, and its parameters, none of which is 0."""
    make, fields, given = NETWORKS[kind]
    network = make(**fields, remat=remat)
    params = jax.tree.map(lambda leaf: leaf + 0.01, jax.jit(network.init)(jax.random.key(0), *given))

    def loss(params):
        made = network.apply(params, *given)
        return jnp.mean((made[0] if isinstance(made, tuple) else made) ** 2)

    return jax.jit(jax.value_and_grad(loss)).lower(params).compile(devices.training_options()), params


@pytest.mark.parametrize("kind", NETWORKS)
def test_the_same_numbers_in_less_memory(kind):
    (plain, params), (again, same) = (gradient(kind, remat) for remat in (False, True))
    assert jax.tree.structure(params) == jax.tree.structure(same)  # names, which checkpoints go by
    jax.tree.map(np.testing.assert_array_equal, params, same)
    (value, slopes), (value2, slopes2) = plain(params), again(params)
    np.testing.assert_allclose(value, value2, rtol=1e-5)
    largest = max(float(jnp.abs(leaf).max()) for leaf in jax.tree.leaves(slopes))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5 * largest), slopes, slopes2)
    before, after = (program.memory_analysis().temp_size_in_bytes for program in (plain, again))
    assert after < 0.8 * before
