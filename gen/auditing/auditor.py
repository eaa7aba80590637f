"""Audits a collection: each image once, on all cores, then all together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from gen import cli
from gen.audit_checks.pattern import shared_pattern
from gen.audit_checks.tone import luminance
from gen.auditing import advice, findings, pool
from gen.auditing.drift import drift
from gen.auditing.findings import Finding, Note
from gen.auditing.items import Collection, Item
from gen.auditing.journal import Damaged, Journal
from gen.auditing.results import Audit, Entry, ordered
from gen.auditing.table import Table, table
from gen.errors import InputError
from gen.files import printable
from gen.image_io import Unreadable, open_image
from gen.watermark import Key

_PATTERN_IMAGES = (30, 200)  # of one size, that a shared pattern is looked for in
_PATTERN_SIDES = (48, 1024)  # pixels of the shorter side
_MOST_CROPS = 30_000  # images among which parts of others are looked for
_FEW = 5_000  # the same of a fast audit
_MARKS_AT_ONCE = 32
_MARKED = 2**22  # pixels: gen makes no larger images, and to look for marks in photographs takes memory


@dataclass(frozen=True)
class Outcome:
    """An audit, with what its page shows beside."""

    audit: Audit
    table: Table
    pattern: np.ndarray | None = None  # bool [h w], where many images have the same lines


def look(collection: Collection) -> Table:
    """Looks at all images that were not looked at before, as they are now. Shows progress."""
    if not collection.items:
        raise InputError(f"{collection.name}: there are no images")
    try:
        return _looked(collection, Journal(collection.place))
    except Damaged as error:
        cli.say(f"what was looked at before cannot be used ({printable(error)}); all is looked at anew")
        return _looked(collection, Journal(collection.place, memory=True))


def _looked(collection: Collection, journal: Journal) -> Table:
    with journal:
        known = journal.known(collection.items)
        left = [item for item in collection.items if item.name not in known]
        with cli.progress_bar(len(collection.items), doing="looking", done=len(known)) as bar:
            for chunk in pool.inspected(left, collection.job):
                journal.add(chunk)
                bar.update(len(chunk))
        return table(collection.items, journal.read(collection.items))


def audit(
    collection: Collection,
    *,
    fast: bool = False,
    reference: Collection | None = None,
    key: Key | None = None,
    allowed: Callable[[Finding], bool] = lambda finding: False,
    device: str = "cpu",
) -> Outcome:
    """Audits a collection. fast: without networks, crops of others, marks and shared patterns.

    key: of the mark of gen that is looked for. allowed: whether somebody looked at a finding, and lets it pass.
    """
    seen = look(collection)
    found, notes = list(findings.of_files(seen)), findings.of_layout(collection)
    by_numbers, more = findings.by_numbers(seen)
    found += by_numbers + findings.odd_sizes(seen)
    notes += more
    worse = Counter(finding.file for finding in by_numbers)
    found += _copies(seen, worse, crops=len(seen.items) <= (_FEW if fast else _MOST_CROPS))
    notes += findings.of_classes(collection)
    captions, more = findings.of_captions(collection)
    found += captions
    notes += more
    pattern = None
    if not fast:
        found += _marked(collection, seen, key)
        pattern, more = _pattern(collection, seen)
        notes += more
        found += _learned(collection, seen, found)
    kept = [finding for finding in found if not allowed(finding)]
    result = Audit(
        collection.name,
        collection.place_digest,
        collection.content(),
        _entries(seen, kept),
        ordered(kept),
        notes,
        _advice(collection, seen, device),
        len(found) - len(kept),
        fast,
        drift(seen, look(reference), reference.name) if reference else None,
    )
    return Outcome(result, seen, pattern)


def _copies(seen: Table, worse: Mapping[str, int], *, crops: bool) -> list[Finding]:
    with cli.progress_bar(100, "%", doing="comparing") as bar:
        done = 0.0

        def progress(share: float) -> None:
            nonlocal done
            bar.update(round(100 * share) - round(100 * done))
            done = share

        return findings.copies(seen, worse, crops=crops, progress=progress)


def _marked(collection: Collection, seen: Table, key: Key | None) -> list[Finding]:
    """Looks for the mark of gen, as it is written."""
    if key is None:
        return []
    from gen.watermark import MIN, detect

    told = {i for i, facts in seen.facts.items() if "generated" in facts}
    asked = [
        i
        for i in seen.readable
        if i not in told and min(seen.sizes[i, 1:]) >= MIN and seen.sizes[i, 1:].prod() <= _MARKED
    ]
    found = list[Finding]()
    with cli.progress_bar(len(asked), doing="looking for marks") as bar:
        for start in range(0, len(asked), _MARKS_AT_ONCE):
            part = [
                (i, x)
                for i in asked[start : start + _MARKS_AT_ONCE]
                if (x := _pixels(collection, seen.items[i])) is not None
            ]
            for (i, _), mark in zip(part, detect([x for _, x in part], key), strict=True):
                if mark.found:
                    found.append(
                        Finding(seen.items[i].name, "generated", 1.0, f"the mark of gen, p = {mark.p_value:.0e}")
                    )
            bar.update(_MARKS_AT_ONCE)
    return found


def _pixels(collection: Collection, item: Item) -> np.ndarray | None:
    """Decodes an image: uint8 [h w c]; None where that fails now."""
    job = collection.picture(item)
    if job is None or isinstance(job, np.ndarray):
        return job
    try:
        return np.asarray(open_image(job))
    except Unreadable:
        return None


def _pattern(collection: Collection, seen: Table) -> tuple[np.ndarray | None, list[Note]]:
    """Looks for lines that many images of the commonest size share."""
    readable = seen.readable
    shapes, counts = np.unique(seen.sizes[readable, 1:], axis=0, return_counts=True) if len(readable) else ((), ())
    least, most = _PATTERN_IMAGES
    if (
        not len(counts)
        or max(counts) < least
        or not _PATTERN_SIDES[0] <= min(shapes[np.argmax(counts)]) <= _PATTERN_SIDES[1]
    ):
        return None, []
    alike = readable[(seen.sizes[readable, 1:] == shapes[np.argmax(counts)]).all(1)]
    chosen = np.sort(np.random.default_rng(0).permutation(alike)[:most])
    found = (_pixels(collection, seen.items[i]) for i in chosen)
    wanted = tuple(shapes[np.argmax(counts)][::-1])
    there, share = shared_pattern(luminance(x) for x in found if x is not None and x.shape[:2] == wanted)
    if not share:
        return None, []
    text = (
        f"the same sharp lines at one place, {share:.1%} of the pixels of images of one size: a watermark, a caption?"
    )
    return there, [Note("shared_pattern", text)]


def _learned(collection: Collection, seen: Table, found: Sequence[Finding]) -> list[Finding]:
    from gen.auditing.learned import learned

    kinds = {"duplicate", "near_duplicate", "leakage", "low_information"}
    names = {finding.file for finding in found if finding.kind in kinds}
    unlike = np.array([i for i, item in enumerate(seen.items) if item.name in names], int)
    return learned(collection, seen, unlike)


def _entries(seen: Table, found: Sequence[Finding]) -> list[Entry]:
    kinds = dict[str, list[str]]()
    for finding in found:
        kinds.setdefault(finding.file, []).append(finding.kind)
    return [
        Entry(
            item.name,
            seen.sha256[i],
            bytes=int(seen.sizes[i, 0]),
            width=int(seen.sizes[i, 1]),
            height=int(seen.sizes[i, 2]),
            split=item.split,
            findings=tuple(kinds.get(item.name, ())),
        )
        for i, item in enumerate(seen.items)
    ]


def _advice(collection: Collection, seen: Table, device: str) -> list[str]:
    readable = seen.readable
    count = sum(1 for i in readable if seen.items[i].split == "train")
    smallest = int(np.quantile(seen.sizes[readable, 1:].min(1), 0.05)) if len(readable) else None
    classes = len(collection.class_names)
    return advice.advice(count, side=collection.resolution, classes=classes, device=device, smallest=smallest)
