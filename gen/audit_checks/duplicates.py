"""Finds images that are one image, stored, scaled, turned, mirrored, colored or cropped again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from gen.audit_checks.fingerprints import (
    COARSE,
    NAMES,
    SIDE,
    WAYS,
    plain,
    sampling,
    spectra,
    turned,
    turned_images,
    waves,
)

_TILE = 2048  # images compared with as many others at once
_COARSE = 0.7  # correlation of the coarse spectra from which on a pair is looked at
_SAME = 0.8  # of the whole spectra, from which on it is the same picture
_CROPPED = 0.75  # the same of crops, whose place is found but roughly
_WHOLE, _PART = (0.3, 0.7), (0.5, 0.5)  # stray and agreement, see `_alike_everywhere`, of whole images and of crops
_SHOWN, _PARTS = 2.0, 8  # levels by which a part differs within itself to show anything, and how many must
_BESIDE = 20  # the neighbor of an image that is taken for another image
_NEARER = 0.4  # of the distance to that neighbor, within which a pair must lie
_SAMPLED = 400  # images that this distance is measured of
_MOST = 8  # candidates of one image in one tile
_WINDOW = 0.92  # side of the crops that are tried first
_OFFSETS = tuple((x, y) for x in (0.0, 0.5, 1.0) for y in (0.0, 0.5, 1.0))


class Pair(NamedTuple):
    """Two images that are one: positions of the first and the second, how alike they are, and what was done."""

    first: int
    second: int
    correlation: float
    how: str  # in words


def find(gray: np.ndarray, *, crops: bool = True, progress: Callable[[float], None] = lambda share: None) -> list[Pair]:
    """Finds the pairs among gray images uint8 [n 48 48], see `fingerprints`.

    crops: also parts of others, of 80 to 97 % of the side. Pairs are few: of each image only the most alike are looked
    at. progress: called with the share that is done. Plain images are not paired; exact duplicates are better found by
    their digests.
    """
    if len(gray) < 2:
        return []
    whole = spectra_of(gray)
    limit = _limit(whole)
    found = dict[tuple[int, int], Pair]()
    for candidates, share in _candidates(gray, whole, crops):
        if candidates.window is not None and found:  # what is one as a whole need not be tried as a part
            whole_ones = np.array([a * len(gray) + b for a, b in found])
            low, high = np.minimum(*candidates[:2]), np.maximum(*candidates[:2])
            new = ~np.isin(low * len(gray) + high, whole_ones)
            candidates = candidates._replace(first=candidates.first[new], second=candidates.second[new])
        for pair in _verified(gray, whole, candidates, limit):
            known = found.get((pair.first, pair.second))
            if known is None or pair.correlation > known.correlation:
                found[pair.first, pair.second] = pair
        progress(share)
    return sorted(found.values())


def across(gray: np.ndarray, reference: np.ndarray) -> set[int]:
    """Returns which of gray images uint8 [n 48 48] are, whole but perhaps turned, among reference ones [m 48 48]."""
    whole, theirs = spectra_of(gray), spectra_of(reference)
    limit, found = max(_limit(whole), _limit(theirs)), set[int]()
    coarse, flat = _coarse(theirs), _coarse(whole)
    for way in WAYS:
        seen = turned(flat.reshape(-1, COARSE, COARSE), way).reshape(len(flat), -1)
        for start in range(0, len(flat), _TILE):
            rows, columns = _alike(seen[start : start + _TILE], coarse)
            for begin in range(0, len(rows), _TILE):
                mine, other = rows[begin : begin + _TILE] + start, columns[begin : begin + _TILE]
                near = np.flatnonzero((turned(whole[mine], way) * theirs[other]).sum((1, 2)) >= limit)
                good = _alike_everywhere(reference[other[near]], turned_images(gray[mine[near]], way), *_WHOLE)
                found |= set(mine[near[good]].tolist())
    return found


def spectra_of(gray: np.ndarray) -> np.ndarray:
    """Computes `spectra` in parts, to bound memory: float32 [n 16 16], 0 for plain images."""
    parts = (gray[i : i + _TILE] for i in range(0, len(gray), _TILE))
    return np.concatenate([np.where(plain(part)[:, None, None], 0, spectra(part)) for part in parts])


class _Candidates(NamedTuple):
    first: np.ndarray  # int [m], which may show the whole of
    second: np.ndarray  # int [m], turned by `way` and cropped by `window`
    way: tuple[bool, bool, bool]
    window: tuple[float, float] | None  # offset, of 0 to 1, of a crop of _WINDOW; None: the whole


def _limit(whole: np.ndarray) -> float:
    """Returns the least correlation of a pair: in sets whose images are all alike, closer to 1 than elsewhere.

    Different images of such a set are as alike as an image and its twentieth neighbor, of which few are duplicates.
    """
    if len(whole) <= 2 * _BESIDE:
        return _SAME
    flat = whole.reshape(len(whole), -1)
    chosen = np.random.default_rng(0).permutation(len(flat))[:_SAMPLED]
    beside = [np.partition(flat @ flat[i], -_BESIDE - 1)[-_BESIDE - 1] for i in chosen]
    return max(_SAME, 1 - _NEARER * (1 - float(np.median(beside))))


def _candidates(gray: np.ndarray, whole: np.ndarray, crops: bool) -> Iterator[tuple[_Candidates, float]]:
    """Yields candidates and the share of the work that is done."""
    views: list[tuple[tuple[bool, bool, bool], tuple[float, float] | None]] = [(way, None) for way in WAYS]
    views += [(way, window) for window in _OFFSETS for way in (WAYS[0], WAYS[1])] if crops else []
    coarse = _coarse(whole)
    for number, (way, window) in enumerate(views):
        seen = coarse if window is None else _coarse(_cropped(gray, window))
        seen = turned(seen.reshape(-1, COARSE, COARSE), way).reshape(len(seen), -1)
        first, second = list[np.ndarray](), list[np.ndarray]()
        for a in range(0, len(coarse), _TILE):
            for b in range(0 if window is not None else a, len(coarse), _TILE):
                rows, columns = _alike(coarse[a : a + _TILE], seen[b : b + _TILE])
                different = rows + a < columns + b if window is None else rows + a != columns + b
                first.append(rows[different] + a)
                second.append(columns[different] + b)
        yield _Candidates(np.concatenate(first), np.concatenate(second), way, window), (number + 1) / len(views)


def _coarse(whole: np.ndarray) -> np.ndarray:
    """Takes the coarse part of spectra, of norm 1: float32 [n 64]."""
    part = whole[:, :COARSE, :COARSE].reshape(len(whole), -1)
    return part / np.maximum(np.linalg.norm(part, axis=1, keepdims=True), 1e-6)


def _cropped(gray: np.ndarray, window: tuple[float, float]) -> np.ndarray:
    rows, columns = (waves(offset * (1 - _WINDOW), _WINDOW) for offset in window)
    return np.concatenate(
        [spectra(gray[i : i + _TILE], rows=rows, columns=columns) for i in range(0, len(gray), _TILE)]
    )


def _alike(first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns rows and columns of what is correlated enough, of each row the most correlated few and itself."""
    products = first @ second.T
    rows, columns = np.nonzero(products >= _COARSE)
    if len(rows) > _MOST * len(first):
        most = np.argpartition(-products, _MOST, axis=1)[:, : _MOST + 1]
        rows, columns = np.repeat(np.arange(len(first)), _MOST + 1), most.ravel()
        kept = products[rows, columns] >= _COARSE
        rows, columns = rows[kept], columns[kept]
    return rows, columns


