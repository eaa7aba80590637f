"""The files of an audit: audit.html with pictures of every kind of finding, audit.json, manifest.jsonl."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from gen import cli
from gen.audit_checks.checks import KINDS
from gen.auditing.auditor import Outcome
from gen.auditing.findings import Finding
from gen.auditing.items import Collection, Item
from gen.files import printable
from gen.image_io import Unreadable, open_image
from gen.outputs import manifest
from gen.report.html import data_uri, render
from gen.report.pictures import encode_png, webp_thumbnail

_SIDE = 128  # pixels of a thumbnail
_SHOWN = 24  # findings of a kind, and images of a drift, with a picture
MOST_LISTED = 20_000  # findings in the table of the page


@dataclass(frozen=True)
class Shown:
    """A finding with its picture, and that of the image that it is a duplicate of; data URIs, "" for none."""

    file: str
    detail: str
    score: float
    picture: str
    other: str
    other_picture: str


@dataclass(frozen=True)
class Section:
    """All of a kind."""

    kind: str
    title: str
    severity: str
    meaning: str
    count: int
    shown: list[Shown]


def write(out: Path, outcome: Outcome, collection: Collection) -> None:
    """Writes the three files, the page last. Raises InputError for what the system refuses."""
    lines = "".join(outcome.audit.manifest_lines())
    manifest.write(out / "manifest.jsonl", lines.encode())
    manifest.write(out / "audit.json", (json.dumps(outcome.audit.data(), indent=1, ensure_ascii=True) + "\n").encode())
    manifest.write(out / "audit.html", html(outcome, collection).encode("utf-8", "backslashreplace"))


def html(outcome: Outcome, collection: Collection) -> str:
    """Renders the page."""
    audit, pictures = outcome.audit, _Pictures(collection)
    by_kind = dict[str, list[Finding]]()
    for finding in audit.findings:
        by_kind.setdefault(finding.kind, []).append(finding)
    sections = [
        _section(kind, found, pictures) for kind, found in cli.progress(by_kind.items(), len(by_kind), doing="page")
    ]
    listed = audit.findings[:MOST_LISTED]
    table = [
        [f.kind, printable(f.file), round(f.score, 3), printable(f.detail), printable(f.other), _line(f)]
        for f in listed
    ]
    drift = audit.drift
    return render(
        "audit.html",
        name=printable(audit.name),
        verdict=audit.verdict,
        images=len(audit.entries),
        allowed=audit.allowed,
        fast=audit.fast,
        sections=sections,
        notes=audit.notes,
        advice=audit.advice,
        drift=drift,
        drivers=[(printable(file), pictures.of(file)) for file in (drift.drivers[:_SHOWN] if drift else [])],
        pattern=_mask(outcome.pattern),
        titles={kind: KINDS[kind].title for kind in by_kind},
        table=_script(table),
        left_out=len(audit.findings) - len(listed),
    )


def _section(kind: str, found: Sequence[Finding], pictures: _Pictures) -> Section:
    about = KINDS[kind]
    shown = [
        Shown(
            printable(f.file),
            printable(f.detail),
            f.score,
            pictures.of(f.file) if about.title != "unreadable" else "",
            printable(f.other),
            pictures.of(f.other) if f.other else "",
        )
        for f in found[:_SHOWN]
    ]
    return Section(kind, about.title, about.severity, about.meaning, len(found), shown)


def _line(finding: Finding) -> str:
    """Returns the line of audit_allow.txt that lets a finding pass; "" for a name that a line cannot hold."""
    plain = not any(sign in finding.file for sign in "\n\r\t") and finding.file.isprintable()
    return f"{finding.kind}\t{finding.file}" if plain else ""


def _script(value: Any) -> str:
    """Returns JSON that no end of a script can stand in."""
    text = json.dumps(value, ensure_ascii=True, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _mask(pattern: np.ndarray | None) -> str:
    if pattern is None:
        return ""
    return data_uri(encode_png(np.where(pattern, 0, 255).astype(np.uint8)[..., None]))


class _Pictures:
    """Thumbnails by name, each made once."""

    def __init__(self, collection: Collection) -> None:
        self._collection = collection
        self._items = {item.name: item for item in collection.items}
        self._made = dict[str, str]()

    def of(self, name: str) -> str:
        """Returns a data URI; "" where there is no picture."""
        if name not in self._made:
            item = self._items.get(name)
            self._made[name] = self._thumbnail(item) if item else ""
        return self._made[name]

    def _thumbnail(self, item: Item) -> str:
        job = self._collection.picture(item)
        if job is None:
            return ""
        try:
            image = Image.fromarray(job.squeeze()) if isinstance(job, np.ndarray) else open_image(job)
        except (Unreadable, ValueError):
            return ""
        return data_uri(webp_thumbnail(image, side=_SIDE), kind="webp")
