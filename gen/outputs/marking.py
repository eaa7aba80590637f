"""Puts the watermark into pixels that are about to be written.

Images are uint8 or uint16 [h w c], c: 1 gray, 2 gray and alpha, 3 RGB, 4 RGB and alpha.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from gen.provenance.policy import Policy

ALGORITHM = "org.gen-images.watermark.1"  # what a signature calls it
_AT_ONCE = 64  # images, of at most _PIXELS together
_PIXELS = 2**18


class Unmarked(NamedTuple):
    """Pixels to mark."""

    pixels: np.ndarray
    tag: int  # of the run, see `gen.provenance.run_tag`
    region: np.ndarray | None = None  # bool [h w], where they may change; None: everywhere


def mark(images: Sequence[Unmarked], policy: Policy) -> list[np.ndarray]:
    """Returns the pixels with the mark of the policy, if it has one.

    A compiler rounds in another way for other numbers of images. So all of one size are marked in parts of the same
    number, of which some may be idle: the result for an image does not depend on those beside it.
    """
    if policy.key is None:
        return [image.pixels for image in images]
    done = list[np.ndarray]()
    alike = lambda image: (image.pixels.shape, image.pixels.dtype, image.tag, image.region is None)  # noqa: E731
    for _, group in itertools.groupby(images, alike):
        same = list(group)
        size = at_once(*same[0].pixels.shape[:2])
        for start in range(0, len(same), size):
            done += _embed(same[start : start + size], policy, size)
    return done


def compile_for(shape: tuple[int, int, int], policy: Policy) -> None:
    """Compiles what marks uint8 images of a shape [h w c], if the policy has a mark."""
    mark([Unmarked(np.zeros(shape, np.uint8), tag=0)], policy)


def at_once(height: int, width: int) -> int:
    """Returns how many images of a size are marked together; 1 for what is marked without a compiler."""
    from gen.watermark import embedding

    return max(1, min(_AT_ONCE, _PIXELS // (height * width))) if embedding.together(height, width) else 1


def _embed(images: Sequence[Unmarked], policy: Policy, size: int) -> list[np.ndarray]:
    """Marks at most `size` images of one shape, dtype and tag."""
    from gen import watermark

    assert policy.key is not None
    full = [*images, *[images[-1]] * (size - len(images))]
    regions = [image.region for image in full if image.region is not None]
    region = np.stack(regions) if regions else None
    marked = watermark.embed(np.stack([image.pixels for image in full]), policy.key, tag=images[0].tag, region=region)
    return list(np.asarray(marked)[: len(images)])
