"""The default extractor, without a download: networks trained in minutes on the data that they then measure.

A self-supervised encoder gives the features, a classifier the class logits where the data has classes. Both are kept in
the data cache under the digest of the data; two trainings are two extractors, whose numbers do not compare.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping
from typing import Any

import flax
import jax
import jax.numpy as jnp
import numpy as np

from gen.augment import augment
from gen.data import DatasetSplits
from gen.features import array_cache
from gen.features.classifier import Trained, train_classifier
from gen.features.extractor import Extractor, ExtractorOutput
from gen.features.network_training import DEFAULT, Params, Training, adam, fit, output, side_of, unit_scale
from gen.losses import contrastive
from gen.models.encoder import Encoder

_VERSION = 2  # raise it when networks or training change
# What a view may differ in from its image and still be the same: not its sides, nor light for dark.
_VIEWS = {
    "translation": 1.0,
    "scale": 1.0,
    "rotation": 0.3,
    "anisotropy": 1.0,
    "fractional_translation": 1.0,
    "brightness": 1.0,
    "contrast": 1.0,
    "hue": 0.3,
    "saturation": 1.0,
    "cutout": 0.5,
}
_log = logging.getLogger(__name__)


def self_supervised_extractor(source: DatasetSplits, *, training: Training | None = None, seed: int = 0) -> Extractor:
    """Returns the extractor of a data set: from the cache, or trained on its training images (some minutes)."""
    side, training = side_of(source.image_shape), training or DEFAULT
    stored = array_cache.of_first(lambda: _kept(source, training, seed))
    assert stored is not None
    flat = {name: array for name, array in stored.items() if name not in ("accuracy", "scale")}
    trees = flax.traverse_util.unflatten_dict(flat, sep="/")
    features, scale = output(encoder_network(side), trees["encoder"], side, 0), stored["scale"]
    logits = output(Encoder(source.num_classes), trees["classifier"], side, 1) if source.num_classes else None

    def apply(images: np.ndarray) -> ExtractorOutput:
        return ExtractorOutput(features(images) * scale, logits(images) if logits else None)

    accuracy = float(stored["accuracy"]) if source.num_classes else None
    digest = array_cache.digest(stored | {"version": np.array(_VERSION)})
    return Extractor("own", digest, f"linear, antialiased, to {side} x {side}", apply, accuracy)


def _kept(source: DatasetSplits, training: Training, seed: int) -> array_cache.Arrays:
    """Returns the arrays of the networks: from the cache, or trained and kept."""
    name, side = f"features-{_key(source, training, seed)}", side_of(source.image_shape)
    if (stored := array_cache.read(name)) is not None:
        return stored
    _log.warning("%s", _announced(source, training))
    encoder = train_encoder(source, training=training, seed=seed)
    classifier = train_classifier(source, training=training, seed=seed) if source.num_classes else None
    scale = unit_scale(output(encoder_network(side), encoder, side, 0), source)
    stored = _pack(encoder, classifier) | {"scale": scale}
    array_cache.write(stored, name)
    return stored


def _announced(source: DatasetSplits, training: Training) -> str:
    """Announces what takes minutes, and what is quicker."""
    classifier = f", then a classifier in {training.classifier_steps:,}" if source.num_classes else ""
    return (
        f"first the network that measures images of {source.name} is trained, once: an encoder in "
        f"{training.encoder_steps:,} steps{classifier}; some minutes on two cores, the time left follows. "
        "Seconds instead, and coarser: --extractor=pixels"
    )


def train_encoder(source: DatasetSplits, *, training: Training | None = None, seed: int = 0) -> Params:
    """Trains by SimCLR (Chen et al. 2020): two random views of an image become nearer than those of two images."""
    network = encoder_network(side_of(source.image_shape))
    steps, _, batch_size = training or DEFAULT

    def loss(params: Params, key: jax.Array, batch: Mapping[str, Any]) -> jax.Array:
        views = [augment(k, batch["image"], 0.8, operation_weights=_VIEWS) for k in jax.random.split(key)]
        made: Any = network.apply(params, jnp.concatenate(views))
        return contrastive(*jnp.split(made[1], 2), temperature=0.2)

    return fit(network, loss, source, steps, batch_size, adam(1e-3, steps), seed)


def encoder_network(side: int) -> Encoder:
    """Makes the network for images of `side` pixels, of 16 x 16 patches; its first output are the features."""
    return Encoder(outputs=128, features=256, patch=side // 16)


def _key(source: DatasetSplits, training: Training, seed: int) -> str:
    digest = source.metadata.get("digest") or _images_digest(source)
    version = _VERSION if side_of(source.image_shape) == 32 else _VERSION + 1  # patches of 4 pixels came later
    text = f"{version} {digest} {source.image_shape} {source.num_classes} {tuple(training)} {seed}"
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _images_digest(source: DatasetSplits) -> str:
    hasher = hashlib.sha256()
    for part in (source.train, source.held_out):
        hasher.update(np.ascontiguousarray(part.images).data)
        hasher.update(np.ascontiguousarray(part.labels).data)
    return hasher.hexdigest()


def _pack(encoder: Params, classifier: Trained | None) -> dict[str, np.ndarray]:
    trees = {"encoder": encoder} | ({"classifier": classifier.params} if classifier else {})
    flat = flax.traverse_util.flatten_dict(trees, sep="/")
    accuracy = {"accuracy": np.float64(classifier.accuracy)} if classifier else {}
    return {name: np.asarray(array) for name, array in (flat | accuracy).items()}
