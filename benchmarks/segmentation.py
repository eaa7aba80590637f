"""How good is gen.imaging.segment without any training? Against exact masks of nuclei, and beside scikit-image's SLIC.

    python benchmarks/segmentation.py --data nuclei256.npz     # x uint8 [n h w 3], masks [n h w], kind [n], kind_names
    python benchmarks/segmentation.py --smoke                  # shapes of gen.data, small; no library but gen needed

The first table is the Dice coefficient of the foreground, the mean over all images of a kind, for chains of operators
that see one image alone: no kind, no training. What is the ground is decided by the area (nuclei take less than half of
a picture), so that dark nuclei on a bright ground are found, too. The two numbers of the last chain (0.9 and 0.8) were
chosen on these images; the first chain has none to choose. The bar is 0.85 by the best chain.

The second is for superpixels: explained variation of the colors, and the share of the edges (Canny's of the smoothed
luma; on drawn shapes those of the exact masks) that lie within a pixel of a boundary. scikit-image returns another
number of segments than it is asked for: its values are interpolated at gen's number. Bar: gen is at least as good.
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from gen.data.shapes import render
from gen.imaging import segment
from gen.imaging._operator import luma
from gen.imaging.filters import canny, gaussian, median

DICE_BAR = 0.85
BATCH = 32
SEGMENTS = (100, 200, 400)


class Pictures(NamedTuple):
    """x uint8 [n h w 3]; mask [n h w], what is foreground; kind [n], an index into names."""

    x: np.ndarray
    mask: np.ndarray
    kind: np.ndarray
    names: list[str]


def nuclei(path: str) -> Pictures:
    with np.load(path, allow_pickle=False) as data:
        return Pictures(data["x"], data["masks"] > 0, data["kind"], [str(name) for name in data["kind_names"]])


def shapes(number: int, size: int) -> Pictures:
    scenes = render(np.arange(number), resolution=size)
    x = np.round(np.asarray(scenes.image) * 255).astype(np.uint8)
    return Pictures(x, np.asarray(scenes.mask)[..., 0] > 0.5, np.zeros(number, int), ["shapes"])


# -- Chains: images float [b h w 3] to masks bool [b h w].


def bright(gray: jax.Array) -> jax.Array:
    """gray [b h w 1], turned over where most of it is above Otsu's threshold: what is less than half becomes bright."""
    share = jnp.mean(gray > segment.threshold_otsu(gray).reshape(-1, 1, 1, 1), axis=(1, 2, 3), keepdims=True)
    return jnp.where(share > 0.5, 1 - gray, gray)


def by_otsu(x: jax.Array) -> jax.Array:
    gray = bright(luma(x))
    return (gray > segment.threshold_otsu(gray).reshape(-1, 1, 1, 1))[..., 0]


def by_otsu_of_median(x: jax.Array) -> jax.Array:
    return by_otsu(median(luma(x), 5))


def by_local_level(x: jax.Array) -> jax.Array:
    """Otsu's threshold, a little lower and led by the brightness around; then without specks and pinholes."""
    gray = bright(median(luma(x), 5))
    low = jnp.min(gray, axis=(1, 2, 3), keepdims=True)
    level = 0.8 * segment.threshold_otsu(gray).reshape(-1, 1, 1, 1) + 0.2 * gaussian(gray, 20.0)
    found = (gray > low + 0.9 * (level - low))[..., 0].astype(jnp.int32)
    found = segment.remove_small_objects(found, 20)
    return segment.remove_small_objects(1 - found, 60) == 0


CHAINS: dict[str, Callable[[jax.Array], jax.Array]] = {
    "threshold_otsu": by_otsu,
    "median(5) | threshold_otsu": by_otsu_of_median,
    "median(5) | 0.9 (0.8 threshold_otsu + 0.2 gaussian(20)) | remove_small_objects": by_local_level,
}
ONE_THING = {"foreground": lambda x: segment.foreground(x)[..., 0] > 0.5}  # for pictures of one thing


def dice_of(chain: Callable[[jax.Array], jax.Array], pictures: Pictures) -> np.ndarray:
    """[n]"""

    @jax.jit
    def score(x: jax.Array, mask: jax.Array) -> jax.Array:
        found = chain(x.astype(jnp.float32) / 255)
        return segment.dice(found.astype(jnp.float32)[..., None], mask.astype(jnp.float32)[..., None])

    starts = range(0, len(pictures.x), BATCH)
    scores = [score(pictures.x[i : i + BATCH], pictures.mask[i : i + BATCH]) for i in starts]
    return np.concatenate(scores)


