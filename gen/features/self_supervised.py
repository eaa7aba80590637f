"""The default extractor, without a download: networks trained in minutes on the data that they then measure.

A self-supervised encoder gives the features, a classifier the class logits where the data has classes. Both are kept in
the data cache under the digest of the data; two trainings are two extractors, whose numbers do not compare.
"""

from __future__ import annotations

import functools
import hashlib
import logging
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import flax
import jax
import jax.numpy as jnp
import numpy as np
import optax

from gen.augment import augment
from gen.cli import progress_bar
from gen.data import BatchSampler, DatasetSplits
from gen.devices import compiler_options, single_device
from gen.errors import InputError
from gen.features import array_cache
from gen.features.extractor import Extractor, ExtractorOutput, Function, batched
from gen.imaging.filters import resize
from gen.losses import contrastive
from gen.models.encoder import Encoder

Params = Any
Loss = Callable[[Params, jax.Array, jax.Array, jax.Array], jax.Array]  # (params, key, images, labels) -> scalar

_AT_ONCE = 10  # steps that may wait for the device
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


class Training(NamedTuple):
    """How long the two networks are trained: steps of `batch_size` images."""

    encoder_steps: int = 1500
    classifier_steps: int = 2000
    batch_size: int = 128


DEFAULT = Training()


def self_supervised_extractor(source: DatasetSplits, *, training: Training | None = None, seed: int = 0) -> Extractor:
    """Returns the extractor of a data set: from the cache, or trained on its training images (some minutes)."""
    side, training = _side(source.image_shape), training or DEFAULT
    name = f"features-{_key(source, training, seed)}"
    stored = array_cache.read(name)
    if stored is None:
        _log.warning("%s", _announced(source, training))
        encoder = train_encoder(source, training=training, seed=seed)
        classifier = train_classifier(source, training=training, seed=seed) if source.num_classes else None
        stored = _pack(encoder, classifier) | {"scale": _scale(encoder, source)}
        array_cache.write(stored, name)
    flat = {name: array for name, array in stored.items() if name not in ("accuracy", "scale")}
    trees = flax.traverse_util.unflatten_dict(flat, sep="/")
    features, scale = _function(_encoder(), trees["encoder"], side, 0), stored["scale"]
    logits = _function(Encoder(source.num_classes), trees["classifier"], side, 1) if source.num_classes else None

    def apply(images: np.ndarray) -> ExtractorOutput:
        return ExtractorOutput(features(images) * scale, logits(images) if logits else None)

    accuracy = float(stored["accuracy"]) if source.num_classes else None
    digest = array_cache.digest(stored | {"version": np.array(_VERSION)})
    return Extractor("own", digest, f"linear, antialiased, to {side} x {side}", apply, accuracy)


def _announced(source: DatasetSplits, training: Training) -> str:
    """Announces what takes minutes, and what is quicker."""
    classifier = f", then a classifier in {training.classifier_steps:,}" if source.num_classes else ""
    return (
        f"first the network that measures images of {source.name} is trained, once: an encoder in "
        f"{training.encoder_steps:,} steps{classifier}; some minutes on two cores, the time left follows. "
        "Seconds instead, and coarser: --extractor=pixels"
    )


class Trained(NamedTuple):
    """A classifier: parameters, and its share of right answers on held-out images."""

    params: Params
    accuracy: float
    logits: Function  # images uint8, or float in [0, 1], [n h w c] to float32 [n k]


def train_classifier(source: DatasetSplits, *, training: Training | None = None, seed: int = 0) -> Trained:
    """Trains by cross-entropy; each batch is shifted by up to 2 pixels. InputError for data without classes."""
    if not source.num_classes:
        raise InputError(f"{source.name}: no classes, and so no classifier")
    network, side = Encoder(source.num_classes), _side(source.image_shape)
    _, steps, batch_size = training or DEFAULT

    def loss(params: Params, key: jax.Array, images: jax.Array, labels: jax.Array) -> jax.Array:
        images = jnp.roll(images, jax.random.randint(key, (2,), -2, 3), axis=(1, 2))
        logits = network.apply(params, images)[1]
        return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean()

    params = _train(network, loss, source, steps, batch_size, 2e-3, seed)
    logits = _function(network, params, side, 1)
    right = logits(source.held_out.images).argmax(-1) == source.held_out.labels
    return Trained(params, float(right.mean()), logits)


