"""Random walker: the marker that a walk from a pixel, shy of edges, reaches first; and the solver for such walks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from gen.imaging._operator import operator, per_image
from gen.imaging.bounds import NotNegative, whole
from gen.imaging.segment.components import neighbors

_FLOOR = 1e-6  # least weight between two pixels: with less, float32 loses regions behind strong edges


class RandomWalk(NamedTuple):
    """labels int32 [b h w] from 1 to k; probabilities [b h w k] that a walk ends in each class, their sum is 1."""

    labels: jax.Array
    probabilities: jax.Array


@operator()
def random_walker(
    x: jax.Array, markers: jax.Array, classes: Annotated[int, whole(2, 256)], *, beta: NotNegative = 130.0
) -> RandomWalk:
    """Spreads the `markers` int32 [b h w], 1 to `classes` or 0 for none, over x [b h w c] along its even regions.

    beta: how much edges hold a walk back, may be [b]: the weight between pixels beside each other is
        exp(-beta |difference|^2 / (10 sqrt(c) standard deviation of the image)) + 1e-6.
    An image without markers gets even probabilities. Differentiable in x and beta (implicitly, by one more solve).

    Grady 2006, "Random Walks for Image Segmentation", by conjugate gradients without a matrix. Equals
    skimage.segmentation.random_walker(x, markers, beta, return_full_prob=True) to the tolerance of both solvers.
    """
    down, right = edge_weights(x, beta)
    held = jnp.stack([markers == k for k in range(1, classes)], axis=1).astype(x.dtype)  # the last one is the rest
    free = ((markers <= 0) | (markers > classes)).astype(x.dtype)[:, None]
    solved = solve_walk(down, right, free, held, jnp.zeros_like(free), tolerance=1e-4)
    solved = jnp.concatenate([solved, 1 - jnp.sum(solved, axis=1, keepdims=True)], axis=1)
    solved = jnp.where(jnp.all(free == 1, axis=(2, 3), keepdims=True), 1 / classes, jnp.clip(solved, 0, 1))
    probabilities = jnp.moveaxis(solved / jnp.sum(solved, axis=1, keepdims=True), 1, -1)
    return RandomWalk(jnp.argmax(probabilities, axis=-1).astype(jnp.int32) + 1, probabilities)


def edge_weights(x: jax.Array, beta: Any) -> tuple[jax.Array, jax.Array]:
    """The weights between each pixel and the one below, and the one to the right: [b h w], 0 at the last ones."""
    variance = jnp.var(x, axis=(1, 2, 3), keepdims=True)
    deviation = jnp.sqrt(jnp.maximum(variance, 1e-12))
    scale = per_image(beta, x) / (10 * deviation * x.shape[-1] ** 0.5)

    def between(axis: int) -> jax.Array:
        distance = jnp.sum(jnp.square(jnp.diff(x, axis=axis)) * scale, axis=-1)
        widths = [(0, int(i == axis)) for i in range(3)]
        return jnp.pad(jnp.exp(-distance) + _FLOOR, widths)

    return between(1), between(2)


def solve_walk(
    down: jax.Array, right: jax.Array, free: jax.Array, held: jax.Array, pull: jax.Array, *, tolerance: float
) -> jax.Array:
    """u [b k h w] with u = held where free [b 1 h w] is 0, else sum of weight * (u - u beside) + pull * (u - held) = 0.

    down, right [b h w]: from `edge_weights`. pull: [b 1 h w], how strongly `held` [b k h w] attracts free pixels.
    """
    b, k, h, w = held.shape
    down, right = down[:, None], right[:, None]
    up = jnp.pad(down, ((0, 0), (0, 0), (1, 0), (0, 0)))[:, :, :-1]
    left = jnp.pad(right, ((0, 0), (0, 0), (0, 0), (1, 0)))[..., :-1]

    def flow(u: jax.Array, start: jax.Array) -> jax.Array:
        """The weighted sum of the pixels beside each, less `start` there: sums of differences lose no digits."""
        beside = neighbors(u.reshape(b * k, h, w), 0)
        near = [beside(*side).reshape(u.shape) - start for side in ((1, 0), (-1, 0), (0, 1), (0, -1))]
        return down * near[0] + up * near[1] + right * near[2] + left * near[3]

    def matvec(u: jax.Array) -> jax.Array:
        inner = u * free
        return jnp.where(free > 0, pull * inner - flow(inner, inner), u)

    fixed = held * (1 - free)
    right_side = (flow(fixed, jnp.zeros_like(fixed)) + pull * held) * free
    scale = lax.stop_gradient(free / jnp.maximum(down + up + left + right + pull, _FLOOR))

    def solve(matvec: Callable[[jax.Array], jax.Array], b: jax.Array) -> jax.Array:
        return _conjugate_gradients(matvec, b, scale, tolerance, 20 * (h + w))

    solved = lax.custom_linear_solve(matvec, right_side, solve, symmetric=True)
    return solved * free + fixed


def _conjugate_gradients(
    matvec: Callable[[jax.Array], jax.Array], b: jax.Array, scale: jax.Array, tolerance: float, limit: int
) -> jax.Array:
    """Solves matvec(u) = b [b k h w], one system for each image and class; a solved one rests, so that none depends on
    another. `scale` is 1 / the diagonal: several scales (BPX) take a third of the steps, but longer."""

    def dot(p: jax.Array, q: jax.Array) -> jax.Array:
        return jnp.sum(p * q, axis=(2, 3), keepdims=True)

    z = scale * b
    rz = dot(b, z)
    goal = tolerance**2 * rz

    def step(state: tuple[Any, ...]) -> tuple[Any, ...]:
        u, r, p, rz, on, i = state
        forward = matvec(p)
        curvature = dot(p, forward)
        alpha = jnp.where(on & (curvature > 0), rz / jnp.where(curvature > 0, curvature, 1), 0)
        u, r = u + alpha * p, r - alpha * forward
        z = scale * r
        new = dot(r, z)
        p = jnp.where(on, z + new / jnp.where(rz > 0, rz, 1) * p, p)
        return u, r, p, jnp.where(on, new, rz), on & (new > goal), i + 1

    start = (jnp.zeros_like(b), b, z, rz, rz > 0, 0)
    return lax.while_loop(lambda state: jnp.any(state[4]) & (state[5] < limit), step, start)[0]
