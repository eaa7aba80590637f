"""Reads the C2PA signature of an image file: whether it holds, whose it is, and what it says.

"trusted" is only what an authority vouches for whom the caller names; a signature that holds but that nobody known
vouches for is "valid". Nothing is fetched, and no settings but those here are used.
"""

from __future__ import annotations

import dataclasses
import functools
import io
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gen.errors import InputError
from gen.files import printable
from gen.provenance.c2pa_report import HOLDS, Signature, as_dict, as_list, codes, parse_report
from gen.provenance.c2pa_store import Altered, check_placed, check_unsigned
from gen.provenance.certificates import INSTALL, SIGNING_USES, common_name, signer_problem
from gen.provenance.trust_list import load_trust, way_problem

if TYPE_CHECKING:
    import c2pa

FORMATS = {"PNG": "image/png", "JPEG": "image/jpeg", "WEBP": "image/webp", "GIF": "image/gif"}
_MAGIC = {b"\x89PNG\r\n\x1a\n": "PNG", b"\xff\xd8\xff": "JPEG", b"GIF8": "GIF"}
_LONGEST = 200  # characters of what the library says


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


def read(
    content: bytes, format: str | None = None, *, trust: Sequence[str | Path] = (), anchors: str | None = None
) -> Signature:
    """Reads the signature of an image file; what cannot be parsed is "broken", with a line that says so.

    format: as Pillow names it, where the first bytes do not tell. trust: PEM files of authorities, or folders of them;
    without any, no signature is trusted. anchors: what `load_trust` made of them, instead of `trust`. Raises InputError
    for files of `trust` that cannot be read, and without the extra.
    """
    try:
        import c2pa
    except ImportError:
        raise InputError(f"signatures need c2pa-python and cryptography: {INSTALL}") from None
    anchors = load_trust(trust) if anchors is None else anchors
    context = _context(os.getpid(), anchors)
    mime = format_of(content) or FORMATS.get((format or "").upper())
    if mime is None:
        return Signature("absent", problems=["C2PA signatures are read in PNG, JPEG, WebP and GIF files only"])
    try:
        with c2pa.Reader(mime, io.BytesIO(content), context=context) as reader:
            state, found = str(reader.get_validation_state()), json.loads(reader.json())
            store = _store(reader, str(found.get("active_manifest"))) if state in HOLDS else b""
    except c2pa.C2paError.ManifestNotFound:
        return Signature("absent")
    except Exception as error:  # the library's own, and of JSON that it wrote
        return _unreadable(error)
    return _checked(parse_report(state, found), found, store, content, mime, anchors)


@functools.lru_cache(maxsize=8)
def _context(process: int, anchors: str) -> c2pa.Context:
    import c2pa

    return c2pa.Context.from_dict(settings(anchors))


def _store(reader: c2pa.Reader, manifest: str) -> bytes:
    """Returns the manifest store as the library understood it."""
    store = io.BytesIO()
    reader.resource_to_stream(f"self#jumbf=/c2pa/{manifest}/c2pa.signature", store)
    return store.getvalue()


def _checked(
    signature: Signature, found: Mapping[str, Any], store: bytes, content: bytes, mime: str, anchors: str
) -> Signature:
    """Looks at a signature that holds where the library does not: see c2pa_store and trust_list."""
    from cryptography import x509

    if signature.state == "broken":
        return signature
    manifest = str(found.get("active_manifest"))
    try:
        if _by_the_library(as_dict(as_dict(found.get("manifests")).get(manifest))):
            check_placed(content, mime, store)
        beside = check_unsigned(store, manifest)
        if beside.stamped and "timeStamp.validated" not in codes(found, "success"):
            raise Altered("the time stamp was changed, or is of something else")
        chain = [x509.load_der_x509_certificate(one) for one in beside.chain]
        wrong = signer_problem(chain[0]) or (way_problem(chain, anchors) if signature.state == "trusted" else "")
    except Exception as error:  # Altered; and what cryptography raises for a certificate that it cannot parse
        return dataclasses.replace(signature, state="broken", problems=[*signature.problems, printable(error)])
    by, issuer = common_name(chain[0]), common_name(chain[0], issuer=True)
    signature = dataclasses.replace(signature, signer=by, issuer=issuer)
    if not wrong:
        return signature
    told = f"the signer's certificate {wrong.partition(';')[0]}"
    return dataclasses.replace(signature, state="valid", problems=[told, *signature.problems])


def _by_the_library(manifest: Mapping[str, Any]) -> bool:
    """Says whether the library that reads has written a manifest too, whatever its version."""
    names = [name for info in as_list(manifest.get("claim_generator_info")) for name in as_dict(info)]
    return any(name.endswith(".c2pa_rs") for name in names)


def _unreadable(error: Exception) -> Signature:
    told = printable(" ".join(str(error).split()), longest=_LONGEST)
    if told.startswith("Remote:"):
        return Signature("absent", problems=["it names a signature elsewhere, which is not fetched"])
    return Signature("broken", problems=[f"the signature cannot be read ({told})"])