def foreground_table(pictures: Pictures, chains: dict[str, Callable[[jax.Array], jax.Array]]) -> float:
    """Prints it; the best mean over all images."""
    width = max(map(len, chains))
    counts = np.bincount(pictures.kind, minlength=len(pictures.names))
    heads = [f"{name} ({count})" for name, count in zip(pictures.names, counts, strict=True)]
    print(f"{'Dice of the foreground':{width}}  {'all':>6}  " + "  ".join(heads))
    means = []
    for name, chain in chains.items():
        scores = dice_of(chain, pictures)
        means.append(float(scores.mean()))
        cells = [f"{scores[pictures.kind == k].mean():{len(head)}.4f}" for k, head in enumerate(heads)]
        print(f"{name:{width}}  {means[-1]:6.4f}  " + "  ".join(cells), flush=True)
    return max(means)


# -- Superpixels.


def photographs(size: int) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Name, image float32 [size size 3], and where its edges are, bool [size size]."""
    from skimage import data

    for name in ("astronaut", "chelsea", "coffee", "immunohistochemistry", "rocket"):
        image = getattr(data, name)()[:, :, :3]
        top, left = ((n - size) // 2 for n in image.shape[:2])
        image = image[top : top + size, left : left + size].astype(np.float32) / 255
        edges = canny(jnp.asarray(image), 1.5, 0.16, 0.4)
        yield name, image, np.asarray(edges)[..., 0] > 0.5


def drawn(number: int, size: int) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    pictures = shapes(number, size)
    for i, (x, mask) in enumerate(zip(pictures.x, pictures.mask, strict=True)):
        edges = np.asarray(segment.find_boundaries(jnp.asarray(mask.astype(np.int32)), mode="inner"))[..., 0] > 0
        yield f"shape {i}", x.astype(np.float32) / 255, edges


def quality(image: np.ndarray, edges: np.ndarray, labels: np.ndarray) -> tuple[int, float, float]:
    """How many segments, the explained variation, and the share of the edges within a pixel of a boundary."""
    labels = labels.astype(np.int32)
    count = int(labels.max())
    variation = float(segment.explained_variation(jnp.asarray(image), jnp.asarray(labels), count))
    thick = np.asarray(segment.find_boundaries(jnp.asarray(labels)))[..., 0] > 0  # both sides: within a pixel of it
    return count, variation, float((thick & edges).sum() / max(edges.sum(), 1))


def peer_quality(image: np.ndarray, edges: np.ndarray, count: int) -> tuple[int, float, float]:
    """The same of scikit-image's SLIC with `count` segments, between the runs that give a few less and more."""
    from skimage.segmentation import slic

    asked = sorted({max(1, round(count * share)) for share in (0.7, 0.85, 1.0, 1.15, 1.3, 1.5, 1.75, 2.0, 2.5, 3.0)})
    runs = np.asarray(sorted(quality(image, edges, slic(image, n, start_label=1)) for n in asked))
    return count, float(np.interp(count, runs[:, 0], runs[:, 1])), float(np.interp(count, runs[:, 0], runs[:, 2]))


def superpixel_table(pictures: list[tuple[str, np.ndarray, np.ndarray]], numbers: tuple[int, ...]) -> bool:
    """Prints it; whether gen is at least as good as scikit-image in the mean over the images, at every number."""
    peer = importlib.util.find_spec("skimage") is not None
    print(f"\n{'SLIC, means of ' + str(len(pictures)):20}  segments  explained variation  boundary recall")
    good = True
    for number in numbers:
        rows: dict[str, list[Any]] = {"gen": []} | ({"scikit-image": []} if peer else {})
        for _, image, edges in pictures:
            rows["gen"].append(quality(image, edges, np.asarray(segment.slic(jnp.asarray(image), number))))
            if peer:
                rows["scikit-image"].append(peer_quality(image, edges, rows["gen"][-1][0]))
        means = {name: np.mean(values, axis=0) for name, values in rows.items()}
        for name, (count, variation, recall) in means.items():
            print(f"{name:20}  {count:8.0f}  {variation:19.4f}  {recall:15.4f}", flush=True)
        if peer:
            good &= bool((means["gen"][1:] >= means["scikit-image"][1:]).all())
    return good


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", help="npz of microscope images with exact masks; without it, drawn shapes")
    parser.add_argument("--smoke", action="store_true", help="a few small shapes, no claim")
    parser.add_argument("--check", action="store_true", help="exit code 1 if a bar is missed")
    args = parser.parse_args()

    if args.smoke:
        foreground_table(shapes(8, 48), CHAINS | ONE_THING)
        superpixel_table(list(drawn(2, 48)), (20,))
        return 0
    if args.data:
        best = foreground_table(nuclei(args.data), CHAINS)
    else:
        best = foreground_table(shapes(256, 128), CHAINS | ONE_THING)
    if importlib.util.find_spec("skimage"):
        good = superpixel_table(list(photographs(256)), SEGMENTS)
    else:
        good = superpixel_table(list(drawn(6, 256)), SEGMENTS)
    if args.check and (best < DICE_BAR or not good):
        print(f"missed: best Dice {best:.4f} (bar {DICE_BAR}), SLIC {'good' if good else 'worse than scikit-image'}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
