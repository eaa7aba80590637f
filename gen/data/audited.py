"""Remembers which sets of images were audited, so that training can tell; what it knows lies in the data cache."""

from __future__ import annotations

import contextlib
import hashlib
import json
from pathlib import Path
from typing import Any

from gen.files import atomic_write, cache_home, private_folder


def remember(content: str, facts: dict[str, Any]) -> None:
    """Remembers an audit of a set with this content: a fingerprint of its files, or the digest of its arrays."""
    with contextlib.suppress(OSError):
        private_folder(cache_home())
        file = _file(content)
        private_folder(file.parent)
        atomic_write(file, json.dumps(facts))


def recall(content: str) -> dict[str, Any] | None:
    """Returns what `remember` was given; None for a set that was not audited as it is now."""
    with contextlib.suppress(OSError, ValueError):
        file = _file(content)
        private_folder(file.parent)
        found = json.loads(file.read_text(encoding="utf-8"))
        return found if isinstance(found, dict) else None
    return None


def _file(content: str) -> Path:
    return cache_home() / "audited" / f"{hashlib.sha256(content.encode()).hexdigest()[:32]}.json"
