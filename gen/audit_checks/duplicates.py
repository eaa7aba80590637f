"""Finds images that are one image, stored, scaled, turned, mirrored, colored or cropped again."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
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
_CERTAIN = 0.995  # of the whole spectra, from which on no part is asked: rims of two retinas reach 0.98
_CROPPED = 0.75  # the same of crops, whose place is found but roughly
_WHOLE, _PART = (0.3, 0.7, 12), (0.5, 0.65, 24)  # stray, agreement and fewest, see `_alike_everywhere`
_SHOWN = 2.0  # levels by which a part differs within itself to show anything
_PARTS, _PLAINLY = 24, 0.88  # of 64 parts; where fewer than the first show anything they must agree better
_COMPRESSED = 2.5  # levels by which compression alone may change a part
_BESIDE = 20  # the neighbor of an image that is taken for another image
_OTHER = 0.5  # how alike it is where fewer are alike at all
_NEARER, _ROUGHLY = 0.4, 0.8  # of the distance to that neighbor, within which a pair must lie; a crop not yet placed
_ROUNDING = 1e-6
_MOST = 24  # candidates of one image in one view
_CROWD = 2  # pairs of an image and a part for each image, beyond which a set is of one kind of things
_BESIDE_PART = 5  # the neighbor of an image that is taken for another one, once all parts are placed
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

    crops: also parts of others, of 80 to 97 % of the side. Two images are one if they are far more alike than either is
    to its twentieth neighbor, in any way of the same search: what a set of one kind of things has in common makes no
    pairs. progress: called with the share that is done. Plain images are not paired; exact duplicates are better found
    by their digests.
    """
    if len(gray) < 2:
        return []
    whole = spectra_of(gray)
    coarse = _coarse(whole)
    views: list[_View] = [_View(way) for way in WAYS]
    views += [_View(way, window) for window in _OFFSETS for way in WAYS[:2]] if crops else []
    searched = list[_Candidates]()
    for number, view in enumerate(views):
        seen = coarse if view.window is None else _coarse(_cropped(gray, view.window))
        searched.append(_search(coarse, seen, view, within=True))
        progress(0.8 * (number + 1) / len(views))
    usual = _usual(searched, len(gray), _BESIDE)
    found = dict[tuple[int, int], Pair]()
    parts = list[_Candidates]()
    for candidates in searched:
        some = candidates.distinct(usual, usual)
        if some.view.window is None:
            _note(found, _verified(gray, gray, whole, whole, some, usual, usual))
            continue
        alone = np.ones(len(gray), bool)  # of images that are one as wholes the first stands for all
        alone[[i for group in groups(len(gray), list(found)) for i in group[1:]]] = False
        parts.append(some.take(alone[some.first] & alone[some.second]))
    if parts and _count(parts, len(gray)) <= _CROWD * len(gray):  # else any of them is nearly a part of any other
        _note(found, _verified_parts(gray, whole, parts, usual))
    progress(1.0)
    return sorted(found.values())


def _count(parts: Sequence[_Candidates], count: int) -> int:
    """Counts the different pairs among candidates in several views."""
    first, second = (np.concatenate(side) for side in zip(*((some.first, some.second) for some in parts), strict=True))
    return len(np.unique(np.minimum(first, second) * count + np.maximum(first, second)))


def _note(found: dict[tuple[int, int], Pair], pairs: Iterable[Pair]) -> None:
    """Adds pairs, the lower position first, and of two views of a pair the more alike."""
    for pair in pairs:
        low, high = sorted(pair[:2])
        if (low, high) not in found or pair.correlation > found[low, high].correlation:
            found[low, high] = pair._replace(first=low, second=high)


def across(gray: np.ndarray, reference: np.ndarray) -> set[int]:
    """Returns which of gray images uint8 [n 48 48] are, whole but perhaps turned, among reference ones [m 48 48]."""
    ours, theirs = _coarse_of(gray), _coarse_of(reference)
    searched = [_search(theirs, ours, _View(way), within=False) for way in WAYS]
    usual = _usual(searched, len(reference), _BESIDE, both=False)
    none, found = np.full(len(gray), _OTHER), set[int]()
    for candidates in searched:
        some = candidates.distinct(usual, none)
        first, at_first = np.unique(some.first, return_inverse=True)
        second, at_second = np.unique(some.second, return_inverse=True)
        if len(first):  # the whole spectra of few
            few = some._replace(first=at_first, second=at_second)
            theirs_few, ours_few = reference[first], gray[second]
            of_real, of_made = spectra_of(theirs_few), spectra_of(ours_few)
            pairs = _verified(theirs_few, ours_few, of_real, of_made, few, usual[first], none[second])
            found |= {int(second[pair.second]) for pair in pairs}
    return found


def spectra_of(gray: np.ndarray) -> np.ndarray:
    """Computes `spectra` in parts, to bound memory: float32 [n 16 16], 0 for plain images."""
    parts = (gray[i : i + _TILE] for i in range(0, len(gray), _TILE))
    return np.concatenate([np.where(plain(part)[:, None, None], 0, spectra(part)) for part in parts])


