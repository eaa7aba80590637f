"""What is found about a file: its mark, what became of making it again, and the verdict on it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from gen.provenance import Record, chosen, run_tag
from gen.verification.answers import Parsed

Origin = Literal["signed", "marked", "regenerated", "claimed", "unknown", "unreadable"]
SMALL = "so small an image may be too small to tell alone"
_TAG_BITS = 24


@dataclass(frozen=True)
class Mark:
    """What the search for gen's mark found."""

    looked: bool = False
    found: bool = False
    p_value: float = 1.0
    place: str = ""  # what happened to the picture since, in words, "" for nothing
    tag: int | None = None  # of the run
    tag_bits: int = 0  # leading bits of it that are known
    note: str = "no key"  # why it was not looked for, or is not to be found in one image alone


@dataclass(frozen=True)
class Regeneration:
    """What became of making an image again from its record."""

    text: str  # in words
    before: bool | None = None  # whether the pixels before the mark are equal; None: not known
    after: bool | None = None  # whether those of the file are
    problem: str = ""  # what does not fit; "" for nothing


@dataclass(frozen=True)
class Verdict:
    """The verdict about a file."""

    name: str
    origin: Origin
    text: str  # one line
    problems: list[str] = field(default_factory=list)  # what does not fit together
    facts: Mapping[str, Any] = field(default_factory=dict)  # plain data, for JSON

    @property
    def kind(self) -> str:
        """Its origin, or "problem" where something does not fit."""
        return "problem" if self.problems else self.origin

    @property
    def line(self) -> str:
        """The verdict with the name of the file."""
        return f"{self.name}: {self.text}"


def record_of(parsed: Parsed) -> Record | None:
    """Returns the record to go by: what is signed and not broken comes first."""
    signature = parsed.signature
    if signature.record and signature.state in ("trusted", "valid"):
        return signature.record
    return parsed.records[chosen(parsed.records)] if parsed.records else signature.record


def agrees(mark: Mark, record: Record | None) -> bool | None:
    """Whether the mark names the run of the record; None where one of them names none."""
    if not mark.found or mark.tag is None or not mark.tag_bits or record is None:
        return None
    unknown = _TAG_BITS - mark.tag_bits
    return mark.tag >> unknown == run_tag(record) >> unknown
