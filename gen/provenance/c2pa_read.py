"""Reads the C2PA signature of an image file: whether it holds, whose it is, and what it says.

"trusted" is only what an authority vouches for whom the caller names; a signature that holds but that nobody known
vouches for is "valid". Nothing is fetched, and no settings but those here are used. What a signature says is text of
strangers: it comes back printable and cut.
"""

from __future__ import annotations

import contextlib
import functools
import io
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from gen.errors import InputError
from gen.files import printable, read_regular
from gen.provenance.c2pa_manifest import RECORD_LABEL, source_type_term
from gen.provenance.certificates import INSTALL, SIGNING_USES, is_authority, load_certificates
from gen.provenance.record import PREFIX, Record

if TYPE_CHECKING:
    import c2pa

FORMATS = {"PNG": "image/png", "JPEG": "image/jpeg", "WEBP": "image/webp", "GIF": "image/gif"}
_MAGIC = {b"\x89PNG\r\n\x1a\n": "PNG", b"\xff\xd8\xff": "JPEG", b"GIF8": "GIF"}
_LONGEST, _MOST = 200, 20  # characters of a text; actions and problems that are told
_LONGEST_RECORD = 100_000  # characters of a text in a record
_MOST_TRUST, _SUFFIXES = 1000, (".pem", ".crt", ".cer")  # files of a folder of authorities
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
    "signingCredential.expired": "the signer's certificate had expired",
    "signingCredential.ocsp.revoked": "the signer's certificate was revoked",
    "timeStamp.mismatch": "the time stamp is of something else",
    "timeStamp.outsideValidity": "the time stamp is of a time when its certificate was not valid",
    "timeStamp.untrusted": "who stamped the time is not on the trust list",
    "algorithm.unsupported": "it was signed by an algorithm that is not allowed",
    "ingredient.hashedURI.mismatch": "what it says of a source was changed after it was signed",
    "ingredient.manifest.mismatch": "the signature of a source was changed after it was signed",
    "ingredient.manifest.missing": "the signature of a source is missing",
}
_WITHOUT_HARM = ("signingCredential.untrusted", "timeStamp.untrusted")


@dataclass(frozen=True)
class Signature:
    """What there is to say of the signature of a file; all texts are printable."""

    state: Literal["trusted", "valid", "broken", "absent"]
    signer: str = ""  # the common name in the certificate
    issuer: str = ""  # who issued the certificate, or the signer's organization
    time: str | None = None  # ISO, from a time stamp
    source_type: str | None = None  # IPTC's term, such as trainedAlgorithmicMedia
    record: Record | None = None
    actions: list[str] = field(default_factory=list)  # such as c2pa.created
    problems: list[str] = field(default_factory=list)  # each a plain line


def settings(anchors: str = "") -> dict[str, Any]:
    """Returns the settings of the library: nothing from a network, no thumbnails, and whom to trust (PEM)."""
    return {
        "version": 1,
        "trust": {"trust_anchors": anchors or None, "trust_config": "\n".join(SIGNING_USES)},
        "verify": {"verify_trust": True, "remote_manifest_fetch": False, "ocsp_fetch": False},
        "builder": {"thumbnail": {"enabled": False}},
        "core": {"allowed_network_hosts": [], "max_decompressed_manifest_size_in_mb": 16},
    }


def format_of(content: bytes) -> str | None:
    """Returns the media type of a file that can be signed, by its first bytes; None for others."""
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return FORMATS["WEBP"]
    return next((FORMATS[name] for magic, name in _MAGIC.items() if content.startswith(magic)), None)


def read(content: bytes, format: str | None = None, *, trust: Sequence[str | Path] = ()) -> Signature:
    """Reads the signature of an image file; what cannot be parsed is "broken", with a line that says so.

    format: as Pillow names it; None: by the first bytes. trust: PEM files of authorities, or folders of them; without
    any, no signature is trusted. Raises InputError for files of `trust` that cannot be read, and without the extra.
    """
    try:
        import c2pa
    except ImportError:
        raise InputError(f"signatures need c2pa-python and cryptography: {INSTALL}") from None
    context = _context(os.getpid(), load_trust(trust))
    mime = FORMATS.get((format or "").upper()) or format_of(content)
    if mime is None:
        return Signature("absent", problems=["C2PA signatures are read in PNG, JPEG, WebP and GIF files only"])
    try:
        with c2pa.Reader(mime, io.BytesIO(content), context=context) as reader:
            state, found = reader.get_validation_state(), json.loads(reader.json())
    except c2pa.C2paError.ManifestNotFound:
        return Signature("absent")
    except Exception as error:  # the library's own, and of JSON that it wrote
        return _unreadable(error)
    return _parse(str(state), found)


