"""Sliced Wasserstein distances: of features (MIND) and of patches of images. 0 at best, more is worse.

On a line the optimal transport between two sets joins equal ranks, so sorting solves it; a slice is a random direction.
Sets of unequal size are joined by their quantile functions, exactly. Intervals are linearized: the influence of a
sample is its transport potential, the integral of the slope of the cost.
"""

from __future__ import annotations

import jax
import numpy as np

from gen.errors import InputError
from gen.metrics.arrays import blocks, images, pair, unit
from gen.metrics.bootstrap import REPLICATES, Value
from gen.metrics.influence import linearized

INFLUENCE = 128  # directions that influences are averaged over
CHUNK = 32  # directions projected on at once
PATCH = 7  # pixels a side
PATCHES = 128  # from one image at most (Karras et al. 2018)
SMALLEST = 16  # pixels a side of the coarsest level
BINOMIAL = np.array([1, 4, 6, 4, 1], np.float32) / 16


def mind(
    generated: np.ndarray | jax.Array,
    real: np.ndarray | jax.Array,
    *,
    directions: int = 1000,
    replicates: int = REPLICATES,
    seed: int = 0,
) -> Value:
    """Computes MIND, 3 d times mean W2^2 along random directions, of features [n d] and [m d] (Berthet et al. 2026).

    On the scale of a Fréchet distance: three times a pure shift's. Biased upwards by about a constant / n; compare at
    equal n. The interval counts the samples and the choice of directions, which equal seeds share. torch-fidelity draws
    other directions, and leaves out samples until the sets are of one size.
    """
    x, y = pair(generated, real, least=2)
    if directions < 1:
        raise InputError(f"directions={directions}; allowed: at least 1")
    along = _directions(np.random.default_rng(seed), directions, x.shape[1])
    values, *influences = sliced(x, y, along, power=2)
    scale = 3 * x.shape[1]
    parts = (scale * part for part in (*influences, values))
    return linearized(scale * values.mean(), *parts, replicates=replicates, seed=seed)


