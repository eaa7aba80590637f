"""Trains the small networks that measure images, on the images that they then measure."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax

from gen.cli import progress_bar
from gen.data import BatchSampler, DatasetSplits
from gen.devices import compiler_options, single_device
from gen.features.extractor import Function, batched
from gen.imaging.filters import resize

Params = Any
Loss = Callable[[Params, jax.Array, Mapping[str, Any]], jax.Array]  # (params, key, batch) -> scalar
_AT_ONCE = 10  # steps that may wait for the device


class Training(NamedTuple):
    """How long the two networks are trained: steps of `batch_size` images."""

    encoder_steps: int = 1500
    classifier_steps: int = 2000
    batch_size: int = 128


DEFAULT = Training()


def fit(
    network: nn.Module,
    loss: Loss,
    source: DatasetSplits,
    steps: int,
    batch_size: int,
    optimizer: optax.GradientTransformation,
    seed: int,
    *,
    caption_length: int = 0,
) -> Params:
    """Trains for `steps` steps of `batch_size` images.

    network: of images [b side side c] in [-1, 1], which is what `loss` finds in its batch, and of captions int32
    [b caption_length], if that is not 0.
    """
    side = side_of(source.image_shape)

    @functools.partial(jax.jit, compiler_options=compiler_options())
    def update(params: Params, opt_state: Any, batch: Mapping[str, jax.Array], step: jax.Array) -> tuple[Params, Any]:
        key = jax.random.fold_in(jax.random.key(seed), step)
        batch = {**batch, "image": _prepare(batch["image"] / 255, side)}
        updates, opt_state = optimizer.update(jax.grad(loss)(params, key, batch), opt_state, params)
        return optax.apply_updates(params, updates), opt_state

    dataset = BatchSampler(source.train, batch_size, seed, caption_length=caption_length)
    with jax.set_mesh(single_device()):
        given = [jnp.zeros((1, side, side, source.image_shape[2]))]
        given += [jnp.zeros((1, caption_length), jnp.int32)] if caption_length else []
        params = jax.jit(network.init)(jax.random.key(seed), *given)
        opt_state = optimizer.init(params)
        with progress_bar(steps, "steps", doing="training") as bar:
            for step in range(steps):
                params, opt_state = update(params, opt_state, dataset.batch(step), step)
                if step % _AT_ONCE == 0:  # steps are only begun until somebody waits for them
                    jax.block_until_ready(params)
                bar.update()
        return jax.device_get(params)


def adam(learning_rate: float, steps: int) -> optax.GradientTransformation:
    """Makes Adam, its learning rate falling to zero along a cosine."""
    return optax.adam(optax.cosine_decay_schedule(learning_rate, steps))


def side_of(image_shape: tuple[int, int, int]) -> int:
    """Returns the side in pixels that images are resized to: 32, or 64 for sides from 48 on."""
    return 32 if max(image_shape[:2]) < 48 else 64


def _prepare(images: jax.Array, side: int) -> jax.Array:
    """Resizes images [b h w c] in [0, 1] to [b side side c] in [-1, 1]."""
    return 2 * resize(images, side, side, method="linear") - 1


def shifted(key: jax.Array, images: jax.Array) -> jax.Array:
    """Shifts all images [b h w c] by the same up to 2 pixels each way, cyclically."""
    return jnp.roll(images, jax.random.randint(key, (2,), -2, 3), axis=(1, 2))


def unit_scale(features: Function, source: DatasetSplits, count: int = 2000) -> np.ndarray:
    """Computes what scales features of training images to a mean variance of 1, float32: kernels need that."""
    made = features(np.asarray(source.train.images[:count]))
    return np.asarray(1 / max(float(np.sqrt(made.var(axis=0, dtype=np.float64).mean())), 1e-12), np.float32)


def output(network: nn.Module, params: Params, side: int, which: int = 0, *, method: str = "__call__") -> Function:
    """Makes one of the network's outputs, or the only one of `method`, a function of images."""

    def apply(params: Params, images: jax.Array) -> jax.Array:
        made: Any = network.apply(params, _prepare(images, side), method=method)
        return made[which] if isinstance(made, tuple) else made

    return batched(apply, params)
