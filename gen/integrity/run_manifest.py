"""manifest.json of a run: size and sha256 of every file of a run that is done, and what differs from it. No jax.

    {"files": {"config.json": {"size": 1473, "sha256": "..."}, ...}, "digest": "the sha256 of `files`, as JSON"}

Nothing in it is opened by its name: a manifest of somebody else's can only say that files of the folder are others.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from gen.errors import InputError
from gen.files import atomic_write, parse_json, read_regular, sha256
from gen.integrity.findings import Finding, Kind
from gen.integrity.listing import MANIFEST, Listing, artefact

_MOST = 2**28  # bytes of a manifest

Files = dict[str, dict[str, Any]]  # name -> size, sha256


def write(run: Path, listing: Listing) -> Path:
    """Writes the manifest of these files, whole or not at all; returns its path. Raises OSError."""
    files = {name: {"size": size, "sha256": sha256(run / name)} for name, size in listing.sizes.items()}
    atomic_write(run / MANIFEST, _text(files))
    return run / MANIFEST


def read(run: Path) -> Files | None:
    """Reads the manifest of a run; None without one. Raises InputError, without the path, for one that was changed."""
    try:
        content = read_regular(run / MANIFEST, most=_MOST)
        found = parse_json(content)
        files = found["files"]
        whole = _text(files).encode() == content and all({*entry} == {"size", "sha256"} for entry in files.values())
    except FileNotFoundError:
        return None
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}") from None
    except (ValueError, TypeError, KeyError, AttributeError):
        whole = False
    if not whole:
        raise InputError("it was changed after it was written")
    return dict(files)


def compare(run: Path, listing: Listing, files: Mapping[str, Mapping[str, Any]]) -> Iterator[Finding]:
    """Yields what differs from the manifest, one finding for each artefact."""
    faults = dict[str, list[tuple[Kind, str]]]()
    for name in sorted({*listing.sizes, *files}):
        if fault := _fault(run, name, listing, files):
            faults.setdefault(artefact(name), []).append((fault, name))
    for place, found in faults.items():
        kind, name = found[0]
        words = {"damaged": "differs from", "missing": "is in", "added": "is not in"}[kind]
        more = f", nor do {len(found) - 1:,} more of its files agree" if len(found) > 1 else ""
        inside = name.removeprefix(f"{place}/") if name != place else "it"
        yield Finding(run, place, kind, f"{inside} {words} {MANIFEST}{more}")


def _fault(run: Path, name: str, listing: Listing, files: Mapping[str, Mapping[str, Any]]) -> Kind | None:
    if name not in files:
        return "added"
    if name not in listing.sizes:
        return None if name in listing.others else "missing"  # a link, which is told already
    try:
        same = listing.sizes[name] == files[name]["size"] and sha256(run / name) == files[name]["sha256"]
    except FileNotFoundError:
        return "missing"
    except OSError:
        return "damaged"
    return None if same else "damaged"


def _text(files: Mapping[str, Any]) -> str:
    digest = hashlib.sha256(json.dumps(files, sort_keys=True).encode()).hexdigest()
    return json.dumps({"files": files, "digest": digest}, indent=1) + "\n"