class _View(NamedTuple):
    """How second images are looked at: turned, and cropped."""

    way: tuple[bool, bool, bool]
    window: tuple[float, float] | None = None  # offset, of 0 to 1, of a crop of _WINDOW; None: the whole


class _Candidates(NamedTuple):
    """Pairs that may be one: first images, and second ones in a view."""

    view: _View
    first: np.ndarray  # int [m]
    second: np.ndarray  # int [m]
    alike: np.ndarray  # float32 [m], correlation of the coarse spectra

    def take(self, chosen: np.ndarray) -> _Candidates:
        """Selects pairs."""
        return _Candidates(self.view, self.first[chosen], self.second[chosen], self.alike[chosen])

    def distinct(self, usual: np.ndarray, others: np.ndarray) -> _Candidates:
        """Selects what is more alike than usual for both sides; of crops, whose place is rough yet, by less."""
        nearer = _NEARER if self.view.window is None else _ROUGHLY
        far = np.maximum(usual[self.first], others[self.second])
        return self.take(1 - self.alike <= nearer * (1 - far) + _ROUNDING)


def _search(coarse: np.ndarray, seen: np.ndarray, view: _View, *, within: bool) -> _Candidates:
    """Finds what is alike, of each first image the most alike. within: both are one set, of which none is its own."""
    seen = turned(seen.reshape(-1, COARSE, COARSE), view.way).reshape(len(seen), -1)
    rows, columns, values = list[np.ndarray](), list[np.ndarray](), list[np.ndarray]()
    for a in range(0, len(coarse), _TILE):
        of_rows = list[tuple[np.ndarray, ...]]()
        for b in range(0, len(seen), _TILE):
            products = coarse[a : a + _TILE] @ seen[b : b + _TILE].T
            if within and a == b:
                np.fill_diagonal(products, 0)
            row, column = np.nonzero(products >= _COARSE)
            crowded = np.flatnonzero(np.bincount(row, minlength=len(products)) > _MOST)
            if len(crowded):  # of few rows, in most sets
                least = np.full(len(products), _COARSE, products.dtype)
                least[crowded] = np.partition(products[crowded], -_MOST, axis=1)[:, -_MOST]
                row, column = np.nonzero(products >= least[:, None])
            of_rows.append((row, column + b, products[row, column]))
        row, column, value = (np.concatenate(parts) for parts in zip(*of_rows, strict=True))
        order = np.lexsort((-value, row))
        row, column, value = row[order], column[order], value[order]
        rank = np.arange(len(row)) - np.searchsorted(row, row)
        kept = rank < _MOST
        rows.append(row[kept] + a)
        columns.append(column[kept])
        values.append(value[kept])
    return _Candidates(view, *(np.concatenate(parts) for parts in (rows, columns, values)))


