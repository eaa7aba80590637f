"""A text-image model of a captioned data set: an image and its captions get vectors that are near each other.

Radford et al. 2021, "Learning transferable visual models from natural language supervision", small: the recurrent
encoder of gen.models.text_encoder against a convolutional one, trained in minutes on the data that it then judges. It
is kept in the data cache under the digest of the data.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from gen.data import DatasetSplits
from gen.devices import batched, single_device
from gen.errors import InputError
from gen.features import array_cache
from gen.features.extractor import Function
from gen.features.network_training import Params, adam, fit, output, shifted, side_of
from gen.losses import image_text_contrastive
from gen.models.text_image import TextImage
from gen.text import cut, to_bytes, tokens_of

_VERSION = 2  # raise it when networks or training change
_AT_ONCE = 256  # texts
_log = logging.getLogger(__name__)


class TextImageModel(NamedTuple):
    """Images and texts as vectors of length 1, whose product says how well a text describes an image."""

    digest: str  # sha256 of the weights
    images: Function  # images [n h w c], uint8 or float in [0, 1], to float32 [n d]
    texts: Callable[[Sequence[str]], np.ndarray]  # texts [n] to float32 [n d]; long ones are cut as in training


def text_image_model(
    source: DatasetSplits, *, steps: int = 1500, batch_size: int = 128, seed: int = 0
) -> TextImageModel:
    """Returns the model of a data set: from the cache, or trained on its training images and captions (some minutes).

    Raises InputError for data without captions.
    """
    if not source.caption_length or source.train.captions is None:
        raise InputError(f"{source.name}: no captions, and so no text-image model")
    network, side, length = TextImage(), side_of(source.image_shape), source.caption_length
    digest, name = source.metadata.get("digest"), ""
    if digest:
        facts = f"{_VERSION} {digest} {source.image_shape} {length} {steps} {batch_size} {seed}"
        name = f"text-image-{hashlib.sha256(facts.encode()).hexdigest()[:16]}"
    params = array_cache.kept_params(name, lambda: _trained(network, source, steps, batch_size, seed))

    def vectors(params: Params, tokens: jax.Array) -> jax.Array:
        made: Any = network.apply(params, tokens, method="read")
        return made

    read = batched(vectors, single_device())

    def texts(given: Sequence[str]) -> np.ndarray:
        tokens = tokens_of((cut(to_bytes(text), length - 2) for text in given), length)
        return np.concatenate([*read(params, tokens, each=_AT_ONCE)])

    return TextImageModel(array_cache.params_digest(params), output(network, params, side, method="see"), texts)


def _trained(network: TextImage, source: DatasetSplits, steps: int, batch_size: int, seed: int) -> Params:
    _log.warning("first the network that compares images with captions is trained, once: %d steps", steps)

    def loss(params: Params, key: jax.Array, batch: Mapping[str, Any]) -> jax.Array:
        captions = batch["caption"]
        made: Any = network.apply(params, shifted(key, batch["image"]), captions)
        same = (captions[:, None] == captions[None]).all(-1)
        return image_text_contrastive(*made, same=same)

    return fit(network, loss, source, steps, batch_size, adam(1e-3, steps), seed, caption_length=source.caption_length)
