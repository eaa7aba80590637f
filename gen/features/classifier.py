"""Classifiers of the classes of a data set, trained on its training images: one in minutes, and one that is right more
often."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from gen.data import DatasetSplits
from gen.errors import InputError
from gen.features.extractor import Function
from gen.features.network_training import DEFAULT, Params, Training, adam, fit, output, shifted, side_of
from gen.models.classifier import Classifier
from gen.models.encoder import Encoder
from gen.tasks.muon import muon

_SMOOTHING = 0.1  # of the labels that a judge learns (Szegedy et al. 2016, section 7)
_SHIFT = 3  # pixels


class Trained(NamedTuple):
    """A classifier: parameters, and its share of right answers on held-out images."""

    params: Params
    accuracy: float
    logits: Function  # images uint8, or float in [0, 1], [n h w c] to float32 [n k]


def train_classifier(source: DatasetSplits, *, training: Training | None = None, seed: int = 0) -> Trained:
    """Trains by cross-entropy; each batch is shifted by up to 2 pixels. InputError for data without classes."""
    if not source.num_classes:
        raise InputError(f"{source.name}: no classes, and so no classifier")
    network, side = Encoder(source.num_classes), side_of(source.image_shape)
    _, steps, batch_size = training or DEFAULT

    def loss(params: Params, key: jax.Array, batch: Mapping[str, Any]) -> jax.Array:
        logits: Any = network.apply(params, shifted(key, batch["image"]))
        return optax.softmax_cross_entropy_with_integer_labels(logits[1], batch["label"]).mean()

    params = fit(network, loss, source, steps, batch_size, adam(2e-3, steps), seed)
    logits = output(network, params, side, 1)
    right = logits(source.held_out.images).argmax(-1) == source.held_out.labels
    return Trained(params, float(right.mean()), logits)


def train_judge(source: DatasetSplits, *, steps: int = 3000, mirror: bool = False, seed: int = 0) -> Trained:
    """Trains a residual network with Muon in batches of 128; each image is shifted by up to 3 pixels each way.

    mirror: also left and right exchanged, where that changes no class. Raises InputError for data without classes.
    """
    if not source.num_classes:
        raise InputError(f"{source.name}: no classes, and so no classifier")
    network, side = Classifier(source.num_classes), side_of(source.image_shape)

    def loss(params: Params, key: jax.Array, batch: Mapping[str, Any]) -> jax.Array:
        logits: Any = network.apply(params, jittered(key, batch["image"], mirror=mirror))
        wanted = optax.smooth_labels(jax.nn.one_hot(batch["label"], source.num_classes), _SMOOTHING)
        return optax.softmax_cross_entropy(logits, wanted).mean()

    warmup = min(100, steps // 10)
    optimizer = muon(optax.warmup_cosine_decay_schedule(0.0, 1e-3, warmup, max(steps, warmup + 1)))
    params = fit(network, loss, source, steps, 128, optimizer, seed)
    logits = output(network, params, side)
    right = logits(source.held_out.images).argmax(-1) == source.held_out.labels
    return Trained(params, float(right.mean()), logits)


def jittered(key: jax.Array, images: jax.Array, *, mirror: bool) -> jax.Array:
    """Shifts each of images [b h w c] by up to 3 pixels each way, edges reflected, and mirrors half of them."""
    mirror_key, shift_key = jax.random.split(key)
    n, height, width, channels = images.shape
    if mirror:
        images = jnp.where(jax.random.bernoulli(mirror_key, 0.5, (n, 1, 1, 1)), images[:, :, ::-1], images)
    padded = jnp.pad(images, ((0, 0), (_SHIFT, _SHIFT), (_SHIFT, _SHIFT), (0, 0)), mode="reflect")
    starts = jax.random.randint(shift_key, (n, 2), 0, 2 * _SHIFT + 1)
    cut = lambda image, at: jax.lax.dynamic_slice(image, (at[0], at[1], 0), (height, width, channels))  # noqa: E731
    return jax.vmap(cut)(padded, starts)
