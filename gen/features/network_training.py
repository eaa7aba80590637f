"""Trains the small networks that measure images, on the images that they then measure."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from gen.cli import progress_bar
from gen.data import BatchSampler, DatasetSplits
from gen.devices import compiler_options, single_device
from gen.features.extractor import Function, batched
from gen.imaging.filters import resize
from gen.models.encoder import Encoder

Params = Any
Loss = Callable[[Params, jax.Array, jax.Array, jax.Array], jax.Array]  # (params, key, images, labels) -> scalar
_AT_ONCE = 10  # steps that may wait for the device


class Training(NamedTuple):
    """How long the two networks are trained: steps of `batch_size` images."""

    encoder_steps: int = 1500
    classifier_steps: int = 2000
    batch_size: int = 128


DEFAULT = Training()


def fit(
    network: Encoder, loss: Loss, source: DatasetSplits, steps: int, batch_size: int, learning_rate: float, seed: int
) -> Params:
    """Trains with Adam, its learning rate falling to zero along a cosine."""
    side = side_of(source.image_shape)
    optimizer = optax.adam(optax.cosine_decay_schedule(learning_rate, steps))

    @functools.partial(jax.jit, compiler_options=compiler_options())
    def update(params: Params, opt_state: Any, batch: Mapping[str, jax.Array], step: jax.Array) -> tuple[Params, Any]:
        images, key = _prepare(batch["image"] / 255, side), jax.random.fold_in(jax.random.key(seed), step)
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


def side_of(image_shape: tuple[int, int, int]) -> int:
    """Returns the side in pixels that images are resized to: 32, or 64 for sides from 48 on."""
    return 32 if max(image_shape[:2]) < 48 else 64


def _prepare(images: jax.Array, side: int) -> jax.Array:
    """Resizes images [b h w c] in [0, 1] to [b side side c] in [-1, 1]."""
    return 2 * resize(images, side, side, method="linear") - 1


def unit_scale(features: Function, source: DatasetSplits, count: int = 2000) -> np.ndarray:
    """Computes what scales features of training images to a mean variance of 1, float32: kernels need that."""
    made = features(np.asarray(source.train.images[:count]))
    return np.asarray(1 / max(float(np.sqrt(made.var(axis=0, dtype=np.float64).mean())), 1e-12), np.float32)


def output(network: Encoder, params: Params, side: int, which: int) -> Function:
    """Makes one of the network's two outputs a function of images."""

    def apply(params: Params, images: jax.Array) -> jax.Array:
        made: Any = network.apply(params, _prepare(images, side))
        return made[which]

    return batched(apply, params)
