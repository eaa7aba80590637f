"""Looks for the mark, with a bound of the probability that an image without it looks as if it had it.

The statistic is T = sum of s_k c_k over the carriers whose signs s_k the key gives, with the received carriers c_k
(weighted, limited; any function of the image). For an image that was made without the key the signs are independent of
it, so that P(T >= t) <= exp(-t^2 / (2 sum c_k^2)) (Hoeffding 1963, theorem 2), whatever the image. Everything that is
searched is counted: the bound is multiplied by the number of places (Bonferroni).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import jax
import numpy as np

from gen.errors import InputError
from gen.watermark import code, parts
from gen.watermark.aligned import Candidate, best_of, measured
from gen.watermark.key import VERSION, Key, carriers

THRESHOLD = 1e-6  # p-values below it count as found
KNOWN = 1e-3  # a block of the payload is believed below this bound


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


def _detection(secret_key: Key, candidate: Candidate, p_value: float) -> Detection:
    if p_value >= THRESHOLD:
        return Detection(p_value, False, None, None, 0, "")
    words = code.decode(candidate.spectrum(), carriers(secret_key, candidate.size), candidate.size)
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
    not, down to a half of each side, and images with something added at the borders; about a second for each image.
    Raises InputError for what is no image, and for values that are not finite.
    """
    if search not in ("aligned", "full"):
        raise InputError(f"watermark: search {search!r}; allowed: 'aligned', 'full'")
    arrays = _arrays(images)
    found: dict[int, Detection] = {}
    for group in _alike(arrays):
        left = iter(group)
        for part in measured([arrays[i] for i in group]):
            candidates = best_of({size: there.spectra for size, there in part.items()}, secret_key)
            for at, (i, candidate) in enumerate(zip(itertools.islice(left, len(candidates)), candidates, strict=True)):
                best, p_value = candidate, candidate.p_value()
                if search == "full":  # each of the two may use up half of the probability of a false alarm
                    samples = {size: there.samples[at] for size, there in part.items()}
                    best = min(candidate, parts.search(samples, secret_key) or candidate, key=Candidate.p_value)
                    p_value = min(1.0, 2 * best.p_value())
                found[i] = _detection(secret_key, best, p_value)
    return [found[i] for i in range(len(arrays))]


def _arrays(images: np.ndarray | jax.Array | Sequence[np.ndarray]) -> list[np.ndarray]:
    """Lists images, [h w c] each. Raises InputError."""
    arrays = [np.asarray(image) for image in images]
    for image in arrays:
        if image.ndim != 3:
            raise InputError(f"watermark: an image {list(image.shape)}; allowed: [n h w c], or a list of [h w c]")
        if not image.size or not (image.dtype.kind == "f" or image.dtype.str[1:] in ("u1", "u2")):
            found = f"an image of {image.dtype} {list(image.shape)}"
            raise InputError(f"watermark: {found}; allowed: uint8, uint16 or float in [0, 1], not empty")
        if image.dtype.kind == "f" and not np.isfinite(image).all():
            raise InputError("watermark: an image with values that are NaN or infinite; allowed: 0 to 1")
    return arrays


def _alike(images: Sequence[np.ndarray]) -> Iterable[list[int]]:
    """Indices of images of one shape and dtype."""
    shapes: dict[Any, list[int]] = {}
    for i, image in enumerate(images):
        shapes.setdefault((image.shape, image.dtype), []).append(i)
    return shapes.values()


def pool(images: np.ndarray | jax.Array | Sequence[np.ndarray], secret_key: Key) -> Detection:
    """Looks for the mark in many images together, such as samples too small for one of them to tell.

    The limited carriers of all images are added up first, then tested once: the signs are the same for all images, so
    the bound holds however the images depend on each other.
    """
    arrays = _arrays(images)
    if not arrays:
        raise InputError("watermark: no images to pool")
    sums: dict[int, np.ndarray] = {}
    for group in _alike(arrays):
        for part in measured([arrays[i] for i in group]):
            for size, there in part.items():
                sums[size] = sums.get(size, np.zeros((), np.complex64)) + there.spectra.sum(axis=0, keepdims=True)
    (candidate,) = best_of(sums, secret_key)
    return _detection(secret_key, candidate, candidate.p_value())
