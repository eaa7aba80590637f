"""A quick look at images while they are decoded: exact duplicates, and what is in both splits, exactly or nearly.

All else needs gen.audit. It takes well below a tenth of the time of decoding.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from gen.audit_checks import duplicates, fingerprints

MOST = 50_000  # images, beyond which there is no quick look
_AT_ONCE = 2**22  # bytes of images that are reduced at once


class QuickAudit:
    """Collects what is needed to tell images that are one."""

    def __init__(self) -> None:
        self._too_many = False
        self._digests: dict[str, list[bytes]] = {"train": [], "held_out": []}
        self._gray: dict[str, list[np.ndarray]] = {"train": [], "held_out": []}
        self._waiting: dict[str, list[np.ndarray]] = {"train": [], "held_out": []}  # images come one by one, too

    @property
    def _count(self) -> int:
        return sum(map(len, self._digests.values()))

    def add(self, images: np.ndarray, split: str) -> None:
        """Takes images uint8 [k h w c]."""
        if self._too_many or self._count + len(images) > MOST:
            self._too_many = True
            for kept in (self._digests, self._gray, self._waiting):
                for part in kept.values():
                    part.clear()
            return
        step = max(1, _AT_ONCE // max(1, images[0].nbytes)) if len(images) else 1
        for start in range(0, len(images), step):
            self._take(images[start : start + step], split)

    def _take(self, images: np.ndarray, split: str) -> None:
        self._digests[split] += [hashlib.blake2b(np.ascontiguousarray(x).data, digest_size=16).digest() for x in images]
        self._waiting[split].append(images)
        if sum(x.nbytes for x in self._waiting[split]) >= _AT_ONCE:
            self._reduce(split)

    def _reduce(self, split: str) -> None:
        if self._waiting[split]:
            self._gray[split].append(fingerprints.fingerprints(np.concatenate(self._waiting[split])))
            self._waiting[split].clear()

    def result(self) -> dict[str, int] | None:
        """Counts what was found; None: too many images.

        duplicates: images that repeat one of their split; leakage: held-out images with a copy among those to learn
        from, leaked_exactly: with an equal one, leaked_nearly: only with one that is nearly the same, perhaps turned.
        """
        if self._too_many or not self._count:
            return None
        for split in self._waiting:
            self._reduce(split)
        train, held_out = (self._digests[split] for split in ("train", "held_out"))
        repeated = sum(len(each) - len(set(each)) for each in (train, held_out))
        learned = set(train)
        exactly = sum(digest in learned for digest in held_out)
        nearly = self._leaked_nearly([i for i, digest in enumerate(held_out) if digest not in learned])
        counts = {"leakage": exactly + nearly, "leaked_exactly": exactly, "leaked_nearly": nearly}
        return {"duplicates": repeated, **counts}

    def _leaked_nearly(self, held_out: Sequence[int]) -> int:
        """Counts those of some held-out images that are nearly one to learn from."""
        if not (held_out and self._gray["train"]):
            return 0
        train, wanted = np.concatenate(self._gray["train"]), np.concatenate(self._gray["held_out"])[held_out]
        near = sorted(duplicates.across(train, wanted))  # which of train; `find` says of which they are copies
        pairs = duplicates.find(np.concatenate([wanted, train[near]]), crops=False) if near else []
        return len({pair.first for pair in pairs if pair.first < len(wanted) <= pair.second})


def line(metadata: dict[str, Any], name: str) -> str:
    """Returns the line that training says of data that nobody audited; "" for audited and drawn ones."""
    if metadata.get("audit") or name in ("shapes", "scenes"):
        return ""
    found = metadata.get("quick_audit") or {}
    words = {
        "duplicates": "exact duplicates",
        "leaked_exactly": "held-out images equal to one to learn from",
        "leaked_nearly": "held-out images nearly equal to one to learn from, perhaps turned",
    }
    parts = [f"{found[key]:,} {what}" for key, what in words.items() if found.get(key)]
    said = f"; a quick look found {', '.join(parts)}" if parts else ""
    return f"these images were never audited{said}; python -m gen.audit tells what is wrong with them"
