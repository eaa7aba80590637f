"""Puts the mark into images: carriers of equal strength, shaped by the local contrast, to a PSNR that is asked for."""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from gen.errors import InputError
from gen.watermark import code, frame, pattern
from gen.watermark.key import Key, carriers
from gen.watermark.large import embed_large

MIN = 16  # pixels of the short side
LARGE = 768  # pixels of a side above which images are marked in strips
IN_PLAIN, GENTLER = 44.0, 2.0  # dB in plain images, where the mark would be seen: at least, and above the others
PSNR = 20, 80  # dB that may be asked for
TAGS = 1 << code.TAG_BITS
PIXELS_AT_ONCE = 1 << 21


def together(height: int, width: int) -> bool:
    """Whether images of this size are compiled for and marked together: small squares, as models make them.

    Photographs have many sizes, and to compile for each takes longer than to mark it in strips, on the host.
    """
    return height == width <= LARGE


def default_psnr(height: int, width: int) -> float:
    """40 dB up to a short side of 64, 41 at 128, 42 at 256, 44 from 1024."""
    return float(np.clip(34 + np.log2(min(height, width)), 40, 44))


@functools.partial(jax.jit, static_argnames="step")
def _mark(
    images: jax.Array,
    allowed: jax.Array,
    signs: jax.Array,
    sync: jax.Array,
    radius: jax.Array,
    sized: dict[str, Any],
    rms: jax.Array,
    gentle: jax.Array,
    *,
    step: float,
) -> jax.Array:
    """images [n h w c] in [0, 255], allowed [n h w 1] in 0 or 1; rounded to multiples of `step` (0: not at all).

    gentle: decibels by which the mark is weaker in plain images.
    """
    samples = frame.around(frame.luma(images), *sized["down"])
    high, contrast = frame.local_contrast(samples, sized)
    vertical, horizontal = sized["fold"]
    inside = jnp.sum(vertical, axis=0)[:, None] * jnp.sum(horizontal, axis=0)  # 1, and 0 where samples are padded
    rough = pattern.roughness(contrast, inside)
    tile = pattern.tile_for(frame.around(high / contrast, vertical, horizontal), rough, signs, sync, radius)
    shaped = contrast**pattern.MASKED * frame.around(tile, vertical.T, horizontal.T)
    change = frame.around(shaped, *sized["up"])[..., None] * pattern.colors(images.shape[-1]) * allowed
    rms = rms * pattern.weaker(rough, gentle)[:, None, None, None]
    count = jnp.maximum(jnp.sum(allowed, axis=(1, 2, 3), keepdims=True) * images.shape[-1], 1)

    def marked(strength: jax.Array) -> jax.Array:
        return jnp.where(allowed > 0, pattern.moved(jnp, images, strength * change, step), images)

    def rms_of(moved: jax.Array) -> jax.Array:
        return jnp.sqrt(jnp.sum((moved - images) ** 2, axis=(1, 2, 3), keepdims=True) / count)

    def stronger(_: int, strength: jax.Array) -> jax.Array:
        return strength * jnp.clip(rms / jnp.maximum(rms_of(marked(strength)), 1e-3), 0.25, 4)

    first = rms / jnp.maximum(rms_of(images + change), 1e-6)
    return marked(jax.lax.fori_loop(0, pattern.ROUNDS, stronger, first))


def embed(
    images: np.ndarray | jax.Array,
    secret_key: Key,
    *,
    tag: int,
    psnr: float | None = None,
    region: np.ndarray | None = None,
) -> np.ndarray:
    """Marks images [n h w c], uint8, uint16 or float in [0, 1], of 1 to 4 channels; returns the same shape and dtype.

    The last of 2 or 4 channels is alpha and stays. tag: an integer below 2^24. psnr: decibels between the images and
    the marked ones, where they may change, 20 to 80; None: `default_psnr`, and 2 to 4 more in plain images. region:
    bool [h w] or [n h w], where they may change. Images whose short side is below MIN pixels are returned as they are.
    Raises InputError.
    """
    images = np.asarray(images)
    _check(images, tag, psnr, region)
    number, height, width, channels = images.shape
    if min(height, width) < MIN or not number:
        return images.copy()
    colors = channels - (channels in (2, 4))
    peak = {"u1": 255.0, "u2": 65535.0}.get(images.dtype.str[1:], 1.0)
    step = 255 / peak if images.dtype.kind == "u" else 0.0
    size = frame.natural_size(height, width)
    known = carriers(secret_key, size)
    signs = code.target(known, tag, size)
    usual = default_psnr(height, width)
    rms = 255 * 10 ** (-(usual if psnr is None else psnr) / 20)
    gentle = max(IN_PLAIN - usual, GENTLER) if psnr is None else 0.0
    where = np.broadcast_to(True if region is None else np.asarray(region, bool), (number, height, width))
    marked = images.copy()
    if not together(height, width):
        for image, result, free in zip(images[..., :colors], marked[..., :colors], where, strict=True):
            embed_large(
                image,
                result,
                None if region is None else free,
                signs,
                known.sync,
                rms=rms,
                gentle=gentle,
                peak=peak,
                step=step,
            )
        return marked
    sized = frame.matrices(height, width, size)
    tall, broad = frame.bucket(height), frame.bucket(width)
    at_once = max(1, PIXELS_AT_ONCE // (tall * broad))
    for start in range(0, number, at_once):
        part = images[start : start + at_once, ..., :colors]
        padding = (0, (1 << (len(part) - 1).bit_length()) - len(part)), (0, tall - height), (0, broad - width)
        x = np.pad(part.astype(np.float32) * np.float32(255 / peak), (*padding, (0, 0)))
        allowed = np.pad(where[start : start + at_once], padding).astype(np.float32)[..., None]
        y = np.asarray(
            _mark(
                x, allowed, signs, known.sync, frame.radius(size), sized, np.float32(rms), np.float32(gentle), step=step
            )
        )[: len(part), :height, :width]
        y = y * (peak / 255)
        marked[start : start + at_once, ..., :colors] = np.rint(y) if step else y
    return marked


def _check(images: np.ndarray, tag: int, psnr: float | None, region: np.ndarray | None) -> None:
    kind = images.dtype.kind == "f" or images.dtype in (np.uint8, np.uint16)
    if images.ndim != 4 or not 1 <= images.shape[-1] <= 4 or not kind:
        raise InputError(
            f"watermark: {images.dtype} {list(images.shape)}; "
            "allowed: uint8, uint16 or float in [0, 1], [n h w c], c 1 to 4"
        )
    if images.dtype.kind == "f" and images.size and not (images.min() >= 0 and images.max() <= 1):
        raise InputError(f"watermark: values from {images.min():.3g} to {images.max():.3g}; allowed: 0 to 1")
    if not 0 <= tag < TAGS:
        raise InputError(f"watermark: tag {tag}; allowed: 0 to {TAGS - 1}")
    if psnr is not None and not PSNR[0] <= psnr <= PSNR[1]:
        raise InputError(f"watermark: psnr {psnr}; allowed: {PSNR[0]} to {PSNR[1]} dB")
    sides = images.shape[:3]
    if region is not None and np.shape(region) not in (sides, sides[1:]):
        raise InputError(f"watermark: region {list(np.shape(region))}; allowed: {list(sides[1:])} or {list(sides)}")
