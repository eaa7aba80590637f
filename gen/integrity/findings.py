"""What was found in run folders that is not as gen wrote it. Imports no jax."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

from gen.files import printable

# damaged: not what was written. foreign: whole, but of another run, changed by a person, or nothing that a run holds.
# missing, added: by the manifest of the run.
Kind = Literal["damaged", "foreign", "missing", "added"]


class Finding(NamedTuple):
    """One artefact that does not hold."""

    run: Path
    name: str  # of a file or checkpoint in the run folder, with slashes
    kind: Kind
    what: str

    @property
    def line(self) -> str:
        """All of it in one line."""
        return f"{printable(self.run / self.name)}: {self.kind}: {printable(self.what)}"


class Verdict(NamedTuple):
    """What was verified."""

    runs: Sequence[Path]
    checked: int  # artefacts that something vouches for
    findings: Sequence[Finding]
    manifests: Sequence[Path] = ()  # that were written

    @property
    def exit_code(self) -> int:
        """0 where all holds, else 1."""
        return 1 if self.findings else 0

    @property
    def summary(self) -> str:
        """One sentence."""
        counts = [f"{count:,} {kind}" for kind in Kind.__args__ if (count := self._count(kind))]  # type: ignore[attr-defined]
        where = f"{self.checked:,} artefacts of {len(self.runs):,} run{'s' if len(self.runs) > 1 else ''}"
        return f"{where}: {', '.join(counts)}." if counts else f"{where}: all holds."

    def data(self) -> dict[str, Any]:
        """The document of --json."""
        findings = [{"run": str(f.run), "name": f.name, "kind": f.kind, "what": f.what} for f in self.findings]
        return {
            "runs": [str(run) for run in self.runs],
            "checked": self.checked,
            "findings": findings,
            "manifests": [str(path) for path in self.manifests],
            "summary": self.summary,
            "exit_code": self.exit_code,
        }

    def _count(self, kind: str) -> int:
        return sum(finding.kind == kind for finding in self.findings)
