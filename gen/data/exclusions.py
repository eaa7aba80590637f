"""Which images a data set leaves out: those that an audit, its audit.json, found something in."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from gen.audit_checks.checks import KINDS
from gen.data import audited
from gen.data.cache import Add, Made, cached
from gen.data.dataset import DatasetSplits, Examples
from gen.errors import InputError, nearest
from gen.files import expand, parse_json, printable, read_regular

FAULTS = tuple(name for name, kind in KINDS.items() if kind.severity == "fault")
_LARGEST = 2**30  # bytes of an audit.json
_CHUNK = 1024


class Exclusion(NamedTuple):
    """What an audit leaves out."""

    names: frozenset[str]
    facts: dict[str, Any]  # for the metadata of the data: digest of the audit, and kinds
    content: str  # what the audit was of, see gen.data.audited
    sha256: Mapping[str, str]  # of the files, by name

    @property
    def digest(self) -> str:
        """The sha256 of the names."""
        return hashlib.sha256("\0".join(sorted(self.names)).encode("utf-8", "surrogateescape")).hexdigest()

    def check(self, names: Iterable[str], where: str) -> None:
        """Raises InputError when the audit was of other images: none of what it names is there."""
        if self.names and self.names.isdisjoint(names):
            example = printable(min(self.names))
            raise InputError(f"{where}: exclude names other images than there are ({example}): is it of this set?")


def read_exclusion(path: str | os.PathLike[str], kinds: Sequence[str] | None = None) -> Exclusion:
    """Reads an audit.json. kinds: of findings to leave out; None: the faults. Raises InputError."""
    file = expand(path)
    try:
        content = read_regular(file, most=_LARGEST)
        found = parse_json(content)
        findings, digest, content_of = found["findings"], str(found["digest"]), str(found["content"])
        names = names_of_kinds(findings, kinds)
    except InputError:
        raise
    except (OSError, ValueError, KeyError, TypeError) as error:
        why = getattr(error, "strerror", None) or printable(error, longest=100)
        raise InputError(f"exclude={printable(file)}: is no audit.json of gen.audit ({why})") from None
    about = {
        "audit": digest,
        "kinds": sorted(FAULTS if kinds is None else kinds),
    }
    sums = {str(f["file"]): str(f.get("sha256", "")) for f in findings}
    return Exclusion(frozenset(names), about, content_of, sums)


def without(
    splits: DatasetSplits, exclude: str | os.PathLike[str] | None, kinds: Sequence[str] | None = None
) -> DatasetSplits:
    """Leaves out of a set of arrays the images that an audit of it found something in; None: none.

    Raises InputError for an audit of another set, and where nothing is left.
    """
    digest = str(splits.metadata["digest"])
    if exclude is None:
        if known := audited.recall(digest):
            splits.metadata["audit"] = known
        return splits
    found = read_exclusion(exclude, kinds)
    counts = {"train": len(splits.train.images), "held_out": len(splits.held_out.images)}
    kept = kept_of(found, exclude, digest, counts)

    def make(add: Add) -> Made:
        for split, part in (("train", splits.train), ("held_out", splits.held_out)):
            for start in range(0, len(kept[split]), _CHUNK):
                add(split, *_chosen(part, kept[split][start : start + _CHUNK]))
        given = ("digest", "options", "num_train", "num_held_out", "captions", "audit", "quick_audit")
        return splits.class_names, {name: value for name, value in splits.metadata.items() if name not in given}

    about = found.facts | {"images": len(found.names)}
    options = splits.metadata["options"] | {"exclude": found.facts}
    left = cached(splits.name, options, make, identity=[digest, found.digest])
    left.metadata["excluded"] = about
    left.metadata["audit"] = audited.recall(digest) or {"digest": found.facts["audit"]}
    return left


def kept_of(
    found: Exclusion, exclude: str | os.PathLike[str], digest: str, counts: Mapping[str, int]
) -> dict[str, np.ndarray]:
    """Returns for each split which of its images are left, of a set of arrays of this digest, by their numbers.

    Raises InputError for an audit of another set, and where nothing is left of a split.
    """
    if found.content != digest:
        raise InputError(
            f"exclude={printable(exclude)}: is the audit of another set, or of other options of it; audit this one by "
            "gen.audit --config"
        )
    kept = {s: np.array([i for i in range(n) if f"{s}/{i:06}" not in found.names], int) for s, n in counts.items()}
    if not all(map(len, kept.values())):
        raise InputError(f"exclude={printable(exclude)}: leaves nothing of a split")
    return kept


def _chosen(part: Examples, indices: np.ndarray) -> tuple[Any, ...]:
    chosen = part.images[indices], part.labels[indices]
    if part.captions is None:
        return chosen
    return *chosen, [[text.encode("utf-8", "surrogateescape") for text in part.captions.of(i)] for i in indices]


def names_of_kinds(findings: Sequence[Mapping[str, Any]], kinds: Iterable[str] | None) -> set[str]:
    """Returns the names of images with a finding of these kinds; None: the faults. Raises InputError."""
    wanted = set(FAULTS if kinds is None else kinds)
    for kind in sorted(wanted - KINDS.keys()):
        raise InputError(
            f"exclude: there are no findings '{printable(kind)}'{nearest(kind, KINDS)}; allowed: {', '.join(KINDS)}"
        )
    return {str(finding["file"]) for finding in findings if finding["kind"] in wanted}
