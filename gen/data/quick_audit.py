"""A quick look at images while they are decoded: exact duplicates, and what is in both splits, exactly or nearly.

All else needs gen.audit. It takes well below a tenth of the time of decoding.
"""

from __future__ import annotations

import hashlib
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
        """Returns how many duplicates there are within splits, and how many images in both; None: too many images."""
        if self._too_many or not self._count:
            return None
        for split in self._waiting:
            self._reduce(split)
        train, held_out = (self._digests[split] for split in ("train", "held_out"))
        repeated = sum(len(each) - len(set(each)) for each in (train, held_out))
        leaked = set(np.flatnonzero(np.isin(np.array(train, "S16"), np.array(held_out, "S16"))).tolist())
        if train and held_out:
            leaked |= duplicates.across(*(np.concatenate(self._gray[split]) for split in ("train", "held_out")))
        return {"duplicates": repeated, "leakage": len(leaked)}


def line(metadata: dict[str, Any], name: str) -> str:
    """Returns the line that training says of data that nobody audited; "" for audited and drawn ones."""
    if metadata.get("audit") or name in ("shapes", "scenes"):
        return ""
    found = metadata.get("quick_audit") or {}
    parts = [
        f"{found[key]:,} {words}"
        for key, words in (("duplicates", "exact duplicates"), ("leakage", "held-out images among those to learn from"))
        if found.get(key)
    ]
    said = f"; a quick look found {' and '.join(parts)}" if parts else ""
    return f"these images were never audited{said}; python -m gen.audit tells what is wrong with them"
