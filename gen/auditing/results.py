"""The result of an audit: findings and notes, what they come to, and the files that hold them."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from gen import __version__
from gen.audit_checks.checks import KINDS, SEVERITIES, VERSION, Severity
from gen.auditing.drift import Drift
from gen.auditing.findings import Finding, Note
from gen.data.exclusions import names_of_kinds
from gen.files import printable

FORMAT = 1  # of audit.json


@dataclass(frozen=True)
class Entry:
    """A line of the manifest: one image."""

    file: str
    sha256: str
    bytes: int
    width: int
    height: int
    split: str
    findings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Audit:
    """What was found in a set of images. `findings` is the table: a list of dataclasses, worst first in each kind."""

    name: str
    place: str  # a digest of where it lies
    content: str  # what tells the audited set from others, see gen.data.audited
    entries: list[Entry]
    findings: list[Finding]
    notes: list[Note]
    advice: list[str] = field(default_factory=list)
    allowed: int = 0  # findings that somebody looked at and allows
    fast: bool = False
    drift: Drift | None = None  # from the reference that it was compared with

    @property
    def counts(self) -> dict[str, int]:
        """How many images there are of each kind, in the order of KINDS."""
        found = Counter(finding.kind for finding in self.findings)
        return {kind: found[kind] for kind in KINDS if found[kind]}

    def of(self, severity: Severity) -> set[str]:
        """Returns the names of images with a finding of this severity."""
        return {finding.file for finding in self.findings if finding.severity == severity}

    def exclude(self, kinds: Iterable[str] | None = None) -> list[str]:
        """Returns the names of images with a finding of these kinds, sorted; None: the faults.

        Raises InputError for a kind that there is not.
        """
        return sorted(names_of_kinds([asdict(finding) for finding in self.findings], kinds))

    @property
    def digest(self) -> str:
        """The sha256 of what was audited and of what was found."""
        hasher = hashlib.sha256()
        for line in self.manifest_lines():
            hasher.update(line.encode("utf-8", "backslashreplace"))
        hasher.update(json.dumps([[asdict(n) for n in self.notes], VERSION]).encode("utf-8", "backslashreplace"))
        return hasher.hexdigest()

    @property
    def verdict(self) -> str:
        """The result in a sentence."""
        total, faults = len(self.entries), self.of("fault")
        looks = self.of("warning") - faults
        if not faults and not looks:
            return f"Nothing wrong was found in {_images(total)}."
        said = f"Of {_images(total)}"
        if faults:
            share = f"{len(faults) / total:.1%}" if len(faults) < total else "all"
            said += f" {len(faults):,} ({share}) should be left out: {self._listed('fault')}"
        if looks:
            said += f"{'; ' if faults else ' '}{len(looks):,}{' more' if faults else ''} are worth a look"
            said += "" if faults else f": {self._listed('warning')}"
        leaked = self.counts.get("leakage", 0)
        warned = (
            " Held-out images are among those to learn from: what is measured on them is too good." if leaked else ""
        )
        return f"{said}.{warned}"

    def _listed(self, severity: Severity) -> str:
        parts = [
            f"{count:,} {KINDS[kind].title}" for kind, count in self.counts.items() if KINDS[kind].severity == severity
        ]
        return ", ".join(parts)

    def manifest_lines(self) -> Iterator[str]:
        """Yields the lines of manifest.jsonl, a JSON object each."""
        for entry in self.entries:
            yield json.dumps(asdict(entry), ensure_ascii=True) + "\n"

    def data(self) -> dict[str, Any]:
        """Returns the content of audit.json."""
        sums = {entry.file: entry.sha256 for entry in self.entries}
        return {
            "format": FORMAT,
            "gen": __version__,
            "thresholds": VERSION,
            "name": self.name,
            "place": self.place,
            "digest": self.digest,
            "content": self.content,
            "images": len(self.entries),
            "fast": self.fast,
            "verdict": self.verdict,
            "counts": self.counts,
            "allowed": self.allowed,
            "notes": [asdict(note) for note in self.notes],
            "advice": self.advice,
            "drift": asdict(self.drift) if self.drift else None,
            "findings": [asdict(finding) | {"sha256": sums.get(finding.file, "")} for finding in self.findings],
        }

    def summary(self) -> list[str]:
        """Returns some lines for a terminal."""
        lines = [self.verdict]
        for severity in SEVERITIES:
            if listed := self._listed(severity):
                lines.append(f"{severity + 's':9} {listed}")
        lines += [printable(f"note      {note.text}") for note in self.notes]
        return [*lines, *self.advice]


def _images(count: int) -> str:
    return f"{count:,} image{'' if count == 1 else 's'}"


def ordered(findings: Sequence[Finding]) -> list[Finding]:
    """Sorts findings: by kind, the worst first, then by name."""
    order = {kind: number for number, kind in enumerate(KINDS)}
    return sorted(findings, key=lambda f: (order[f.kind], -f.score, f.file))
