"""Judges a file from its record, its signature and gen's mark, in words that a person understands.

What each proves: a *trusted* signature, that its owner signed these pixels and this record; the mark, that whoever has
the key made the picture, or one that it was made from. A record alone is plain text that anyone can copy, and so is a
signature whose signer nobody vouches for. Nothing of the three tells that an image was not generated.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gen.files import printable
from gen.provenance import Record, disagreements
from gen.verification.answers import Parsed
from gen.verification.findings import Mark, Origin, Regeneration, Verdict, agrees, record_of
from gen.verification.words import (
    CAMERA,
    LONGEST_PATH,
    MADE_BY_PROGRAMS,
    file_name,
    headline,
    mark_words,
    p_words,
    placed,
    said,
    signature_words,
    source_type_term,
    why_broken,
)

_MOST_PROBLEMS = 5  # in a line; JSON has all


def judge(parsed: Parsed, mark: Mark, again: Regeneration | None = None) -> Verdict:
    """Judges one file; again: what became of making it again. Never takes a record alone for proof."""
    name = file_name(parsed.path)
    if parsed.error:
        return _unreadable(name, parsed)
    signature, record = parsed.signature, record_of(parsed)
    problems = [*_problems(parsed, mark, record), *filter(None, [again.problem if again else ""])]
    origin = _origin(parsed, mark, record, again)
    parts = [headline(parsed, mark, record, origin)]
    parts += [text for text in (signature_words(signature), mark_words(mark, record)) if text]
    if origin == "marked" and record is None and signature.state == "absent":
        parts = [f"carries gen's mark ({p_words(mark.p_value)}){placed(mark)}", "no record, no signature"]
    if origin == "unknown":
        looked = f"no record, {signature_words(signature)}" + (
            ", no mark of this key" if mark.looked else f"; mark: {mark.note}"
        )
        parts = [f"nothing found ({looked}); this does not tell whether it was generated"]
    parts += [again.text] if again else []
    told = problems[signature.state == "broken" :]  # which stands with the signature
    parts += [f"DOES NOT FIT: {problem}" for problem in told[:_MOST_PROBLEMS]]
    parts += [f"and {len(told) - _MOST_PROBLEMS:,} more"] if len(told) > _MOST_PROBLEMS else []
    facts = _facts(parsed, mark, origin, problems)
    return Verdict(name, origin, "; ".join(parts), problems, facts | _again_facts(again))


def _unreadable(name: str, parsed: Parsed) -> Verdict:
    facts: dict[str, Any] = {
        "file": _path(parsed),
        "origin": "unreadable",
        "problems": [],
        "record": None,
        "signature": None,
    }
    facts |= {"mark": None, "error": parsed.error}
    return Verdict(name, "unreadable", f"not an image that can be read: {parsed.error}", facts=facts)


def _path(parsed: Parsed) -> str:
    return printable(parsed.path, longest=LONGEST_PATH)


def _again_facts(again: Regeneration | None) -> dict[str, Any]:
    if again is None:
        return {}
    return {"regeneration": {"equal_before_mark": again.before, "equal_after_mark": again.after, "text": again.text}}


def _origin(parsed: Parsed, mark: Mark, record: Record | None, again: Regeneration | None) -> Origin:
    if parsed.signature.state == "trusted":
        return "signed"
    if mark.found:
        return "marked"
    if again and again.after:
        return "regenerated"
    silent = record is None and parsed.signature.state == "absent" and parsed.claimed not in MADE_BY_PROGRAMS
    return "unknown" if silent else "claimed"


def _problems(parsed: Parsed, mark: Mark, record: Record | None) -> list[str]:
    """What does not fit together, in words."""
    signature, problems = parsed.signature, list[str]()
    if signature.state == "broken":
        problems.append(f"the signature is broken: {why_broken(signature)}")
    signed = {"signature": signature.record} if signature.record else {}
    problems += _differing(signed | dict(parsed.records))
    if agrees(mark, record) is False:
        problems.append("the mark names another run than the record")
    if source_type_term(signature.source_type) in CAMERA and signature.state in ("trusted", "valid"):
        against = "it carries gen's mark" if mark.found else "its record says otherwise" if record else ""
        problems += [f"the signature says that {said(signature.source_type)}, and {against}"] if against else []
    return problems


def _differing(records: Mapping[str, Record]) -> list[str]:
    """Names the fields that differ between places; not those that are missing in one, as programs lose some."""
    keys = dict.fromkeys(key for record in records.values() for key in record)
    having = ({place: {key: record[key]} for place, record in records.items() if key in record} for key in keys)
    return [line for there in having for line in disagreements(there)]


def _facts(parsed: Parsed, mark: Mark, origin: Origin, problems: Sequence[str]) -> dict[str, Any]:
    """The verdict as plain data, see gen/verify.py for what it means."""
    signature, record = parsed.signature, record_of(parsed)
    height, width = parsed.sides
    return {
        "file": _path(parsed),
        "format": parsed.format,
        "width": width,
        "height": height,
        "channels": parsed.pixels.shape[-1],
        "frames": parsed.frames,
        "origin": origin,
        "problems": list(problems),
        "record": record,
        "record_places": ["signature"] * bool(signature.record) + list(parsed.records),
        "signature": {
            "state": signature.state,
            "signer": signature.signer,
            "issuer": signature.issuer,
            "time": signature.time,
            "source_type": signature.source_type,
            "actions": list(signature.actions),
            "problems": list(signature.problems),
        },
        "mark": {
            "looked_for": mark.looked,
            "found": mark.found,
            "p_value": mark.p_value,
            "place": mark.place,
            "tag": mark.tag,
            "tag_bits": mark.tag_bits,
            "agrees_with_record": agrees(mark, record),
            "note": mark.note,
        },
    }