def sliced_wasserstein(
    generated: np.ndarray | jax.Array,
    real: np.ndarray | jax.Array,
    *,
    directions: int = 512,
    descriptors: int = 2**16,
    replicates: int = REPLICATES,
    seed: int = 0,
) -> dict[int, Value]:
    """Computes 1000 x sliced W1 of 7 x 7 patches at each level of a Laplacian pyramid (Karras et al. 2018, section 5).

    generated, real: images [n h w c], uint8 or in [0, 1], of one shape, at least 16 pixels a side, 1 or 3 channels.
    Returns one value for each level, by its shorter side in pixels: the finest first, the coarsest one a plain small
    image. Each set is normalized by the mean and deviation of its own channels: brightness and contrast do not count.
    descriptors: about how many patches of each set, evenly from all images, at most 128 of one; the paper took 2^21
    (of 2^14 images), and fewer raise the value: compare at equal numbers. The interval resamples whole images.
    """
    sets = [images(x, name, least=2, smallest=SMALLEST) for x, name in ((generated, "generated"), (real, "real"))]
    if sets[0].shape[1:] != sets[1].shape[1:]:
        raise InputError(f"generated images are {sets[0].shape[1:]} and real ones {sets[1].shape[1:]}; allowed: equal")
    if directions < 1 or descriptors < 1:
        raise InputError(f"directions={directions}, descriptors={descriptors}; allowed: at least 1")
    rng = np.random.default_rng(seed)
    # Patches at the same places of both sets: a set has no distance to itself.
    places = [np.random.default_rng([seed, 1]) for _ in sets]
    each = [
        _descriptors(at, x, per_image=min(max(descriptors // len(x), 1), PATCHES))
        for at, x in zip(places, sets, strict=True)
    ]
    found = {}
    for level in each[0]:
        x, y = each[0][level], each[1][level]
        along = _directions(rng, directions, x[0, 0].size)
        values, *influences = sliced(_normalized(x), _normalized(y), along, power=1)
        by_image = (u.reshape(len(patches), -1).mean(axis=1) for u, patches in zip(influences, (x, y), strict=True))
        parts = (1000 * part for part in (*by_image, values))
        found[level] = linearized(1000 * values.mean(), *parts, replicates=replicates, seed=seed)
    return found


def sliced(
    x: np.ndarray, y: np.ndarray, directions: np.ndarray, *, power: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Computes Wp^p (power p: 1 or 2) between x [n d] and y [m d] along each of `directions` [k d]: [k].

    And the influence on their mean of each row of x [n] and of y [m], from the first INFLUENCE directions. Computed in
    the type of x.
    """
    n, m = len(x), len(y)
    ends = np.union1d(np.arange(1, n + 1) * m, np.arange(1, m + 1) * n)  # of the steps of either quantile, in 1 / n m
    widths, at_x, at_y = np.diff(ends, prepend=0) / (n * m), (ends - 1) // m, (ends - 1) // n
    values, influences = np.zeros(len(directions)), (np.zeros(n), np.zeros(m))
    for start in range(0, len(directions), CHUNK):
        some = directions[start : start + CHUNK].astype(x.dtype)
        for index, (a, b) in enumerate(zip(some @ x.T, some @ y.T, strict=True), start):
            if index < INFLUENCE:
                first, second = np.argsort(a), np.argsort(b)
                a, b = a[first], b[second]
                influences[0][first] += _potential(a, b, power)
                influences[1][second] += _potential(b, a, power)
            else:
                a, b = np.sort(a), np.sort(b)
            gaps = a - b if n == m else a[at_x] - b[at_y]
            values[index] = np.dot(np.abs(gaps) if power == 1 else gaps * gaps, widths)
    used = min(len(directions), INFLUENCE)
    return values, influences[0] / used, influences[1] / used


def _potential(a: np.ndarray, b: np.ndarray, power: int) -> np.ndarray:
    """At each of a [n], sorted: the integral up to there of the slope of |a - b|^power, b [m] being of equal rank."""
    gap = a - b[(2 * np.arange(len(a)) + 1) * len(b) // (2 * len(a))]
    slope = np.sign(gap) if power == 1 else 2 * gap
    return np.concatenate([[0.0], np.cumsum((slope[1:] + slope[:-1]) / 2 * np.diff(a), dtype=np.float64)])


def _directions(rng: np.random.Generator, count: int, d: int) -> np.ndarray:
    """Evenly spread unit vectors [count d]."""
    drawn = rng.standard_normal((count, d))
    return drawn / np.linalg.norm(drawn, axis=1, keepdims=True)


def _descriptors(rng: np.random.Generator, x: np.ndarray, *, per_image: int) -> dict[int, np.ndarray]:
    """Patches float32 [n per_image 7 7 c] at random places of each level of the pyramid of images [n h w c]."""
    found: dict[int, list[np.ndarray]] = {}
    for at in blocks(len(x), 4 * x[0].size):
        for level in pyramid(unit(x[at])):
            n, h, w, _ = level.shape
            top = rng.integers(0, h - PATCH + 1, (n, per_image, 1, 1)) + np.arange(PATCH)[:, None]
            left = rng.integers(0, w - PATCH + 1, (n, per_image, 1, 1)) + np.arange(PATCH)
            found.setdefault(min(h, w), []).append(level[np.arange(n)[:, None, None, None], top, left])
    return {level: np.concatenate(parts) for level, parts in found.items()}


def _normalized(patches: np.ndarray) -> np.ndarray:
    """Patches as rows, each channel with mean 0 and deviation 1 over all of them; a constant channel becomes 0."""
    over = (0, 1, 2, 3)
    centered = patches - patches.mean(axis=over, dtype=np.float64).astype(np.float32)
    centered /= np.maximum(centered.std(axis=over, dtype=np.float64), 1e-6).astype(np.float32)
    return centered.reshape(-1, patches[0, 0].size)


def pyramid(x: np.ndarray) -> list[np.ndarray]:
    """Builds the Laplacian pyramid (Burt and Adelson 1983) of images float32 [n h w c], finest level first.

    Sides halve to at least 16 pixels; the last level is the remaining small image. Each level plus the `upsampled` sum
    below it gives the image of its size back.
    """
    levels = []
    while (min(x.shape[1:3]) + 1) // 2 >= SMALLEST:
        small = downsampled(x)
        levels.append(x - upsampled(small, x.shape[1], x.shape[2]))
        x = small
    return [*levels, x]


def downsampled(x: np.ndarray) -> np.ndarray:
    """Takes every second pixel of x [n h w c] after [1 4 6 4 1] / 16 along both sides."""
    return _blurred(_blurred(x, 1)[:, ::2], 2)[:, :, ::2]


def upsampled(x: np.ndarray, h: int, w: int) -> np.ndarray:
    """Expands x [n ceil(h/2) ceil(w/2) c] to [n h w c]: zeros between, then twice [1 4 6 4 1] / 16 along both sides."""
    spread = np.zeros((len(x), h, w, x.shape[-1]), x.dtype)
    spread[:, ::2, ::2] = x
    return 4 * _blurred(_blurred(spread, 1), 2)


def _blurred(x: np.ndarray, axis: int) -> np.ndarray:
    """Binomial filter along `axis` of x, whose border is a mirror."""
    n = x.shape[axis]
    padded = np.pad(x, [(2, 2) if i == axis else (0, 0) for i in range(x.ndim)], mode="reflect")
    taps = (np.take(padded, range(shift, shift + n), axis) for shift in range(len(BINOMIAL)))
    return sum((weight * tap for weight, tap in zip(BINOMIAL, taps, strict=True)), np.zeros_like(x))
