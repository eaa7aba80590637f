"""What is wrong with single images, and with a set of them as a whole, from the table of all."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from gen.audit_checks import checks, duplicates
from gen.audit_checks.checks import KINDS, Severity
from gen.auditing.items import Collection
from gen.auditing.table import Table
from gen.files import printable

_SET = 20  # images from which on a set is like something
_FEW = 20  # images to learn a class from
_RAREST = 0.1  # of the images that each class would have if all had as many
_OUTSIDE = 3.0  # interquartile ranges, of the logarithm of the pixels, beyond which a size is odd
_TIMES = 4.0  # in pixels, that an odd size is away from the median at least
_REPEATED = 0.02  # share of the images, and 10 at least, that a repeated caption has


@dataclass(frozen=True)
class Finding:
    """One image in which something was found."""

    file: str
    kind: str  # of KINDS
    score: float  # 1 at the threshold, more is worse; of duplicates the correlation
    detail: str = ""
    other: str = ""  # the image that it is a duplicate of

    @property
    def severity(self) -> Severity:
        """How bad it is."""
        return KINDS[self.kind].severity


@dataclass(frozen=True)
class Note:
    """Something about the set as a whole."""

    kind: str
    text: str
    severity: Severity = "warning"


def of_files(table: Table) -> Iterator[Finding]:
    """What files say of themselves: unreadable ones, and facts."""
    for i, (kind, reason) in table.errors.items():
        yield Finding(table.items[i].name, kind, 1.0, reason)
    for i, facts in table.facts.items():
        for kind, words in facts.items():
            yield Finding(table.items[i].name, kind, 1.0, words)


def by_numbers(table: Table) -> tuple[list[Finding], list[Note]]:
    """Judges each image by its numbers.

    What a third or more of a set are like is told once, of the set, and of images only that are far worse than it is.
    """
    found = {int(i): checks.found_by_numbers(table.of(i)) for i in table.readable}
    counts = Counter(kind for kinds in found.values() for kind in kinds)
    total = max(1, len(found))
    common = {kind for kind, count in counts.items() if total >= _SET and checks.of_the_set(kind, count / total)}
    usual = {kind: float(np.median([kinds[kind] for kinds in found.values() if kind in kinds])) for kind in common}
    findings = [
        Finding(table.items[i].name, kind, round(score, 3), words(kind, table.of(i)))
        for i, kinds in found.items()
        for kind, score in kinds.items()
        if kind not in common or score >= checks.WORSE * usual[kind]
    ]
    notes = [
        Note(kind, f"{counts[kind] / total:.0%} of the images are {_COMMON.get(kind, KINDS[kind].title)}", "note")
        for kind in KINDS
        if kind in common and not (kind == "gray" and set(table.formats) == {"array"})  # of one channel, as they are
    ]
    return findings, notes


_COMMON = {
    "gray": "without color: for a set of gray images set data.grayscale=True",
    "blocking": "compressed until blocks show",
    "border": "within a border",
    "odd_aspect": "of an odd shape: training takes the central square",
}
_WORDS = {
    "blur": ("edge_width", "its sharpest edges are {:.1f} pixels wide"),
    "noise": ("noise", "noise of {:.0f} levels of 255"),
    "blocking": ("blocking", "steps at the borders of blocks are larger by {:.0%}"),
    "dark": ("brightest", "its brightest parts have {:.0%} of white"),
    "light": ("palest", "no part has less than {:.0%} of white"),
    "low_contrast": ("contrast", "from dark to bright it covers {:.0%} of the range"),
    "low_information": ("information", "its areas differ by {:.1f} levels of 255"),
    "border": ("border", "bands take {:.0%} of a side"),
    "odd_aspect": ("aspect", "one side is {:.1f} times the other"),
}


def words(kind: str, numbers: Mapping[str, float]) -> str:
    """Says in words what a number shows; "" where there is no more to say."""
    if kind == "upscaled":
        if numbers["repetition"] >= 0.4:
            return "its rows and columns are repeated"
        return f"the finest waves have 2^{numbers['detail']:.1f} of the power of coarse ones"
    if kind == "blocking" and numbers.get("quality", 100) <= 60:
        return f"JPEG of quality {numbers['quality']:.0f}"
    if kind == "noise" and numbers["impulses"] >= 0.01:
        return f"{numbers['impulses']:.1%} of its pixels stand out alone"
    name, text = _WORDS.get(kind, ("", ""))
    return text.format(numbers[name]) if name else ""


def odd_sizes(table: Table) -> list[Finding]:
    """Finds images far smaller or larger than the others."""
    readable = table.readable
    if len(readable) < 8:
        return []
    area = np.log(np.maximum(table.sizes[readable, 1] * table.sizes[readable, 2], 1).astype(float))
    low, middle, high = np.quantile(area, (0.25, 0.5, 0.75))
    margin = max(_OUTSIDE * (high - low), np.log(_TIMES))
    odd = readable[np.abs(area - middle) > margin]
    return [
        Finding(table.items[i].name, "odd_size", 1.0, f"{table.sizes[i, 1]:,} x {table.sizes[i, 2]:,} pixels")
        for i in odd
    ]


def copies(
    table: Table,
    worse: Mapping[str, int],
    *,
    crops: bool,
    progress: Callable[[float], None] = lambda share: None,
) -> list[Finding]:
    """Finds exact and near duplicates, and among them what is in both splits.

    Of images that are one a held-out one stays, else that with the fewest other findings (`worse`, by name), then the
    largest; the others are findings. One that is to be learned from while another is held out is leakage.
    """
    same = defaultdict[str, list[int]](list)
    for i in table.readable:
        same[table.pixels[i]].append(int(i))
    first = np.array(sorted(group[0] for group in same.values()), int)
    pairs = duplicates.find(table.gray[first], crops=crops, progress=progress) if len(first) else []
    near = {(int(first[p.first]), int(first[p.second])): p for p in pairs}
    held_out, findings = table.splits(), list[Finding]()
    for group in duplicates.groups(len(table.items), list(near)):
        members = [i for one in group for i in same[table.pixels[one]]]
        findings += _of_group(table, members, near, held_out, worse)
    joined = {i for pair in near for i in pair}
    for members in same.values():
        if len(members) > 1 and members[0] not in joined:
            findings += _of_group(table, members, near, held_out, worse)
    return findings


def _of_group(
    table: Table,
    members: Sequence[int],
    near: Mapping[tuple[int, int], duplicates.Pair],
    held_out: np.ndarray,
    worse: Mapping[str, int],
) -> Iterator[Finding]:
    several = len({table.pixels[i] for i in members}) > 1

    def order(i: int) -> tuple[int, ...]:
        size, width, height = (int(n) for n in table.sizes[i])
        return int(held_out[i]), -worse.get(table.items[i].name, 0), width * height, size * several, -i

    best = max(members, key=order)
    for i in members:
        if i == best:
            continue
        exact = table.pixels[i] == table.pixels[best]
        pair = None if exact else near.get((min(i, best), max(i, best)))
        how = "the same pixels" if exact else pair.how if pair else "by way of others"
        score = 1.0 if exact else round(pair.correlation, 3) if pair else 0.8
        leaks = held_out[best] and not held_out[i]
        kind = "leakage" if leaks else "duplicate" if exact else "near_duplicate"
        yield Finding(table.items[i].name, kind, score, how, table.items[best].name)


def of_classes(collection: Collection) -> list[Note]:
    """Looks at how many images each class has to learn from."""
    if not collection.class_names:
        return []
    counts = Counter(item.label for item in collection.items if item.split == "train")
    each = sum(counts.values()) / len(collection.class_names)
    notes, by_name = list[Note](), {name: counts[i] for i, name in enumerate(collection.class_names)}
    if tiny := [f"{printable(name)} ({count})" for name, count in by_name.items() if count < _FEW]:
        notes.append(Note("tiny_class", f"classes with fewer than {_FEW} images to learn from: {_some(tiny)}"))
    rare = [f"{printable(n)} ({c:,})" for n, c in by_name.items() if c < _RAREST * each and c >= _FEW]
    if rare:
        most = max(by_name, key=lambda name: by_name[name])
        text = f"classes are uneven: {_some(rare)}, but {by_name[most]:,} of {printable(most)}"
        notes.append(Note("imbalance", text))
    return notes


def of_captions(collection: Collection) -> tuple[list[Finding], list[Note]]:
    """Looks for images without captions, captions without images, and captions of many images."""
    items = [item for item in collection.items if item.captions is not None]
    findings = [Finding(item.name, "uncaptioned", 1.0) for item in items if not item.captions]
    notes = list[Note]()
    if collection.unmatched:
        notes.append(
            Note("unmatched", f"{len(collection.unmatched):,} captions of no image: {_some(collection.unmatched)}")
        )
    counts = Counter(text for item in items for text in set(item.captions or ()))
    least = max(10, round(_REPEATED * len(items)))
    if often := [(text, count) for text, count in counts.most_common(5) if count >= least]:
        said = ", ".join(f'"{printable(text, longest=60)}" ({count:,})' for text, count in often)
        notes.append(Note("repeated_caption", f"captions of many images: {said}", "note"))
    return findings, notes


def of_layout(collection: Collection) -> list[Note]:
    """What was passed over beside the images."""
    notes = []
    if collection.ignored:
        listed = ", ".join(f"{what} ({count:,})" for what, count in sorted(collection.ignored.items()))
        notes.append(Note("ignored", f"passed over: {listed}", "note"))
    if unlisted := collection.unlisted:
        notes.append(Note("unlisted", f"{len(unlisted):,} files are not in dataset.json: {_some(unlisted)}"))
    return notes


def _some(names: Sequence[str], most: int = 5) -> str:
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return ", ".join(printable(name, longest=80) for name in names[:most]) + more