def load_trust(paths: Sequence[str | Path]) -> str:
    """Returns the certificates of authorities in PEM files, and in the files of folders, as PEM. Raises InputError."""
    return "".join(_anchors(Path(path)) for path in paths)


def _anchors(path: Path) -> str:
    if path.is_dir():
        files = sorted(file for file in path.iterdir() if file.suffix.lower() in _SUFFIXES and _is_certificate(file))
        found = "".join(_authorities(str(file), os.stat(file).st_mtime_ns) for file in files[:_MOST_TRUST])
    elif path.exists():
        found = _authorities(str(path), os.stat(path).st_mtime_ns)
    else:
        raise InputError(f"{printable(path)}: no such file of trusted authorities; needed: a PEM file or a folder")
    if not found:
        raise InputError(
            f"{printable(path)}: no certificate of an authority (CA:TRUE); name the root that vouches for the signers"
        )
    return found


def _is_certificate(file: Path) -> bool:
    """Says whether a file of a folder is one of certificates: a private key may lie beside them."""
    with contextlib.suppress(InputError, OSError):
        return b"-----BEGIN CERTIFICATE" in read_regular(file, most=2**20)
    return False


@functools.lru_cache(maxsize=_MOST_TRUST)
def _authorities(file: str, changed: int) -> str:
    from cryptography.hazmat.primitives.serialization import Encoding

    found = [one for one in load_certificates(file) if is_authority(one)]
    return "".join(one.public_bytes(Encoding.PEM).decode() for one in found)


@functools.lru_cache(maxsize=8)
def _context(process: int, anchors: str) -> c2pa.Context:
    import c2pa

    return c2pa.Context.from_dict(settings(anchors))


def _unreadable(error: Exception) -> Signature:
    told = printable(" ".join(str(error).split()), longest=_LONGEST)
    if told.startswith("Remote:"):
        return Signature("absent", problems=["it names a signature elsewhere, which is not fetched"])
    return Signature("broken", problems=[f"the signature cannot be read ({told})"])


def _parse(state: str, found: Mapping[str, Any]) -> Signature:
    """Turns the library's report, whose texts are a stranger's, into a Signature."""
    active = _dict(_dict(found.get("manifests")).get(str(found.get("active_manifest"))))
    by, assertions = _dict(active.get("signature_info")), _list(active.get("assertions"))
    data = {str(one.get("label")): _dict(one.get("data")) for one in map(_dict, assertions)}
    actions = [
        _dict(action)
        for label, one in data.items()
        if label.startswith("c2pa.actions")
        for action in _list(one.get("actions"))
    ]
    problems = list(_problems(found))
    types = [action["digitalSourceType"] for action in actions if "digitalSourceType" in action]
    terms = [source_type_term(one) for one in types]
    problems += [
        f"it names a digital source type that IPTC does not list: {_text(one)}"
        for one, term in zip(types, terms, strict=True)
        if term is None
    ]
    if state not in ("Trusted", "Valid"):
        problems = problems or ["the signature does not hold"]
    return Signature(
        {"Trusted": "trusted", "Valid": "valid"}.get(state, "broken"),  # type: ignore[arg-type]
        signer=_text(by.get("common_name")),
        issuer=_text(by.get("issuer")),
        time=_text(by.get("time")) or None,
        source_type=next((term for term in terms if term), None),
        record=_record(data.get(RECORD_LABEL)),
        actions=[_text(action.get("action")) for action in actions[:_MOST]],
        problems=list(dict.fromkeys(problems))[:_MOST],
    )


def _problems(found: Mapping[str, Any]) -> Iterator[str]:
    results = _dict(found.get("validation_results"))
    for status in map(_dict, _list(_dict(results.get("activeManifest")).get("failure"))):
        yield _problem(status)
    for delta in map(_dict, _list(results.get("ingredientDeltas"))):
        for status in map(_dict, _list(_dict(delta.get("validationDeltas")).get("failure"))):
            yield f"of a source: {_problem(status)}"


def _problem(status: Mapping[str, Any]) -> str:
    code = _text(status.get("code"))
    return _PROBLEMS.get(code) or f"{code} ({_text(status.get('explanation'))})"


def _record(found: Any) -> Record | None:
    """Returns the entries of a record that can be some; None where there are none."""
    plain = {str(key): value for key, value in _dict(found).items() if str(key).startswith(PREFIX)}
    plain = {key: value for key, value in plain.items() if isinstance(value, str | int | float)}
    return {key: value for key, value in plain.items() if len(str(value)) <= _LONGEST_RECORD} or None


def _text(value: Any) -> str:
    return printable(value, longest=_LONGEST) if isinstance(value, str) else ""


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
