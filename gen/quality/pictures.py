"""Pictures of an evaluation: samples beside what they may copy, the most and least typical, by class, and as a map.

Each is uint8 [H W 3] with its title, or left out where the question has no answer.
"""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw

from gen.metrics import neighbours
from gen.quality.board import Question
from gen.report import enlargement, grid
from gen.report.heat import text
from gen.report.sheet import Tile, sheet

_NEAREST, _COLUMNS = 16, 4  # samples beside their nearest training images, and how many pairs in a row
_TYPICAL = 32  # samples of each kind
_PER_CLASS, _CLASSES = 10, 12
_POINTS, _SIDE = 1500, 520  # of each set on the map; pixels
_REAL, _INSIDE, _OUTSIDE = (170, 170, 170), (20, 100, 190), (215, 80, 20)


def pictures(question: Question) -> dict[str, tuple[str, np.ndarray]]:
    """File name without suffix -> (what it shows, picture)."""
    made: dict[str, tuple[str, np.ndarray]] = {}
    if len(question.reference.train):
        made["nearest"] = (
            "The samples that are nearest to a training image (left: sample, right: that image; distance in features)",
            nearest(question),
        )
    low, high = typical(question)
    made["typical"] = ("The most typical samples: deepest among real ones", low)
    made["untypical"] = ("The least typical samples", high)
    if (by_class := classes(question)) is not None:
        made["classes"] = ("A row for each class; a red frame where the classifier sees another", by_class)
    made["map"] = (
        "Real images (grey) and samples (blue: among real ones, orange: not) along the two directions in which real "
        "ones differ most",
        manifold(question),
    )
    return made


def nearest(question: Question) -> np.ndarray:
    """Pairs of a sample and its nearest training image, the nearest first."""
    generated, train = question.generated, question.reference.train
    distances, indices = neighbours.nearest(generated.features, train.features, k=1)
    tiles = list[Tile]()
    for i in np.argsort(distances[:, 0], kind="stable")[:_NEAREST]:
        tiles += [(f"{distances[i, 0]:.3g}", generated.images[i]), ("", train.images[indices[i, 0]])]
    rows = [("", tiles[i : i + 2 * _COLUMNS]) for i in range(0, len(tiles), 2 * _COLUMNS)]
    return sheet(rows, enlarged=enlargement(*generated.images.shape[1:3]))


def realism(question: Question, *, k: int = 3) -> np.ndarray:
    """How deep each sample lies among real images [n]: at least 1 where precision counts it as real, more inside.

    The largest ratio, over real images, of the distance to its k-th neighbour to that of the sample (Kynkäänniemi et
    al. 2019, equation 4).
    """
    generated, real = question.generated.features, question.reference.real.features
    radii = neighbours.manifold(real, k=min(k, len(real) - 1)).distances[:, -1]
    deepest = np.zeros(len(generated))
    for rows, columns, squared in neighbours.squared_distances(generated, real):
        ratios = np.square(radii[columns]) / np.maximum(squared, 1e-24)
        deepest[rows] = np.maximum(deepest[rows], ratios.max(axis=1))
    return np.sqrt(deepest)


def typical(question: Question) -> tuple[np.ndarray, np.ndarray]:
    """The most and the least typical samples."""
    order = np.argsort(-realism(question), kind="stable")
    images = question.generated.images
    return grid(images[order[:_TYPICAL]], columns=8), grid(images[order[::-1][:_TYPICAL]], columns=8)


def classes(question: Question) -> np.ndarray | None:
    """A row of samples for each class that was asked for, framed where the classifier sees another one."""
    generated, names = question.generated, question.reference.class_names
    if generated.labels is None or not names:
        return None
    wrong = None if generated.logits is None else generated.logits.argmax(1) != generated.labels
    rows = []
    for k, name in list(enumerate(names))[:_CLASSES]:
        tiles = [
            ("", _framed(generated.images[i], wrong is not None and bool(wrong[i])))
            for i in np.flatnonzero(generated.labels == k)[:_PER_CLASS]
        ]
        if tiles:
            rows.append((name, tiles))
    return sheet(rows, enlarged=max(1, enlargement(*generated.images.shape[1:3]) // 2)) if rows else None


def _framed(image: np.ndarray, wrong: bool) -> np.ndarray:
    picture = np.broadcast_to(image, (*image.shape[:2], 3)).copy()
    if wrong:
        for edge in (picture[0], picture[-1], picture[:, 0], picture[:, -1]):
            edge[:] = (255, 0, 0)
    return picture


def manifold(question: Question) -> np.ndarray:
    """Real images and samples as points of the plane of the real features' first two principal components."""
    real, generated = (
        np.asarray(s.features[:_POINTS], np.float64) for s in (question.reference.real, question.generated)
    )
    center = real.mean(0)
    _, _, axes = np.linalg.svd(real - center, full_matrices=False)
    inside = realism(question)[:_POINTS] > 1
    spread = [(x - center) @ axes[:2].T for x in (real, generated)]
    low, high = (np.quantile(np.concatenate(spread), q, axis=0) for q in (0.002, 0.998))
    canvas = Image.new("RGB", (_SIDE, _SIDE), "white")
    draw = ImageDraw.Draw(canvas)
    for points, colours in (
        (spread[0], [_REAL] * len(real)),
        (spread[1], [_INSIDE if i else _OUTSIDE for i in inside]),
    ):
        at = 8 + (points - low) / np.maximum(high - low, 1e-12) * (_SIDE - 16)
        for (x, y), colour in zip(at, colours, strict=True):
            draw.ellipse((x - 1.5, y - 1.5, x + 1.5, y + 1.5), fill=colour)
    share = text(f"{inside.mean():.0%} of the samples lie among real images")
    return np.concatenate(
        [np.asarray(canvas), np.pad(share, ((0, 0), (8, _SIDE - 8 - share.shape[1]), (0, 0)), constant_values=255)]
    )
