"""Moves objects until their render is the image: centers, radii and colors as the pixels have them."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from gen.data.outlines import KINDS
from gen.data.scene_world import COLORS, SIZES
from gen.data.scenes import MOST_THINGS, masks_of
from gen.devices import compiler_options
from gen.metrics.composition import Found

_MOVED = ("x", "y", "radius", "rotation", "color", "background")
_RATE = {"x": 0.006, "y": 0.006, "radius": 0.004, "rotation": 0.03, "color": 0.03, "background": 0.03}
_LARGE = (SIZES["small"][1] + SIZES["large"][0]) / 2
_SHADE = 0.96  # the mean of what colors are darkened by


def fit(
    images: np.ndarray, found: Sequence[Sequence[Found]], *, steps: int = 80, batch_size: int = 64
) -> tuple[list[list[Found]], np.ndarray]:
    """Fits what a reader found in images, float [n h h 3] in [0, 1]: the objects, and the remaining error [n].

    Adam on the mean Huber loss between image and render over a background of one color. Kinds and who covers whom, by
    size, stay as they were found; a color is named by the nearest of COLORS. The error is the root of the mean square
    over the objects' pixels: high where the image shows something else.
    """
    fitted, errors = list[list[Found]](), list[np.ndarray]()
    for start in range(0, len(images), batch_size):
        some = np.asarray(images[start : start + batch_size], np.float32)
        things = [sorted(each, key=lambda thing: thing.radius) for each in found[start : start + batch_size]]
        missing = batch_size - len(some)
        padded = np.concatenate([some, np.zeros((missing, *some.shape[1:]), np.float32)])
        factors, error = _fitted(jnp.asarray(padded), _start(padded, [*things, *[[]] * missing]), steps=steps)
        moved = {name: np.asarray(factors[name]) for name in _MOVED}
        fitted += [_named(each, {name: moved[name][n] for name in _MOVED}) for n, each in enumerate(things)]
        errors.append(np.asarray(error)[: len(some)])
    return fitted, np.concatenate(errors) if errors else np.zeros(0)


def _start(images: np.ndarray, found: Sequence[Sequence[Found]]) -> dict[str, np.ndarray]:
    n = len(found)
    factors = {name: np.zeros((n, MOST_THINGS), np.float32) for name in ("present", "x", "y", "rotation")}
    factors |= {"radius": np.ones((n, MOST_THINGS), np.float32), "kind": np.zeros((n, MOST_THINGS), np.int32)}
    factors["color"] = np.zeros((n, MOST_THINGS, 3), np.float32)
    factors["background"] = np.median(images.reshape(n, -1, 3), axis=1).astype(np.float32)
    for b, things in enumerate(found):
        for k, thing in enumerate(things):
            factors["present"][b, k], factors["kind"][b, k] = 1, KINDS.index(thing.kind)
            factors["x"][b, k], factors["y"][b, k], factors["radius"][b, k] = thing.x, thing.y, thing.radius
            factors["color"][b, k] = np.array(COLORS[thing.color]) * _SHADE
    return factors


@functools.partial(jax.jit, static_argnames="steps", compiler_options=compiler_options())
def _fitted(images: jax.Array, factors: dict[str, jax.Array], *, steps: int) -> tuple[dict[str, jax.Array], jax.Array]:
    fixed = {name: value for name, value in factors.items() if name not in _MOVED}
    moved = {name: factors[name] for name in _MOVED}
    rates = {name: optax.adam(optax.cosine_decay_schedule(rate, steps)) for name, rate in _RATE.items()}
    optimizer = optax.multi_transform(rates, {name: name for name in _MOVED})

    def rendered(moved: dict[str, jax.Array], softness: float) -> tuple[jax.Array, jax.Array]:
        def one(each: dict[str, jax.Array]) -> tuple[jax.Array, jax.Array]:
            masks = masks_of(each, images.shape[1], softness=softness)[..., None]
            image = (masks * each["color"][:, None, None]).sum(0) + (1 - masks.sum(0)) * each["background"]
            return image, masks.sum(0)

        return jax.vmap(one)({**fixed, **moved})

    def loss(moved: dict[str, jax.Array]) -> jax.Array:
        return optax.huber_loss(rendered(moved, 2.0)[0], images, delta=0.1).mean((1, 2, 3)).sum()

    def step(carry: tuple[Any, Any], _: None) -> tuple[tuple[Any, Any], None]:
        moved, state = carry
        updates, state = optimizer.update(jax.grad(loss)(moved), state)
        moved = optax.apply_updates(moved, updates)
        return ({**moved, "radius": jnp.clip(moved["radius"], 0.05, 1.0)}, state), None

    moved, _ = jax.lax.scan(step, (moved, optimizer.init(moved)), None, length=steps)[0]
    image, covered = rendered(moved, 1.0)
    square = (jnp.square(image - images) * covered).sum((1, 2, 3)) / jnp.maximum(3 * covered.sum((1, 2, 3)), 1)
    return moved, jnp.sqrt(square)


def _named(things: Sequence[Found], moved: dict[str, np.ndarray]) -> list[Found]:
    """Names the objects of one image as the fit left them."""
    known = np.array(list(COLORS.values())) * _SHADE
    named = []
    for k, thing in enumerate(things):
        color = tuple(COLORS)[int(np.square(known - moved["color"][k]).sum(-1).argmin())]
        x, y, radius = (float(moved[name][k]) for name in ("x", "y", "radius"))
        named.append(Found(thing.kind, color, "large" if radius > _LARGE else "small", x, y, radius))
    return named