def train_encoder(source: DatasetSplits, *, training: Training | None = None, seed: int = 0) -> Params:
    """Trains by SimCLR (Chen et al. 2020): two random views of an image become nearer than those of two images."""
    network = _encoder()
    steps, _, batch_size = training or DEFAULT

    def loss(params: Params, key: jax.Array, images: jax.Array, labels: jax.Array) -> jax.Array:
        views = [augment(k, images, 0.8, operation_weights=_VIEWS) for k in jax.random.split(key)]
        made: Any = network.apply(params, jnp.concatenate(views))
        return contrastive(*jnp.split(made[1], 2), temperature=0.2)

    return _train(network, loss, source, steps, batch_size, 1e-3, seed)


def _scale(params: Params, source: DatasetSplits) -> np.ndarray:
    """Computes what scales features of training images to a mean variance of 1, float32: kernels need that."""
    images = np.asarray(source.train.images[:2000])
    features = _function(_encoder(), params, _side(source.image_shape), 0)(images)
    return np.asarray(1 / max(float(np.sqrt(features.var(axis=0, dtype=np.float64).mean())), 1e-12), np.float32)


def _function(network: Encoder, params: Params, side: int, which: int) -> Function:
    """Makes one of the network's two outputs a function of images."""

    def apply(params: Params, images: jax.Array) -> jax.Array:
        made: Any = network.apply(params, _prepared(images, side))
        return made[which]

    return batched(apply, params)


def _encoder() -> Encoder:
    return Encoder(outputs=128, features=256)


def _train(
    network: Encoder, loss: Loss, source: DatasetSplits, steps: int, batch_size: int, learning_rate: float, seed: int
) -> Params:
    """Trains with Adam, its learning rate falling to zero along a cosine."""
    side = _side(source.image_shape)
    optimizer = optax.adam(optax.cosine_decay_schedule(learning_rate, steps))

    @functools.partial(jax.jit, compiler_options=compiler_options())
    def update(params: Params, opt_state: Any, batch: Mapping[str, jax.Array], step: jax.Array) -> tuple[Params, Any]:
        images, key = _prepared(batch["image"] / 255, side), jax.random.fold_in(jax.random.key(seed), step)
        updates, opt_state = optimizer.update(jax.grad(loss)(params, key, images, batch["label"]), opt_state)
        return optax.apply_updates(params, updates), opt_state

    dataset = BatchSampler(source.train, batch_size, seed)
    with jax.set_mesh(single_device()):
        params = jax.jit(network.init)(jax.random.key(seed), jnp.zeros((1, side, side, source.image_shape[2])))
        opt_state = optimizer.init(params)
        with progress_bar(steps, "steps", doing="training") as bar:
            for step in range(steps):
                params, opt_state = update(params, opt_state, dataset.batch(step), step)
                if step % _AT_ONCE == 0:  # steps are only begun until somebody waits for them
                    jax.block_until_ready(params)
                bar.update()
        return jax.device_get(params)


def _side(image_shape: tuple[int, int, int]) -> int:
    return 32 if max(image_shape[:2]) < 48 else 64


def _prepared(images: jax.Array, side: int) -> jax.Array:
    """Resizes images [b h w c] in [0, 1] to [b side side c] in [-1, 1]."""
    return 2 * resize(images, side, side, method="linear") - 1


def _key(source: DatasetSplits, training: Training, seed: int) -> str:
    digest = source.facts.get("digest") or _images_digest(source)
    text = f"{_VERSION} {digest} {source.image_shape} {source.num_classes} {tuple(training)} {seed}"
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
