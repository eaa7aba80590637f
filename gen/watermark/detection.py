"""Looks for the mark, with a bound of the probability that an image without it looks as if it had it.

The statistic is T = sum of s_k c_k over the carriers whose signs s_k the key gives, with the received carriers c_k
(weighted, limited; any function of the image). For an image that was made without the key the signs are independent of
it, so that P(T >= t) <= exp(-t^2 / (2 sum c_k^2)) (Hoeffding 1963, theorem 2), whatever the image. Everything that is
searched is counted: the bound is multiplied by the number of places (Bonferroni).
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np

from gen.errors import InputError
from gen.watermark import code, frame
from gen.watermark.key import VERSION, Key, carriers

THRESHOLD = 1e-6  # p-values below it count as found
LEAST = 1e-300  # smaller bounds are not told apart
KNOWN = 1e-3  # a block of the payload is believed below this bound
TURNS = ("", "turned by 90 degrees", "turned by 180 degrees", "turned by 270 degrees")


@dataclass(frozen=True)
class Detection:
    """What was found. p_value bounds the probability of such a fit without a mark; found: it is below THRESHOLD.

    tag_bits: how many leading bits of the 24 of the tag are known; the others are zero in `tag`, None for none.
    place: how the image lies to the marked one, in words; "" as it was written.
    """

    p_value: float
    found: bool
    version: int | None
    tag: int | None
    tag_bits: int
    place: str


Place = tuple[int, bool]  # turned by so many times 90 degrees after it was mirrored or not
PLACES: tuple[Place, ...] = tuple((turn, mirrored) for mirrored in (False, True) for turn in range(4))


def _words(place: Place) -> str:
    return ", ".join(word for word in ("mirrored" if place[1] else "", TURNS[place[0]]) if word)


@functools.lru_cache(maxsize=8)
def _undone(size: int) -> np.ndarray:
    """For each place the flat indices [size, size] into a tile that give the tile of the image turned back."""
    tile = np.arange(size * size, dtype=np.int32).reshape(size, size)
    back = [np.rot90(tile, -turn) for turn, _ in PLACES]
    return np.stack(
        [turned[:, ::-1] if mirrored else turned for turned, (_, mirrored) in zip(back, PLACES, strict=True)]
    )


@jax.jit
def _tiles(pixels: jax.Array, down: Any, smooth: frame.Smoothings, fold: Any) -> jax.Array:
    """[n h w c] to tiles [n, C, C] of what the mark is measured in: high-passed samples over their local contrast."""
    high, contrast = frame.local_contrast(frame.around(frame.luma(pixels), *down), smooth)
    return frame.around(high / contrast, *fold)


@jax.jit
def _spectra(tiles: jax.Array, indices: jax.Array, weights: jax.Array) -> jax.Array:
    """[n, C, C] to [n, places, C, C / 2 + 1]"""
    size = tiles.shape[-1]
    turned = tiles.reshape(-1, size * size)[:, indices.reshape(len(indices), -1)]
    return frame.spectrum(turned.reshape(len(tiles), len(indices), size, size), weights)


@jax.jit
def _fit(spectra: jax.Array, expected: jax.Array) -> jax.Array:
    """T / sqrt(sum of c_k^2) of spectra [... C C/2+1]; expected: the signs, 0 where none is known."""
    fit = jnp.sum((spectra * jnp.conj(expected)).real, axis=(-2, -1))
    return fit / jnp.sqrt(jnp.maximum(jnp.sum(jnp.abs(jnp.where(expected != 0, spectra, 0)) ** 2, axis=(-2, -1)), 1e-6))


def _pixels(images: Sequence[np.ndarray]) -> np.ndarray:
    """Images of one shape as float32 [n h w c] in [0, 255], without alpha, padded to their bucket."""
    x = np.stack([np.asarray(image) for image in images])
    peak = {"u1": 255.0, "u2": 65535.0}.get(x.dtype.str[1:], 1.0)
    height, width, channels = x.shape[1:]
    x = x[..., : channels - (channels in (2, 4))].astype(np.float32) * np.float32(255 / peak)
    return np.pad(x, ((0, 0), (0, frame.bucket(height) - height), (0, frame.bucket(width) - width), (0, 0)))


def _sizes(height: int, width: int) -> list[int]:
    """The canonical sizes that a mark in an image of this size can have: of a larger one it would be lost."""
    return [size for size in frame.SIZES if size <= max(4 * min(height, width), frame.SIZES[0])]


def _aligned_spectra(images: Sequence[np.ndarray]) -> dict[int, jax.Array]:
    """For each canonical size the spectra [n, places, C, C / 2 + 1] of images of one shape."""
    height, width = images[0].shape[:2]
    pixels = _pixels(images)
    spectra = {}
    for size in _sizes(height, width):
        sized = frame.matrices(height, width, size)
        tiles = _tiles(pixels, sized["down"], sized["smooth"], sized["fold"])
        spectra[size] = _spectra(tiles, _undone(size), frame.whitening(size))
    return spectra


@dataclass(frozen=True)
class _Candidate:
    """A place with its fit, and the spectrum [C, C / 2 + 1] there. tried: how many such places there are."""

    fit: float
    tried: int
    size: int
    spectrum: np.ndarray
    place: str

    def p_value(self) -> float:
        return float(min(1.0, max(LEAST, self.tried * np.exp(-(max(self.fit, 0.0) ** 2) / 2))))


def _best(spectra: dict[int, jax.Array], secret_key: Key) -> _Candidate:
    """The best of all sizes and places, spectra [places, C, C / 2 + 1]."""
    best, tried = None, len(spectra) * len(PLACES)
    for size, there in spectra.items():
        known = carriers(secret_key, size)
        fits = np.asarray(_fit(there, known.signs * known.sync))
        i = int(np.argmax(fits))
        if best is None or fits[i] > best.fit:
            best = _Candidate(float(fits[i]), tried, size, np.asarray(there[i]), _words(PLACES[i]))
    assert best is not None
    return best


def _detection(secret_key: Key, candidate: _Candidate, share: float) -> Detection:
    """share: of the probability of a false alarm, what this kind of candidate has."""
    p_value = min(1.0, candidate.p_value() / share)
    if p_value >= THRESHOLD:
        return Detection(p_value, False, None, None, 0, "")
    words = code.decode(candidate.spectrum, carriers(secret_key, candidate.size), candidate.size)
    tag, bits = code.tag_of(words, candidate.size, KNOWN)
    return Detection(p_value, True, VERSION, tag if bits else None, bits, candidate.place)


def detect(
    images: np.ndarray | jax.Array | Sequence[np.ndarray],
    secret_key: Key,
    *,
    search: Literal["aligned", "full"] = "aligned",
) -> list[Detection]:
    """Looks for the mark of the key in each image: [n h w c], or a list of [h w c] of different sizes.

    "aligned": whole images, of any size, mirrored or turned by 90 degrees. "full": also parts of images, enlarged or
    not, down to a half of each side, and images with borders of up to a quarter; about half a second for each image.
    """
    if search not in ("aligned", "full"):
        raise InputError(f"watermark: search {search!r}; allowed: 'aligned', 'full'")
    images = [np.asarray(image) for image in images]
    found: list[Detection] = [Detection(1.0, False, None, None, 0, "")] * len(images)
    for group in _groups(images):
        spectra = _aligned_spectra([images[i] for i in group])
        for at, i in enumerate(group):
            candidate = _best({size: there[at] for size, there in spectra.items()}, secret_key)
            found[i] = _detection(secret_key, candidate, 1.0 if search == "aligned" else 0.5)
    return found


def _groups(images: Sequence[np.ndarray]) -> list[list[int]]:
    """Indices of images of one shape and dtype, at most so many together as memory allows."""
    shapes: dict[Any, list[int]] = {}
    for i, image in enumerate(images):
        shapes.setdefault((image.shape, image.dtype), []).append(i)
    return [same[k : k + 16] for same in shapes.values() for k in range(0, len(same), 16)]


def pool(images: np.ndarray | jax.Array | Sequence[np.ndarray], secret_key: Key) -> Detection:
    """Looks for the mark in many images together, such as samples too small for one of them to tell.

    The limited carriers of all images are added up first, then tested once: the signs are the same for all images, so
    the bound holds however the images depend on each other.
    """
    images = [np.asarray(image) for image in images]
    if not images:
        raise InputError("watermark: no images to pool")
    sums: dict[int, jax.Array] = {}
    for group in _groups(images):
        for size, spectra in _aligned_spectra([images[i] for i in group]).items():
            sums[size] = sums.get(size, jnp.zeros(())) + jnp.sum(spectra, axis=0)
    return _detection(secret_key, _best(sums, secret_key), 1.0)