def _usual(searched: Sequence[_Candidates], count: int, beside: int, *, both: bool = True) -> np.ndarray:
    """Returns how alike each of `count` first images is to a neighbor further off, over all views: float [count].

    beside: its number; a fraction of the images where there are few. both: second images are of the same set. _OTHER
    where not so many are alike at all.
    """
    first = np.concatenate([c.first for c in searched])
    second = np.concatenate([c.second for c in searched])
    alike = np.concatenate([c.alike for c in searched])
    if both:
        first, second, alike = np.r_[first, second], np.r_[second, first], np.r_[alike, alike]
    order = np.lexsort((-alike, second, first))  # of a pair in several views the best
    first, second, alike = first[order], second[order], alike[order]
    new = np.r_[True, (np.diff(first) != 0) | (np.diff(second) != 0)] if len(first) else np.zeros(0, bool)
    first, alike = first[new], alike[new]
    order = np.lexsort((-alike, first))
    first, alike = first[order], alike[order]
    rank = np.arange(len(first)) - np.searchsorted(first, first)
    wanted = min(beside, max(2, count // 4))
    found = np.full(count, _OTHER)
    found[first[rank == wanted]] = alike[rank == wanted]
    return found


def _coarse(whole: np.ndarray) -> np.ndarray:
    """Takes the coarse part of spectra, of norm 1: float32 [n 64]."""
    part = whole[:, :COARSE, :COARSE].reshape(len(whole), -1)
    return part / np.maximum(np.linalg.norm(part, axis=1, keepdims=True), 1e-6)


def _coarse_of(gray: np.ndarray) -> np.ndarray:
    """Computes the coarse part of spectra alone, of norm 1, 0 for plain images: float32 [n 64]."""
    low = waves()[:COARSE]
    parts = (gray[i : i + _TILE] for i in range(0, len(gray), _TILE))
    found = np.concatenate([spectra(part, rows=low, columns=low) for part in parts])
    found[np.concatenate([plain(gray[i : i + _TILE]) for i in range(0, len(gray), _TILE)])] = 0
    return found.reshape(len(gray), -1)


def _cropped(gray: np.ndarray, window: tuple[float, float]) -> np.ndarray:
    rows, columns = (waves(offset * (1 - _WINDOW), _WINDOW) for offset in window)
    return np.concatenate(
        [spectra(gray[i : i + _TILE], rows=rows, columns=columns) for i in range(0, len(gray), _TILE)]
    )


def _verified(
    gray: np.ndarray,
    others: np.ndarray,
    whole: np.ndarray,
    theirs: np.ndarray,
    candidates: _Candidates,
    usual: np.ndarray,
    of_others: np.ndarray,
) -> Iterator[Pair]:
    """Yields what is one as a whole. gray, whole: of first images; others, theirs: of second ones."""
    way = candidates.view.way
    for start in range(0, len(candidates.first), _TILE):
        first, second = (side[start : start + _TILE] for side in (candidates.first, candidates.second))
        limit = 1 - _NEARER * (1 - np.maximum(usual[first], of_others[second]))
        alike = (whole[first] * turned(theirs[second], way)).sum((1, 2))
        near = np.flatnonzero(alike >= np.maximum(limit, _SAME))
        seen = turned_images(others[second[near]], way)
        for i in near[(alike[near] >= _CERTAIN) | _alike_everywhere(gray[first[near]], seen, *_WHOLE)]:
            yield Pair(int(first[i]), int(second[i]), float(alike[i]), NAMES[way])


def _verified_parts(
    gray: np.ndarray, whole: np.ndarray, parts: Sequence[_Candidates], usual: np.ndarray
) -> Iterator[Pair]:
    """Yields what is a part of another, once its place is found."""
    placed = list[tuple[_Candidates, np.ndarray]]()
    for some in parts:
        place, alike = np.zeros((len(some.first), 3)), np.zeros(len(some.first), np.float32)
        for start in range(0, len(some.first), _TILE):
            part = slice(start, start + _TILE)
            place[part], alike[part] = _placed(gray, whole[some.first[part]], some.second[part], some.view)
        placed.append((some._replace(alike=alike), place))
    beside = _usual([some for some, _ in placed], len(gray), _BESIDE_PART)
    usual = np.maximum(usual, beside)
    for some, place in placed:
        limit = 1 - _NEARER * (1 - np.maximum(usual[some.first], usual[some.second]))
        near = np.flatnonzero(some.alike >= np.maximum(limit, _CROPPED))
        seen = turned_images(_parts(gray[some.second[near]], place[near]), some.view.way)
        mirrored = "" if some.view.way == WAYS[0] else ", mirrored"
        for i in near[_alike_everywhere(gray[some.first[near]], seen, *_PART)]:
            how = f"a part of it, {place[i, 2]:.0%} of its side{mirrored}"
            yield Pair(int(some.first[i]), int(some.second[i]), float(some.alike[i]), how)


def _placed(gray: np.ndarray, wanted: np.ndarray, second: np.ndarray, view: _View) -> tuple[np.ndarray, np.ndarray]:
    """Looks for the place of a crop near that of the view: top, left and side [m 3], and the correlation there [m]."""
    way, window = view
    assert window is not None
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


def _alike_everywhere(first: np.ndarray, second: np.ndarray, stray: float, agreement: float, fewest: int) -> np.ndarray:
    """Returns which pairs of images [m 48 48] are alike in all their parts: bool [m].

    The tones of the second are fitted by a cubic before, so that light and contrast do not count. stray: by how much
    the worst of 8 x 8 parts may differ, as a share of the contrast: a hand of a clock that points elsewhere is much at
    one place, what compression leaves is little everywhere. agreement: the least mean correlation within parts that
    show anything, of which there must be some, the fewest: one strong edge makes not one image of two.
    """
    found = np.zeros(len(first), bool)
    for i, (a, b) in enumerate(zip(first.reshape(-1, SIDE**2), second.reshape(-1, SIDE**2), strict=True)):
        one, other = a.astype(np.float64), b.astype(np.float64)
        scaled = (other - other.mean()) / max(other.std(), 1e-6)
        terms = np.stack([np.ones_like(scaled), scaled, scaled**2, scaled**3])
        fitted = np.linalg.lstsq(terms.T, one, rcond=None)[0] @ terms
        ours, theirs = _centered(one), _centered(fitted)
        worst = np.sqrt((_parts_of(one - fitted) ** 2).mean(1).max())
        spread = np.sqrt((ours**2).mean(1)), np.sqrt((theirs**2).mean(1))
        shown = np.maximum(*spread) >= _SHOWN
        within = (ours * theirs).mean(1)[shown] / np.maximum(spread[0] * spread[1], 1e-3)[shown]
        plain = len(within) < _PARTS
        if worst <= max(stray * one.std(), _COMPRESSED) and len(within) >= fewest:
            found[i] = within.mean() >= (max(agreement, _PLAINLY) if plain else agreement)
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
