"""A classifier of the classes of a data set, trained in minutes on its training images."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import optax

from gen.data import DatasetSplits
from gen.errors import InputError
from gen.features.extractor import Function
from gen.features.network_training import DEFAULT, Params, Training, fit, output, shifted, side_of
from gen.models.encoder import Encoder


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

    params = fit(network, loss, source, steps, batch_size, 2e-3, seed)
    logits = output(network, params, side, 1)
    right = logits(source.held_out.images).argmax(-1) == source.held_out.labels
    return Trained(params, float(right.mean()), logits)
