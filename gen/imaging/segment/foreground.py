"""The foreground of any picture: mixtures of colors on both sides, and a random walk that keeps to the edges."""

from __future__ import annotations

from typing import Annotated, Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from gen.errors import InputError
from gen.imaging._operator import operator, require_colors
from gen.imaging.bounds import NotNegative, Numbers, whole
from gen.imaging.color.spaces import rgb_to_lab
from gen.imaging.segment.random_walker import edge_weights, solve_walk

_NOISE = 0.02  # in Lab / 100: the least spread of a component
_FITS = 4  # steps of expectation and maximization for each round
_PAIRS = np.triu_indices(3)  # the products of coordinates are monomials 4 to 9
_SQUARES = np.asarray([4, 7, 9])
_SYMMETRIC = np.asarray([[4, 5, 6], [5, 7, 8], [6, 8, 9]])
_STARTS = np.asarray(  # where the components start, in standard deviations: apart in lightness, too, for gray pictures
    [
        (1.2, 0.6, -0.6),
        (-1.2, -0.6, 0.6),
        (0.4, -1.0, -1.0),
        (-0.4, 1.0, 1.0),
        (0.0, 0.0, 0.0),
        (0.8, -0.8, 0.8),
        (-0.8, 0.8, -0.8),
        (-1.6, 0.0, 0.0),
    ],
    np.float32,
)


@operator()
def foreground(
    x: jax.Array,
    *,
    box: Any = None,
    mask: jax.Array | None = None,
    components: Annotated[int, whole(1, 8)] = 4,
    rounds: Annotated[int, whole(1, 100)] = 5,
    edges: NotNegative = 130.0,
    smoothness: Annotated[Any, Numbers(0, above=True)] = 30.0,
) -> jax.Array:
    """Finds a soft mask [b h w 1] of the foreground of x [b h w 3 or 1], in the manner of GrabCut.

    box: (top, left, bottom, right) as fractions of height and width, or [b 4]: all outside of it is background.
    mask: instead, a guess [b h w 1]; where it is 0 is background for sure, where it is 1 foreground.
    Without both, what differs from the border of the picture, rather in its middle.
    components: of the mixture of Gaussians (in Lab) on either side; rounds: of fitting them and finding the mask.
    edges: how much they hold the mask, as `beta` of random_walker, may be [b].
    smoothness: the weight of a pixel beside another, where there is no edge, against its own color, may be [b].

    Rother et al. 2004, "GrabCut", with the cut replaced by a random walk with priors (Grady 2005), which is soft and
    differentiable.
    """
    require_colors(x, "foreground", allowed=(1, 3))
    if box is not None and mask is not None:
        raise InputError("foreground: both box and mask; allowed: one of them or none")
    b, h, w, _ = x.shape
    free, prior = _prior(x, box, mask)
    lab = rgb_to_lab(jnp.broadcast_to(x, (b, h, w, 3))) / 100
    lab = lab - jnp.mean(lab, axis=(1, 2), keepdims=True)
    monomials = _monomials(lab.reshape(b, h * w, 3).transpose(0, 2, 1))
    down, right = edge_weights(x, edges)
    smooth = jnp.asarray(smoothness, x.dtype)
    pull = jnp.broadcast_to(1 / (smooth.reshape(-1, 1, 1, 1) if smooth.ndim else smooth), (b, 1, h, w))
    place = jnp.clip(prior, 1e-3, 1 - 1e-3)
    place = jnp.log(place / (1 - place))

    def improve(found: jax.Array) -> jax.Array:
        """Fits the mixtures to a mask [b 1 h w] and finds the mask that they mean."""
        weight = _decide(found).reshape(b, h * w)
        evidence = _log_density(monomials, weight, components) - _log_density(monomials, 1 - weight, components)
        opinion = jax.nn.sigmoid(evidence.reshape(b, 1, h, w) + place)
        held = jnp.where(free > 0, opinion, prior)
        return jnp.clip(solve_walk(down, right, free, held, pull, tolerance=1e-2), 0, 1)

    found = lax.fori_loop(0, rounds, lambda _, found: improve(found), prior)
    return jnp.moveaxis(_decide(found), 1, -1)


def _decide(mask: jax.Array) -> jax.Array:
    """A mask nearer to 0 and 1, and 1/2 as before."""
    return mask**2 * (3 - 2 * mask)


