"""Loads the authorities that a person trusts to vouch for signers, and looks at the way to one."""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from gen.errors import InputError
from gen.files import printable, read_regular
from gen.provenance.certificates import common_name, is_authority, issued, load_certificates

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

_MOST_FILES, _SUFFIXES = 1000, (".pem", ".crt", ".cer")  # of a folder


def load_trust(paths: Sequence[str | Path]) -> str:
    """Returns the certificates of authorities in PEM files, and in the files of folders, as PEM. Raises InputError."""
    return "".join(_anchors(Path(path)) for path in paths)


def way_problem(chain: Sequence[Certificate], anchors: str) -> str:
    """Says what is wrong with the way from a signer to an authority of `anchors`, PEM; "" where nothing is.

    The library that reads signatures finds the way, but not how many authorities may stand below one (RFC 5280,
    4.2.1.9). chain: the signer's certificate, and those of authorities.
    """
    from cryptography import x509

    known = _parsed(anchors)
    at, between = chain[0], 0
    while between < len(chain) and at not in known:
        issuer = next((one for one in (*known, *chain[1:]) if issued(one, at)), None)
        if issuer is None:
            break
        constraints = issuer.extensions.get_extension_for_class(x509.BasicConstraints).value
        if constraints.path_length is not None and between > constraints.path_length:
            return f"is too far below the authority '{common_name(issuer)}', which allows fewer between them"
        at, between = issuer, between + 1
    return ""


@functools.lru_cache(maxsize=8)
def _parsed(anchors: str) -> tuple[Certificate, ...]:
    from cryptography import x509

    return tuple(x509.load_pem_x509_certificates(anchors.encode())) if anchors else ()


def _anchors(path: Path) -> str:
    if path.is_dir():
        files = sorted(file for file in path.iterdir() if file.suffix.lower() in _SUFFIXES and _is_certificate(file))
        found = "".join(_authorities(str(file), os.stat(file).st_mtime_ns) for file in files[:_MOST_FILES])
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


@functools.lru_cache(maxsize=_MOST_FILES)
def _authorities(file: str, changed: int) -> str:
    from cryptography.hazmat.primitives.serialization import Encoding

    found = [one for one in load_certificates(file) if is_authority(one)]
    return "".join(one.public_bytes(Encoding.PEM).decode() for one in found)
