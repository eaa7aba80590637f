"""The images of benchmarks/imaging.py, what is made of them before anything is timed, and how results are compared."""

from __future__ import annotations

import importlib.util
from typing import Any, NamedTuple

import numpy as np

LABELS = ("connected_components", "watershed", "random_walker")
MEANS = ("match_histogram", "denoise_nl_means")


class Arrays(NamedTuple):
    """What the operators are given, [b h w ...]; each library sees it in its own layout."""

    x: Any  # float32 [.. 3] in [0, 1]
    x8: Any  # uint8 [.. 3]
    x255: Any  # float32 [.. 3], 255 x
    gray: Any  # float32 [.. 1], 8-bit levels / 255
    gray8: Any  # uint8 [.. 1], the same levels
    reference: Any  # float32 [.. 3], another image
    lab: Any  # x in other spaces
    hsv: Any
    mask: Any  # int32, 0 or 1
    mask8: Any  # uint8
    relief: Any  # float32 [.. 1], high at edges
    relief8: Any  # uint8 [.. 3]
    seeds: Any  # int32, 4 patches numbered from 1
    markers: Any  # int32, a grid of pixels numbered from 1


def photographs(batch: int, size: int) -> tuple[np.ndarray, str]:
    """float32 [batch size size 3] in [0, 1], and where they are from."""
    draw = np.random.default_rng(0)
    if importlib.util.find_spec("skimage"):
        from skimage import data

        sources, name = [data.astronaut(), data.chelsea(), data.coffee(), data.rocket()], "scikit-image's photographs"
        wide = [np.pad(s, [(0, max(0, size - n)) for n in s.shape[:2]] + [(0, 0)], mode="wrap") for s in sources]
        corners = [[draw.integers(n - size + 1) for n in wide[i % 4].shape[:2]] for i in range(batch)]
        images = np.stack([wide[i % 4][y : y + size, x : x + size] for i, (y, x) in enumerate(corners)]) / 255
    else:
        from gen.data.shapes import render

        images, name = np.asarray(render(np.arange(batch), resolution=size).image), "shapes of gen.data"
    return np.clip(images + 0.002 * draw.standard_normal(images.shape), 0, 1).astype(np.float32), name


def inputs(batch: int, size: int) -> tuple[Arrays, str]:
    """The arrays, and where the images are from."""
    from gen.imaging.color import rgb_to_hsv, rgb_to_lab
    from gen.imaging.filters.edges import sobel

    x, name = photographs(batch, size)
    gray8 = np.round(x @ np.float32([0.2126, 0.7152, 0.0722]) * 255).astype(np.uint8)[..., None]
    gray = gray8.astype(np.float32) / 255
    mask = (gray > gray.mean(axis=(1, 2, 3), keepdims=True))[..., 0].astype(np.int32)
    relief8 = np.minimum(np.asarray(sobel(gray)) * 8 * 64, 255).astype(np.uint8)
    seeds, markers = np.zeros_like(mask), np.zeros_like(mask)
    for i, (row, column) in enumerate(((1, 1), (1, 3), (3, 1), (3, 3))):
        y, z = row * size // 4, column * size // 4
        seeds[:, y : y + size // 32 + 1, z : z + size // 32 + 1] = i + 1
    places = ((np.arange(14) + 0.5) * size / 14).astype(int)
    markers[:, places[:, None], places] = 1 + np.arange(196).reshape(14, 14)
    return Arrays(
        x=x,
        x8=np.round(x * 255).astype(np.uint8),
        x255=255 * x,
        gray=gray,
        gray8=gray8,
        reference=np.ascontiguousarray(np.roll(x, 1, 0)),
        lab=np.asarray(rgb_to_lab(x)),
        hsv=np.asarray(rgb_to_hsv(x)),
        mask=mask,
        mask8=mask.astype(np.uint8),
        relief=relief8.astype(np.float32) / 255,
        relief8=np.repeat(relief8, 3, axis=-1),
        seeds=seeds,
        markers=markers,
    ), name


def difference(name: str, margin: int, ours: Any, result: Any) -> float:
    """The largest difference of images without their margin, or the share of pixels that are labeled otherwise.

    The mean of the differences for `MEANS`, where a pixel may jump.
    """
    theirs = np.stack(result) if isinstance(result, list) else np.asarray(result)
    ours = np.asarray(ours)[: len(theirs)]
    if ours.shape != theirs.shape:
        theirs = theirs.reshape(ours.shape)
    if name in LABELS:
        if name == "connected_components":
            ours, theirs = (np.stack([_in_order(image) for image in labels]) for labels in (ours, theirs))
        return float(np.mean(ours != theirs))
    m = min(margin, (ours.shape[1] - 1) // 2, (ours.shape[2] - 1) // 2)
    ours, theirs = (a[:, m : a.shape[1] - m, m : a.shape[2] - m] for a in (ours, theirs))
    if ours.dtype == bool or name == "canny":
        return float(np.mean((ours > 0) != (theirs > 0)))
    differences = np.abs(ours.astype(np.float64) - theirs)
    return float(np.mean(differences) if name in MEANS else np.max(differences))


def _in_order(labels: np.ndarray) -> np.ndarray:
    """The same division with numbers in the order of the first pixels; 0 stays 0."""
    values, first, inverse = np.unique(labels, return_index=True, return_inverse=True)
    first[values == 0] = -1
    rank = np.argsort(np.argsort(first)) + (0 if (values == 0).any() else 1)
    return rank[inverse].reshape(labels.shape)
