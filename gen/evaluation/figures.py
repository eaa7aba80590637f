"""Draws an evaluation: samples beside what they may copy, the most and least typical, by class, and as a map.

Each is uint8 [H W 3] with its title, or left out where the comparison has no answer.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from gen.errors import InputError
from gen.evaluation.comparison import Comparison
from gen.evaluation.feature_sets import K, subset
from gen.evaluation.metric_functions import LEAST_HELD_OUT
from gen.metrics import neighbors, spectrum
from gen.metrics.neighbors import Manifold
from gen.report import enlarged, grid
from gen.report.contact_sheet import Tile, beside, sheet, stacked, text
from gen.report.curves import Chart, Series, chart

FIGURES = ("nearest", "typical", "untypical", "classes", "prompts", "map")
_LEAST = 1e-24  # squared distance: a copy is in a ball of radius 0, too
_NEAREST, _COLUMNS = 16, 4  # samples beside their nearest training images, and how many of these pairs in a row
_TYPICAL = 32  # samples of each kind
_PER_CLASS, _CLASSES = 10, 16
_PROMPTS, _PROMPT_LETTERS, _PROMPT_WIDTH = 24, 64, 400  # samples with prompts, and letters and pixels of a prompt
_LARGEST = 128  # pixels: images with longer sides are shown smaller
_POINTS, _SIDE, _FINER = 1500, 560, 3  # of each set on the map; its pixels, and how many times as many it is drawn with
_FRAME, _RED = 2, (225, 30, 30)
_PAPER = 168  # gray around images: fits light and dark pages, and dark text is read on it
_RIGHT = ((0, 0), (0, 16), (0, 0))  # pixels between pairs
_REACHED, _MISSED, _INSIDE, _OUTSIDE = (185, 185, 185), (30, 30, 30), (20, 100, 190), (235, 110, 20)


def draw_figures(comparison: Comparison) -> dict[str, tuple[str, np.ndarray]]:
    """Draws all figures: file name without suffix -> (what it shows, picture)."""
    threshold, real = _threshold(comparison), "real" if comparison.reference.split == "all" else "training"
    frame = (
        f"; in a red frame those nearer than {threshold:.3g}, as 1 % of held-out images are, and how many more are"
        if threshold
        else ""
    )
    title = (
        f"The samples that are nearest to a {real} image: sample left, that image right, distance in features{frame}"
    )
    made = {"nearest": (title, nearest(comparison))}
    if min(len(comparison.generated), len(comparison.reference.real)) > K:
        most, least = typical(comparison)
        made["typical"] = ("The most typical samples: deepest among real images in features", most)
        made["untypical"] = ("The least typical samples: farthest from real images", least)
    if (by_class := classes(comparison)) is not None:
        made["classes"] = (
            "Classes: samples of each that was asked for"
            + ("; per cent, and no red frame, where the classifier agrees" if _classifies(comparison) else ""),
            by_class,
        )
    if (by_prompt := prompts(comparison)) is not None:
        made["prompts"] = (
            "Prompts: samples with the caption that was asked for, and below it the nearest of all captions by the "
            "text-image model; in a red frame where that one says something else",
            by_prompt,
        )
    if min(len(comparison.generated), len(comparison.reference.real)) > K:
        made["map"] = (
            "Precision and recall: real images and samples along the two directions in which real ones differ most",
            manifold(comparison),
        )
    return made


def spectra(comparison: Comparison) -> list[Chart]:
    """Lays out the power of samples and of real images by frequency: in rings, and in rows and columns.

    None of images that have no spectrum: one alone, or of fewer than 16 pixels a side.
    """
    sets = {"samples": comparison.generated, "real": comparison.reference.real}
    try:
        rings = {name: spectrum.radial_power(x.images) for name, x in sets.items()}
        lines = {name: x.line_power.mean(axis=0)[1:] for name, x in sets.items()}
    except InputError:
        return []
    along = {name: spectrum.Spectrum(np.arange(1, len(x) + 1) / len(x) / 2, x) for name, x in lines.items()}
    drawn = (
        _curves("Power spectrum, radial mean", rings),
        _curves("Power of rows and columns: a grid of 2 or 4 pixels shows about 0.5 or 0.25", along),
    )
    return [found for found in drawn if found]


def _curves(title: str, spectra: Mapping[str, spectrum.Spectrum]) -> Chart | None:
    lines = [Series(name, x.frequencies.tolist(), x.power.tolist()) for name, x in spectra.items()]
    return chart(title, lines, x_label="cycles per pixel", y_label="power")


def nearest(comparison: Comparison) -> np.ndarray:
    """Draws samples beside their nearest training images, the nearest first; suspiciously near ones in a red frame.

    Each training image once, with its nearest sample, and how many more samples are suspiciously near to it.
    """
    (distances, indices), threshold = (x[:, 0] for x in comparison.near), _threshold(comparison)
    order = np.argsort(distances, kind="stable")
    first = np.sort(np.unique(indices[order], return_index=True)[1])
    tiles = list[Tile]()
    for i in order[first[:_NEAREST]]:
        more = int(np.sum((indices == indices[i]) & (distances < threshold))) - 1
        pair = (comparison.generated.images[i], comparison.reference.train.images[indices[i]])
        title = f"{distances[i]:.3g}" + (f", {more:,} more" if more > 0 else "")
        suspicious = bool(distances[i] < threshold or distances[i] == 0)
        tiles.append((title, np.pad(beside([_framed(x, suspicious) for x in pair]), _RIGHT, constant_values=_PAPER)))
    rows = [("", tiles[i : i + _COLUMNS]) for i in range(0, len(tiles), _COLUMNS)]
    return sheet(rows, every_caption=True, paper=_PAPER)


def _threshold(comparison: Comparison) -> float:
    """Returns the distance below which 1 % of held-out images are to a training image; 0 for too few."""
    reference = comparison.reference
    if (count := len(reference.held_out)) < LEAST_HELD_OUT:
        return 0.0
    return float(np.sort(reference.held_out_near.distances[:, 0])[count // 100 - 1])


def depth(x: np.ndarray, manifold: Manifold, *, k: int = 3) -> np.ndarray:
    """Measures how deep each x [n d] lies in the balls of a manifold's points, [n]: 1 on a border, more inside.

    The largest ratio, over the points, of the distance to its k-th neighbor to that of x: the realism of Kynkäänniemi
    et al. 2019, equation 4, over all balls, so that the share from 1 up is precision. With the sets exchanged, recall.
    """
    radii, deepest = manifold.distances[:, k - 1], np.zeros(len(x))
    for rows, columns, squared in neighbors.squared_distances(x, manifold.points, slack=-neighbors.ROUNDING):
        ratios = (np.square(radii[columns]) + _LEAST) / (squared + _LEAST)
        deepest[rows] = np.maximum(deepest[rows], ratios.max(axis=1))
    return np.sqrt(deepest)


def typical(comparison: Comparison) -> tuple[np.ndarray, np.ndarray]:
    """Draws the most and the least typical samples."""
    order = np.argsort(-depth(comparison.generated.features, comparison.reference.real.manifold), kind="stable")
    count = min(_TYPICAL, len(order) // 2)
    shown = (order[:count], order[::-1][:count])
    most, least = (grid(np.stack([_small(comparison.generated.images[i]) for i in at]), columns=8) for at in shown)
    return most, least


def _classifies(comparison: Comparison) -> bool:
    """Returns whether the extractor classifies into the classes of the data."""
    logits = comparison.generated.logits
    return logits is not None and logits.shape[1] == len(comparison.reference.class_names)


def classes(comparison: Comparison) -> np.ndarray | None:
    """Draws a row of samples for each class that was asked for, and the share in which the classifier sees it."""
    generated, names = comparison.generated, comparison.reference.class_names
    if generated.labels is None or not names:
        return None
    right = np.ones(len(generated), bool)
    classified = _classifies(comparison)
    if generated.logits is not None and classified:
        right = generated.logits.argmax(1) == generated.labels
    rows = []
    for k, name in enumerate(names[:_CLASSES]):
        at = np.flatnonzero(generated.labels == k)
        if len(at):
            lines = [name, *([f"{right[at].mean():.0%}"] if classified else [])]
            head = stacked([text(line, paper=_PAPER) for line in lines], paper=_PAPER)
            rows.append((head, [_framed(generated.images[i], not right[i]) for i in at[:_PER_CLASS]]))
    if not rows:
        return None
    width = max(head.shape[1] for head, _ in rows) + 8
    blank = np.full((1, width, 3), _PAPER, np.uint8)
    shown = [[stacked([head, blank], paper=_PAPER), *tiles] for head, tiles in rows]
    return stacked([beside(row, paper=_PAPER) for row in shown], paper=_PAPER)


def prompts(comparison: Comparison) -> np.ndarray | None:
    """Draws samples with the caption that was asked for and the one that is nearest, in two columns."""
    captioned, described = comparison.generated.captioned, comparison.described
    if captioned is None or captioned.captions is None or described is None:
        return None
    captions, (images, texts, numbers) = captioned.captions, described
    tiles = []
    for i in range(min(_PROMPTS, len(captions))):
        closest = int((texts @ images[i]).argmax())
        lines = [text(_short(captions[k]), paper=_PAPER) for k in (i, closest)]
        wide = np.full((1, _PROMPT_WIDTH, 3), _PAPER, np.uint8)
        words = stacked([line[:, :_PROMPT_WIDTH] for line in lines] + [wide], gap=2, paper=_PAPER)
        wrong = bool(numbers[closest] != numbers[i])
        tiles.append(beside([_framed(captioned.images[i], wrong), words], gap=4, paper=_PAPER))
    rows = [beside(tiles[i : i + 2], gap=8, paper=_PAPER) for i in range(0, len(tiles), 2)]
    return stacked(rows, gap=2, paper=_PAPER)


def _short(caption: str) -> str:
    return caption if len(caption) <= _PROMPT_LETTERS else caption[: _PROMPT_LETTERS - 1] + "…"


def manifold(comparison: Comparison) -> np.ndarray:
    """Draws real images and samples as points in the plane of the real features' first two principal components."""
    sets = (comparison.reference.real.manifold, comparison.generated.manifold)
    known = [depth(x.points, other) >= 1 for x, other in zip(sets, sets[::-1], strict=True)]
    some = [subset(len(x.points), _POINTS) for x in sets]
    real, generated = (np.asarray(x.points[at], np.float64) for x, at in zip(sets, some, strict=True))
    shown = [inside[at] for inside, at in zip(known, some, strict=True)]
    center = real.mean(0)
    _, _, axes = np.linalg.svd(real - center, full_matrices=False)
    spread = [(x - center) @ axes[:2].T for x in (real, generated)]
    spread = [np.pad(x, ((0, 0), (0, 2 - x.shape[1]))) for x in spread]  # of a single feature
    low, high = (np.quantile(np.concatenate(spread), q, axis=0) for q in (0.002, 0.998))
    side, margin = _SIDE * _FINER, 8 * _FINER
    canvas = Image.new("RGB", (side, side), "white")
    draw = ImageDraw.Draw(canvas)
    for points, inside, colors in zip(spread, shown, ((_REACHED, _MISSED), (_INSIDE, _OUTSIDE)), strict=True):
        at = margin + (points - low) / np.maximum(high - low, 1e-12) * (side - 2 * margin)
        for (x, y), within in zip(at, inside, strict=False):
            draw.circle((x, y), 2 * _FINER, fill=colors[0] if within else colors[1])
    picture = np.asarray(canvas.reduce(_FINER))
    recall, precision = (float(share.mean()) for share in known)
    legend = [
        (_INSIDE, f"samples among real images: precision {precision:.1%}"),
        (_OUTSIDE, f"samples elsewhere: {1 - precision:.1%}"),
        (_REACHED, f"real images among samples: recall {recall:.1%}"),
        (_MISSED, f"real images that no sample comes near: {1 - recall:.1%}"),
    ]
    return np.concatenate([picture, _legend(legend)])