def _verified(gray: np.ndarray, whole: np.ndarray, candidates: _Candidates, limit: float) -> Iterator[Pair]:
    way, window = candidates.way, candidates.window
    for start in range(0, len(candidates.first), _TILE):
        first, second = (side[start : start + _TILE] for side in candidates[:2])
        if window is None:
            seen = turned(whole[second], way)
            alike = (whole[first] * seen).sum((1, 2))
            near = np.flatnonzero(alike >= limit)
            good = near[_alike_everywhere(gray[first[near]], turned_images(gray[second[near]], way), *_WHOLE)]
            how = [NAMES[way]] * len(good)
        else:
            place, alike = _placed(gray, whole[first], second, way, window)
            near = np.flatnonzero(alike >= max(_CROPPED, limit - 0.05))
            parts = _parts(gray[second[near]], place[near])
            good = near[_alike_everywhere(gray[first[near]], turned_images(parts, way), *_PART)]
            mirrored = "" if way == WAYS[0] else ", mirrored"
            how = [f"a part of it, {place[i, 2]:.0%} of its side{mirrored}" for i in good]
        for i, words in zip(good, how, strict=True):
            low, high = sorted((int(first[i]), int(second[i])))
            yield Pair(low, high, float(alike[i]), words)


def _placed(
    gray: np.ndarray, wanted: np.ndarray, second: np.ndarray, way: tuple[bool, bool, bool], window: tuple[float, float]
) -> tuple[np.ndarray, np.ndarray]:
    """Looks for the place of a crop near `window`: top, left and side [m 3], and the correlation there [m]."""
    top, left = (offset * (1 - _WINDOW) for offset in window)
    place = np.tile([top, left, _WINDOW], (len(second), 1))
    best = np.full(len(second), -1.0)
    for step in (0.04, 0.02, 0.01):
        begun = place.copy()
        for move in ((y, x, s) for y in (-1, 0, 1) for x in (-1, 0, 1) for s in (-1, 0, 1)):
            tried = begun + step * np.array(move)
            tried[:, 2] = np.clip(tried[:, 2], 0.78, 0.98)
            tried[:, :2] = np.clip(tried[:, :2], 0, 1 - tried[:, 2:])
            found = _spectra_at(gray[second], tried)
            alike = (wanted * turned(found, way)).sum((1, 2))
            better = alike > best
            best[better], place[better] = alike[better], tried[better]
    return place, best


