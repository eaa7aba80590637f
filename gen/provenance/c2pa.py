"""Signs images by C2PA (https://c2pa.org): PNG, JPEG, WebP and GIF files. Needs the extra `provenance`.

A signature says who states how an image was made, and that it was not changed since; not that the statement is true.
Signing works without a network: no thumbnail is added, nothing is fetched, and time stamps are got only where a time
stamp authority is named.
"""

from __future__ import annotations

import importlib.util
import io
import logging
import os
import stat
import threading
import urllib.parse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from gen.errors import InputError
from gen.files import printable
from gen.provenance.c2pa_manifest import ingredient, manifest
from gen.provenance.c2pa_read import FORMATS, Signature, format_of, read, settings
from gen.provenance.certificates import INSTALL, Credentials, load_credentials
from gen.provenance.record import Record

if TYPE_CHECKING:
    import c2pa

CERTIFICATE, PRIVATE_KEY = "GEN_C2PA_CERTIFICATE", "GEN_C2PA_PRIVATE_KEY"
__all__ = ["Signature", "Signer", "available", "can_sign", "read", "sign", "signer", "signer_from_environment"]


class Signer:
    """Certificates and the private key that sign; made by `signer`. It may be used by several threads.

    A process that is forked makes its own native part; to another process it cannot be sent, as the key would be.
    """

    def __init__(self, credentials: Credentials, tsa: str | None = None) -> None:
        self.name, self.tsa = credentials.name, tsa
        self._credentials = credentials
        self._contexts: dict[int, c2pa.Context] = {}  # by process: the native part does not outlive a fork
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        return f"Signer({self.name!r})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a signer holds a private key, and is not pickled")

    @property
    def context(self) -> c2pa.Context:
        """The library's settings with the signer, for this process."""
        import c2pa

        with self._lock:
            found = self._contexts.get(os.getpid())
            if found is None:
                chain, key = self._credentials.chain.encode(), self._credentials.key
                info = c2pa.C2paSignerInfo(self._credentials.algorithm, chain, key, self.tsa)
                found = c2pa.Context.from_dict(settings(), signer=c2pa.Signer.from_info(info))
                self._contexts[os.getpid()] = found
            return found


def available() -> bool:
    """Says whether the extra `provenance` is installed."""
    return all(importlib.util.find_spec(name) for name in ("c2pa", "cryptography"))


def can_sign(format: str) -> bool:
    """Says whether files of a format (as Pillow names it) can be signed."""
    return format.upper() in FORMATS


def signer(certificate: str | Path, private_key: str | Path, *, tsa: str | None = None) -> Signer:
    """Makes a signer of a certificate with its chain and a private key, PEM files; everything is checked.

    tsa: address of a time stamp authority (RFC 3161), which is asked for each file. Raises InputError.
    """
    if not available():
        raise InputError(f"signing needs c2pa-python and cryptography: {INSTALL}")
    made = Signer(load_credentials(certificate, private_key), _checked_tsa(tsa))
    if stat.S_IMODE(os.stat(private_key).st_mode) & 0o077:
        logging.warning("%s: others can read this private key; chmod 600 it", printable(private_key))
    try:
        _ = made.context
    except Exception as error:  # which our checks should have found
        raise InputError(f"{printable(certificate)}: C2PA does not accept it ({_told(error)})") from None
    return made


def signer_from_environment(*, tsa: str | None = None) -> Signer | None:
    """Makes the signer that $GEN_C2PA_CERTIFICATE and $GEN_C2PA_PRIVATE_KEY name; None where neither is set.

    Raises InputError.
    """
    given = {name: os.environ.get(name, "") for name in (CERTIFICATE, PRIVATE_KEY)}
    if not any(given.values()):
        return None
    for name, other in ((CERTIFICATE, PRIVATE_KEY), (PRIVATE_KEY, CERTIFICATE)):
        if not given[name]:
            raise InputError(f"${other} is set and ${name} is not; set both, to PEM files, or neither")
    return signer(given[CERTIFICATE], given[PRIVATE_KEY], tsa=tsa)


def sign(
    content: bytes,
    format: str,
    record: Record,
    signer: Signer,
    *,
    mark: Mapping[str, Any] | None = None,
    sources: Sequence[bytes] = (),
    training: bool | None = None,
) -> bytes:
    """Returns an image file with a signature in it; its pixels and other metadata stay as they are.

    content: the file, of Pillow's `format`. record: how it was made, which becomes a part of the signature. mark: the
    watermark in it, {"algorithm", "key" (its name), "tag"}. sources: the files that it was made from: one is what was
    edited; its own signature, if it has one, is kept with the new one. training: whether others may train on the
    image, if that is to be said. Raises InputError.
    """
    import c2pa

    if not can_sign(format):
        raise InputError(f"a {printable(format)} file cannot be signed; allowed: {', '.join(FORMATS)}")
    definition = manifest(record, sources=len(sources), mark=mark, training=training)
    mime, signed = FORMATS[format.upper()], io.BytesIO()
    try:
        with c2pa.Builder(definition, signer.context) as builder:
            for number, source in enumerate(sources):
                _add(builder, ingredient(number, len(sources)), source)
            builder.sign(mime, io.BytesIO(content), signed)
    except c2pa.C2paError as error:
        by = f"the time stamp authority {printable(signer.tsa)} gave no time stamp" if signer.tsa else "C2PA refuses it"
        raise InputError(f"cannot sign: {by} ({_told(error)})") from None
    return signed.getvalue()


def _add(builder: c2pa.Builder, definition: dict[str, str], source: bytes) -> None:
    """Adds a source with its signature; of one whose signature cannot be parsed, the file alone."""
    import c2pa

    try:
        builder.add_ingredient(definition, format_of(source) or "application/octet-stream", io.BytesIO(source))
    except c2pa.C2paError:
        builder.add_ingredient(definition, "application/octet-stream", io.BytesIO(source))


def _checked_tsa(tsa: str | None) -> str | None:
    """Returns the address of a time stamp authority. Raises InputError."""
    if tsa is None:
        return None
    try:
        parts = urllib.parse.urlsplit(tsa)
        sound = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        sound = False
    if not sound or not tsa.isascii() or not tsa.isprintable() or " " in tsa:
        raise InputError(
            f"time stamp authority '{printable(tsa)}': not an address; needed: http://HOST or https://HOST"
        )
    return tsa


def _told(error: Exception) -> str:
    return printable(" ".join(str(error).split()), longest=200)