def _prior(x: jax.Array, box: Any, mask: jax.Array | None) -> tuple[jax.Array, jax.Array]:
    """Which pixels are to be decided, and how likely they are foreground before their color is seen; [b 1 h w]."""
    b, h, w, _ = x.shape
    y = ((jnp.arange(h, dtype=x.dtype) + 0.5) / h)[:, None]
    z = (jnp.arange(w, dtype=x.dtype) + 0.5) / w
    if mask is not None:
        prior = jnp.broadcast_to(jnp.clip(mask, 0, 1).astype(x.dtype), (b, h, w, 1))[..., 0][:, None]
        return ((prior > 0) & (prior < 1)).astype(x.dtype), prior
    sides = jnp.broadcast_to(jnp.asarray((0, 0, 1, 1) if box is None else box, x.dtype), (b, 4))
    top, left, bottom, right = (sides[:, i, None, None] for i in range(4))
    y, z = (y - top) / jnp.maximum(bottom - top, 1e-3), (z - left) / jnp.maximum(right - left, 1e-3)
    inside = ((y > 0) & (y < 1) & (z > 0) & (z < 1)).astype(x.dtype)[:, None]
    middle = (16 * y * (1 - y) * z * (1 - z))[:, None]  # 1 in the center, 0 at the border
    least, most = (0.05, 0.4) if box is None else (0.25, 0.4)
    return inside, inside * (least + (most - least) * middle)


def _monomials(color: jax.Array) -> jax.Array:
    """1, the coordinates of color [b 3 n], and their products [b 10 n]: the moments and the exponent of a Gaussian are
    linear in them."""
    pairs = [color[:, i] * color[:, j] for i, j in zip(*_PAIRS, strict=True)]
    return jnp.concatenate([jnp.ones_like(color[:, :1]), color, jnp.stack(pairs, axis=1)], axis=1)


def _log_density(monomials: jax.Array, weight: jax.Array, components: int) -> jax.Array:
    """The log density [b n] at every pixel of a mixture that is fitted to the pixels by their weight [b n]."""
    total = jnp.maximum(jnp.sum(weight, axis=1), 1e-3)[:, None]
    whole = jnp.einsum("bn,bmn->bm", weight, monomials, precision="highest") / total
    variance = whole[:, _SQUARES] - whole[:, 1:4] ** 2
    starts = whole[:, None, 1:4] + jnp.sqrt(jnp.maximum(variance, _NOISE**2))[:, None] * _STARTS[:components]
    covariance = jnp.broadcast_to(jnp.maximum(variance, 0)[:, None, :, None] * jnp.eye(3) / 2, (*starts.shape, 3))
    form = _exponent(starts, covariance, jnp.full(starts.shape[:2], 1 / components))

    def fit(_: int, form: jax.Array) -> jax.Array:
        shares = jax.nn.softmax(jnp.einsum("bkm,bmn->bkn", form, monomials, precision="highest"), axis=1)
        moments = jnp.einsum("bkn,bmn->bkm", shares * weight[:, None], monomials, precision="highest")
        mean = moments / jnp.maximum(moments[..., :1], 1e-3)
        center = mean[..., 1:4]
        covariance = mean[..., _SYMMETRIC] - center[..., :, None] * center[..., None, :]
        return _exponent(center, covariance, moments[..., 0] / total + 1e-4)

    form = lax.fori_loop(0, _FITS, fit, form)
    return jax.nn.logsumexp(jnp.einsum("bkm,bmn->bkn", form, monomials, precision="highest"), axis=1)


def _exponent(center: jax.Array, covariance: jax.Array, share: jax.Array) -> jax.Array:
    """log(share * Gaussian) as factors [b k 10] of the monomials; center [b k 3], covariance [b k 3 3], share [b k]."""
    s = covariance + _NOISE**2 * jnp.eye(3)
    rows = [jnp.cross(s[..., i, :], s[..., j, :]) for i, j in ((1, 2), (2, 0), (0, 1))]
    determinant = jnp.sum(s[..., 0, :] * rows[0], axis=-1)
    inverse = jnp.stack(rows, axis=-1) / jnp.maximum(determinant, _NOISE**6 / 8)[..., None, None]
    linear = jnp.sum(inverse * center[..., None, :], axis=-1)
    constant = jnp.log(share) - 0.5 * (jnp.log(jnp.maximum(determinant, _NOISE**6 / 8)) + jnp.sum(linear * center, -1))
    quadratic = -inverse[..., _PAIRS[0], _PAIRS[1]] * np.where(_PAIRS[0] == _PAIRS[1], 0.5, 1.0)
    return jnp.concatenate([constant[..., None], linear, quadratic], axis=-1)