def _spectra_at(gray: np.ndarray, place: np.ndarray) -> np.ndarray:
    """Computes spectra of parts, each at a place of its own."""
    rounded = np.round(place, 2)
    found = np.empty((len(gray), *spectra(gray[:1]).shape[1:]), np.float32)
    for one in np.unique(rounded, axis=0):
        which = np.flatnonzero((rounded == one).all(1))
        found[which] = spectra(gray[which], rows=waves(one[0], one[2]), columns=waves(one[1], one[2]))
    return found


def _parts(gray: np.ndarray, place: np.ndarray) -> np.ndarray:
    """Cuts parts out of images [m 48 48], enlarged to 48 x 48."""
    parts = np.empty(gray.shape, np.float32)
    for i, (top, left, side) in enumerate(place):
        rows, columns = (sampling(SIDE, start, side) for start in (top, left))
        parts[i] = rows @ gray[i].astype(np.float32) @ columns.T
    return parts


def _alike_everywhere(first: np.ndarray, second: np.ndarray, stray: float, agreement: float) -> np.ndarray:
    """Returns which of the pairs of images [m 48 48] are alike in all their parts: bool [m].

    The tones of the second are fitted by a cubic before, so that light and contrast do not count. stray: by how much
    the worst of 8 x 8 parts may differ, as a share of the contrast: a hand of a clock that points elsewhere is much at
    one place, what compression leaves is little everywhere. agreement: the least mean correlation within parts that
    show anything: one strong edge makes not one image of two.
    """
    found = np.zeros(len(first), bool)
    for i, (a, b) in enumerate(zip(first.reshape(-1, SIDE**2), second.reshape(-1, SIDE**2), strict=True)):
        one, other = a.astype(np.float64), b.astype(np.float64)
        scaled = (other - other.mean()) / max(other.std(), 1e-6)
        terms = np.stack([np.ones_like(scaled), scaled, scaled**2, scaled**3])
        fitted = np.linalg.lstsq(terms.T, one, rcond=None)[0] @ terms
        ours, theirs = _centered(one), _centered(fitted)
        worst = np.sqrt((_parts_of(one - fitted) ** 2).mean(1).max()) / max(one.std(), 1e-6)
        spread = np.sqrt((ours**2).mean(1)), np.sqrt((theirs**2).mean(1))
        shown = np.maximum(*spread) >= _SHOWN
        within = (ours * theirs).mean(1)[shown] / np.maximum(spread[0] * spread[1], 1e-3)[shown]
        found[i] = worst <= stray and len(within) >= _PARTS and within.mean() >= agreement
    return found


def _parts_of(image: np.ndarray) -> np.ndarray:
    """Cuts an image [48 * 48] into 8 x 8 parts of 6 x 6: [64 36]."""
    return image.reshape(8, 6, 8, 6).swapaxes(1, 2).reshape(64, 36)


def _centered(image: np.ndarray) -> np.ndarray:
    parts = _parts_of(image)
    return parts - parts.mean(1, keepdims=True)


def groups(count: int, pairs: Sequence[tuple[int, int]]) -> list[list[int]]:
    """Joins pairs of `count` things to groups of what hangs together, each sorted, by their first."""
    root = list(range(count))

    def top(i: int) -> int:
        while root[i] != i:
            root[i] = root[root[i]]
            i = root[i]
        return i

    for a, b in pairs:
        low, high = sorted((top(a), top(b)))
        root[high] = low
    of_root = dict[int, list[int]]()
    for i in range(count):
        of_root.setdefault(top(i), []).append(i)
    return [group for group in of_root.values() if len(group) > 1]