def _legend(entries: list[tuple[tuple[int, int, int], str]]) -> np.ndarray:
    """Draws colored dots with what they mean, [h _SIDE 3]."""
    line, font = 20, ImageFont.load_default(13)
    canvas = Image.new("RGB", (_SIDE, line * len(entries) + 6), "white")
    draw = ImageDraw.Draw(canvas)
    for i, (color, words) in enumerate(entries):
        draw.circle((14, line * i + 10), 5, fill=color)
        draw.text((26, line * i + 2), words, fill=(40, 40, 40), font=font)
    return np.asarray(canvas)


def _small(image: np.ndarray) -> np.ndarray:
    """Reduces an image [h w c] to sides of at most _LARGEST, as RGB."""
    picture = Image.fromarray(np.ascontiguousarray(np.broadcast_to(image, (*image.shape[:2], 3))))
    return np.asarray(picture.reduce(max(1, math.ceil(max(picture.size) / _LARGEST))))


def _framed(image: np.ndarray, marked: bool) -> np.ndarray:
    """Makes an image a tile of the size that it is shown in, in a red frame if marked."""
    small = _small(image)
    picture = np.pad(enlarged(small), ((_FRAME,) * 2, (_FRAME,) * 2, (0, 0)))
    for edge in (slice(None, _FRAME), slice(-_FRAME, None)):
        picture[edge] = picture[:, edge] = _RED if marked else _PAPER
    return picture
