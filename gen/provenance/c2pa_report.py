"""Turns what the library reports of a C2PA signature into plain words: its state, who signed, what is wrong.

All texts of a signature are a stranger's: they come back printable and cut.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from gen.files import printable
from gen.provenance.c2pa_manifest import RECORD_LABEL, source_type_term
from gen.provenance.reading import plain_record
from gen.provenance.record import Record

_LONGEST, _MOST = 200, 20  # characters of a text; actions and problems that are told
_PROBLEMS = {
    "assertion.dataHash.mismatch": "the picture or its metadata was changed after it was signed",
    "assertion.boxesHash.mismatch": "the picture or its metadata was changed after it was signed",
    "assertion.bmffHash.mismatch": "the picture or its metadata was changed after it was signed",
    "assertion.hashedURI.mismatch": "what the signature says was changed after it was signed",
    "assertion.missing": "a part of what was signed is missing",
    "claim.missing": "what was signed is missing",
    "claim.hardBindings.missing": "the signature is not bound to the picture",
    "claimSignature.missing": "the signature itself is missing",
    "claimSignature.mismatch": "the signature does not fit to what it signs: it was changed, or made with another key",
    "claimSignature.outsideValidity": "it was signed when the certificate was not valid, or no time stamp shows when",
    "signingCredential.untrusted": "the signer is not on the trust list",
    "signingCredential.invalid": "the signer's certificate is not one for signing content",
    "signingCredential.expired": "the signer's certificate had expired, or was not valid yet",
    "signingCredential.ocsp.revoked": "the signer's certificate was revoked",
    "timeStamp.mismatch": "the time stamp is of something else",
    "timeStamp.outsideValidity": "the time stamp is of a time when its certificate was not valid",
    "timeStamp.untrusted": "who stamped the time is not on the trust list",
    "algorithm.unsupported": "it was signed by an algorithm that is not allowed",
    "ingredient.hashedURI.mismatch": "what it says of a source was changed after it was signed",
    "ingredient.manifest.mismatch": "the signature of a source was changed after it was signed",
    "ingredient.manifest.missing": "the signature of a source is missing",
}
_UNTRUSTED = "signingCredential.untrusted"
UNKNOWN_SIGNER = _PROBLEMS[_UNTRUSTED]
State = Literal["trusted", "valid", "broken", "absent"]
HOLDS: dict[str, State] = {"Trusted": "trusted", "Valid": "valid"}


@dataclass(frozen=True)
class Signature:
    """What there is to say of the signature of a file; all texts are printable."""

    state: State
    signer: str = ""  # the common name in the certificate
    issuer: str = ""  # who issued the certificate, or the signer's organization
    time: str | None = None  # ISO, from a time stamp of an authority that is trusted
    source_type: str | None = None  # IPTC's term, such as trainedAlgorithmicMedia
    record: Record | None = None
    actions: list[str] = field(default_factory=list)  # such as c2pa.created
    problems: list[str] = field(default_factory=list)  # each a plain line


def parse_report(state: str, found: Mapping[str, Any]) -> Signature:
    """Turns the library's report, whose texts are a stranger's, into a Signature."""
    active = as_dict(as_dict(found.get("manifests")).get(str(found.get("active_manifest"))))
    by, assertions = as_dict(active.get("signature_info")), as_list(active.get("assertions"))
    data = {str(one.get("label")): as_dict(one.get("data")) for one in map(as_dict, assertions)}
    actions = [
        as_dict(action)
        for label, one in data.items()
        if label.startswith("c2pa.actions")
        for action in as_list(one.get("actions"))
    ]
    time, problems = _time(found, _text(by.get("time")))
    problems = [*_problems(found, active), *problems]
    types = [action["digitalSourceType"] for action in actions if "digitalSourceType" in action]
    terms = [source_type_term(one) for one in types]
    problems += [
        f"it names a digital source type that IPTC does not list: {_text(one)}"
        for one, term in zip(types, terms, strict=True)
        if term is None
    ]
    if state not in HOLDS:
        problems = problems or ["the signature does not hold"]
    return Signature(
        HOLDS.get(state, "broken"),
        signer=_text(by.get("common_name")),
        issuer=_text(by.get("issuer")),
        time=time,
        source_type=next((term for term in terms if term), None),
        record=plain_record(data.get(RECORD_LABEL)),
        actions=[_text(action.get("action")) for action in actions[:_MOST]],
        problems=list(dict.fromkeys(problems))[:_MOST],
    )


def _problems(found: Mapping[str, Any], active: Mapping[str, Any]) -> Iterator[str]:
    results = as_dict(found.get("validation_results"))
    of_certificate = codes(found, "failure") & {"signingCredential.expired", "signingCredential.invalid"}
    for status in _statuses(results.get("activeManifest"), "failure"):
        if not (of_certificate and status.get("code") == _UNTRUSTED):  # it leads to no authority: one line is enough
            yield _problem(status)
    for delta in map(as_dict, as_list(results.get("ingredientDeltas"))):
        for status in _statuses(delta.get("validationDeltas"), "failure"):
            yield f"of a source, {_problem(status)}"
    for source in map(as_dict, as_list(active.get("ingredients"))):  # what was found when it was taken in
        for status in _statuses(as_dict(source.get("validation_results")).get("activeManifest"), "failure"):
            if status.get("code") != _UNTRUSTED:  # then nobody was asked whom to trust
                yield f"of a source, {_problem(status)}"


def codes(found: Mapping[str, Any], kind: str) -> set[str]:
    """Returns what the library says of the active manifest in its codes; kind: success, informational, failure."""
    results = as_dict(found.get("validation_results")).get("activeManifest")
    return {str(status.get("code")) for status in _statuses(results, kind)}


def _statuses(results: Any, kind: str) -> list[dict[str, Any]]:
    return [as_dict(status) for status in as_list(as_dict(results).get(kind))]


def _problem(status: Mapping[str, Any]) -> str:
    code = _text(status.get("code"))
    return _PROBLEMS.get(code) or f"{code} ({_text(status.get('explanation'))})"


def _time(found: Mapping[str, Any], told: str) -> tuple[str | None, list[str]]:
    """Returns the time of a time stamp where its authority is trusted, else a line about it."""
    if not told or "timeStamp.trusted" in codes(found, "success") | codes(found, "informational"):
        return told or None, []
    return None, [f"a time stamp says {told}, but who stamped it is not on the trust list"]


def _text(value: Any) -> str:
    return printable(value, longest=_LONGEST) if isinstance(value, str) else ""


def as_dict(value: Any) -> dict[str, Any]:
    """Returns the value if it is a dict, else an empty one."""
    return value if isinstance(value, dict) else {}


def as_list(value: Any) -> list[Any]:
    """Returns the value if it is a list, else an empty one."""
    return value if isinstance(value, list) else []
