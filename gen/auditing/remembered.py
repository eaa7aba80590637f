"""Tells the data room of an audit, for training to find."""

from __future__ import annotations

from gen.auditing.results import Audit
from gen.data import audited


def remember(audit: Audit) -> None:
    """Remembers that a set was audited, with what it came to."""
    facts = {"digest": audit.digest, "verdict": audit.verdict, "counts": audit.counts, "fast": audit.fast}
    audited.remember(audit.content, facts)
