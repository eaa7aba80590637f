"""An extractor that takes a second: a convolutional network that is not trained, always the same one.

Distances and shares by random features order sets of images much as those by trained ones do, and are not tied to what
some network was trained on (Naeem et al. 2020, who use random networks, too).
"""

from __future__ import annotations

import flax
import jax
import jax.numpy as jnp

from gen.data import DatasetSplits
from gen.devices import single_device
from gen.features import array_cache
from gen.features.extractor import Extractor, ExtractorOutput
from gen.features.network_training import output, side_of, unit_scale
from gen.models.encoder import Encoder

_SCALED_BY = 250  # training images


def random_network(source: DatasetSplits) -> Extractor:
    """Returns the extractor for a data set: 64 features, whose mean variance over training images is 1."""
    side, channels = side_of(source.image_shape), source.image_shape[2]
    network = Encoder(outputs=1, features=64, width=32)
    with jax.set_mesh(single_device()):  # whatever the mesh of the caller
        params = jax.device_get(jax.jit(network.init)(jax.random.key(0), jnp.zeros((1, side, side, channels))))
    features = output(network, params, side, 0)
    scale = unit_scale(features, source, _SCALED_BY)
    digest = array_cache.digest(flax.traverse_util.flatten_dict(params, sep="/") | {"scale": scale})
    resized = f"linear, antialiased, to {side} x {side}"
    return Extractor("random", digest, resized, lambda images: ExtractorOutput(features(images) * scale))
