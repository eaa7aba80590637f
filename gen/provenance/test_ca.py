"""Makes a test authority: a root, an intermediate and a signer's certificate, which nobody trusts unless told to.

It is for trying out signatures. Whoever names its root in `gen.verify --trust` trusts all that its signer's key signed;
the names of the certificates say that they are a test, so that nobody takes them for more.
"""

from __future__ import annotations

import datetime
import os
from pathlib import Path
from typing import Any, NamedTuple

from gen.errors import InputError
from gen.files import printable, private_folder, storage_fault

NAMES = ("gen TEST root, not trusted by anyone", "gen TEST intermediate", "gen TEST signer, not trusted by anyone")
_ORGANIZATION = "gen TEST, proves nothing"
_DAYS = {"root": 3650, "intermediate": 1825, "signer": 825}
_FILES = ("root.pem", "certificate.pem", "private_key.pem")


class CAFiles(NamedTuple):
    """The files of a test authority; its own keys are not kept, so that it issues nothing more."""

    root: Path  # for --trust
    certificate: Path  # the signer's and the intermediate's
    private_key: Path  # mode 0600


def init_test_ca(folder: str | Path) -> CAFiles:
    """Makes a test authority in a folder. Raises InputError, rather than to replace a file, and for what fails."""
    folder = Path(folder)
    files = CAFiles(*(folder / name for name in _FILES))
    if there := [path for path in files if os.path.lexists(path)]:
        raise InputError(f"{printable(there[0])}: is there already, and is not replaced; name another folder")
    root_key, middle_key, key = make_key(), make_key(), make_key()
    root = issue(root_key, NAMES[0], days=_DAYS["root"], authority=True)
    middle = issue(middle_key, NAMES[1], (root, root_key), days=_DAYS["intermediate"], authority=True)
    signer = issue(key, NAMES[2], (middle, middle_key), days=_DAYS["signer"])
    try:
        private_folder(folder)
        for path, content in zip(files, (to_pem(root), to_pem(signer, middle), key_to_pem(key)), strict=True):
            _write_private(path, content)
    except OSError as error:
        raise InputError(f"cannot write {storage_fault(error)}") from None
    return files


def make_key() -> Any:
    """Makes a private key for ES256."""
    from cryptography.hazmat.primitives.asymmetric import ec

    return ec.generate_private_key(ec.SECP256R1())


def issue(
    key: Any,
    name: str,
    issuer: tuple[Any, Any] | None = None,
    *,
    days: float,
    authority: bool = False,
    extensions: dict[type, Any] | None = None,
) -> Any:
    """Issues a certificate for a private key, from an hour ago on.

    issuer: certificate and private key; None: self-signed. extensions: replace those of a signer (or an authority) by
    class; None leaves one out. The class `datetime` stands for the date that it begins.
    """
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ed25519
    from cryptography.x509.oid import NameOID

    parts = [(NameOID.ORGANIZATION_NAME, _ORGANIZATION), (NameOID.COMMON_NAME, name)]
    subject = x509.Name([x509.NameAttribute(*part) for part in parts])
    issuer_name, issuer_key = (issuer[0].subject, issuer[1]) if issuer else (subject, key)
    found = _extensions(key, issuer_key, authority) | (extensions or {})
    begin = found.pop(datetime.datetime, None) or _now() - datetime.timedelta(hours=1)
    builder = (
        x509.CertificateBuilder(issuer_name, subject, key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(begin + datetime.timedelta(days=days))
    )
    for kind, value in found.items():
        if value is not None:
            builder = builder.add_extension(value, critical=kind in (x509.BasicConstraints, x509.KeyUsage))
    return builder.sign(issuer_key, None if isinstance(issuer_key, ed25519.Ed25519PrivateKey) else hashes.SHA256())


def _extensions(key: Any, issuer_key: Any, authority: bool) -> dict[type, Any]:
    from cryptography import x509

    usages = "digital_signature content_commitment key_encipherment data_encipherment key_agreement key_cert_sign"
    wanted = ("key_cert_sign", "crl_sign") if authority else ("digital_signature",)
    flags = {usage: usage in wanted for usage in f"{usages} crl_sign encipher_only decipher_only".split()}
    found: dict[type, Any] = {
        x509.BasicConstraints: x509.BasicConstraints(ca=authority, path_length=None),
        x509.KeyUsage: x509.KeyUsage(**flags),
        x509.SubjectKeyIdentifier: x509.SubjectKeyIdentifier.from_public_key(key.public_key()),
        x509.AuthorityKeyIdentifier: x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()),
    }
    if not authority:
        found[x509.ExtendedKeyUsage] = x509.ExtendedKeyUsage([x509.oid.ExtendedKeyUsageOID.EMAIL_PROTECTION])
    return found


def to_pem(*certificates: Any) -> bytes:
    """Returns certificates as PEM."""
    from cryptography.hazmat.primitives.serialization import Encoding

    return b"".join(certificate.public_bytes(Encoding.PEM) for certificate in certificates)


def key_to_pem(key: Any) -> bytes:
    """Returns a private key as PEM (PKCS #8), not encrypted."""
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    return bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))


def _write_private(path: Path, content: bytes) -> None:
    """Writes a new file that only its owner may read. Raises OSError, where there is one too."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0)
    with os.fdopen(os.open(path, flags, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC).replace(microsecond=0)
