"""Loads the certificate and the private key that sign, and says in one line what is wrong with them.

What is allowed is what the C2PA specification asks of a signer (version 2.2, section 14.5, on the profiles of RFC
5280): an end-entity certificate of version 3 whose usage is signing content, issued by an authority, with a key of one
of seven algorithms. The library that signs refuses most others too, but says no more than "the certificate is invalid".

Keys stay in memory: they are in no message, no `repr` and no pickle.
"""

from __future__ import annotations

import datetime
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from gen.errors import InputError
from gen.files import printable, read_regular

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

INSTALL = "pip install 'gen-images[provenance]'"
PASSPHRASE = "GEN_C2PA_PASSPHRASE"
TEST_CHAIN = "for tests, python -m gen.provenance init-test-ca DIR makes one"
SIGNING_USES = {  # extended key usages, RFC 5280 4.2.1.12, RFC 9336 and C2PA 14.5
    "1.3.6.1.5.5.7.3.4": "emailProtection",
    "1.3.6.1.5.5.7.3.36": "documentSigning",
    "1.3.6.1.4.1.62558.2.1": "C2PA claim signing",
}
_ALONE = {"1.3.6.1.5.5.7.3.8": "timeStamping", "1.3.6.1.5.5.7.3.9": "OCSPSigning"}  # never together with another use
_ANY = "2.5.29.37.0"
_USES = SIGNING_USES | _ALONE | {_ANY: "any", "1.3.6.1.5.5.7.3.1": "serverAuth", "1.3.6.1.5.5.7.3.2": "clientAuth"}
_USES |= {"1.3.6.1.5.5.7.3.3": "codeSigning"}
_CURVES = {"secp256r1": "es256", "secp384r1": "es384", "secp521r1": "es512"}
_KEYS = "allowed: EC P-256, P-384 or P-521, Ed25519, RSA of at least 2,048 bits"
_LEAST_RSA, _MOST_RSA = 2048, 16_384  # bits
_LONGEST = 2**20  # bytes of a file of certificates or keys
_PEM = rb"-----BEGIN ([A-Z0-9 ]*%s)-----.*?-----END \1-----"


@dataclass(frozen=True)
class Credentials:
    """What signs: certificates, the signer's first, as PEM; the private key, PKCS #8 as PEM; and C2PA's algorithm."""

    chain: str = field(repr=False)
    key: bytes = field(repr=False)
    algorithm: str
    name: str

    def __reduce__(self) -> NoReturn:
        raise TypeError("a private key is not pickled")


def load_credentials(certificate: str | Path, private_key: str | Path) -> Credentials:
    """Loads and checks the certificates and the private key of a signer, both PEM; they may be in one file.

    certificate: the signer's certificate and those of its authorities, in any order; the root may be left out.
    private_key: an encrypted one is opened by $GEN_C2PA_PASSPHRASE. Raises InputError.
    """
    from cryptography.hazmat.primitives import serialization as pem

    key, certificates = _load_key(Path(private_key)), load_certificates(certificate)
    shown = printable(certificate)
    algorithm = _algorithm(key.public_key())
    if not algorithm:
        raise InputError(f"{printable(private_key)}: C2PA has no signatures by {_described(key.public_key())}; {_KEYS}")
    signer = next((c for c in certificates if _same_key(c, key)), None)
    if signer is None:
        raise InputError(
            f"{printable(private_key)}: the private key does not belong to a certificate in {shown} "
            f"('{common_name(certificates[0])}'); give the two that were made together"
        )
    now = datetime.datetime.now(datetime.UTC)
    if problem := signer_problem(signer) or _date_problem(signer, now):
        raise InputError(f"{shown}: the certificate '{common_name(signer)}' {problem}")
    chain = _chain(signer, certificates, now, shown)
    plain = (pem.Encoding.PEM, pem.PrivateFormat.PKCS8, pem.NoEncryption())
    text = "".join(one.public_bytes(pem.Encoding.PEM).decode() for one in chain)
    return Credentials(text, key.private_bytes(*plain), algorithm, common_name(signer))


def load_certificates(path: str | Path) -> list[Certificate]:
    """Loads all certificates of a PEM file, at least one. Raises InputError."""
    from cryptography import x509

    content, shown = _read(Path(path), "certificate"), printable(path)
    if not re.search(_PEM % b"CERTIFICATE", content, re.DOTALL):
        if re.search(_PEM % b"PRIVATE KEY", content, re.DOTALL):
            raise InputError(f"{shown}: holds a private key and no certificate; give the certificate here")
        raise InputError(f"{shown}: no PEM certificate; openssl x509 -inform DER and openssl pkcs12 convert others")
    try:
        found = x509.load_pem_x509_certificates(content)
        for one in found:
            _ = one.extensions, one.subject, one.issuer, one.public_key(), one.version  # which are parsed only now
    except Exception as error:  # several kinds, of what is malformed or unknown
        raise InputError(f"{shown}: a certificate that cannot be read ({printable(error)})") from None
    return found


def signer_problem(certificate: Certificate) -> str:
    """Says why C2PA does not allow a certificate to sign content, whatever the date; "" where it does."""
    from cryptography import x509

    key = certificate.public_key()
    if certificate.version != x509.Version.v3:
        return "is of X.509 version 1; needed: version 3"
    if _is_self_signed(certificate):
        return f"is self-signed, so that it vouches for itself; needed: one that an authority issued ({TEST_CHAIN})"
    if not _algorithm(key):
        return f"has a key of {_described(key)}; {_KEYS}"
    hashed = certificate.signature_hash_algorithm
    if hashed is not None and hashed.name not in ("sha256", "sha384", "sha512"):
        return f"is itself signed by way of {hashed.name}, which can be forged; needed: SHA-256, SHA-384 or SHA-512"
    if is_authority(certificate):
        return "is an authority's, which signs certificates; needed: the end-entity certificate that it issued"
    usage = _extension(certificate, "KeyUsage")
    if usage is None or not usage.digital_signature or usage.key_cert_sign:
        return "is not for signing content; needed: a key usage with digitalSignature and without keyCertSign"
    if _extension(certificate, "AuthorityKeyIdentifier") is None:
        return "does not identify its authority's key; needed: the extension authorityKeyIdentifier"
    return _use_problem(certificate)


def _use_problem(certificate: Certificate) -> str:
    wanted = f"needed: an extended key usage with {' or '.join(SIGNING_USES.values())}"
    extended = _extension(certificate, "ExtendedKeyUsage")
    if extended is None:
        return f"says of no use that it is for; {wanted}"
    uses = [use.dotted_string for use in extended]
    told = ", ".join(_USES.get(use, use) for use in uses)
    if _ANY in uses:
        return f"is for any use, which C2PA does not allow; {wanted}"
    if not set(uses) & set(SIGNING_USES):
        return f"is for {told} only; {wanted}"
    if alone := [name for use, name in _ALONE.items() if use in uses]:
        return f"is for {told}, and {alone[0]} is allowed only alone; {wanted}"
    return ""


def _date_problem(certificate: Certificate, now: datetime.datetime) -> str:
    if now > certificate.not_valid_after_utc:
        return f"expired on {certificate.not_valid_after_utc:%Y-%m-%d %H:%M} UTC; renew it at its authority"
    if now < certificate.not_valid_before_utc:
        begins = f"{certificate.not_valid_before_utc:%Y-%m-%d %H:%M}"
        return f"is not valid before {begins} UTC; wait, or set the clock of this machine ({now:%Y-%m-%d %H:%M} UTC)"
    return ""


def _chain(
    signer: Certificate, certificates: Sequence[Certificate], now: datetime.datetime, shown: str
) -> list[Certificate]:
    """Orders certificates from the signer's upward, without the root, which a reader has. Raises InputError."""
    chain = [signer]
    while len(chain) <= len(certificates) and not _is_self_signed(chain[-1]):
        issuer = next((c for c in certificates if issued(c, chain[-1])), None)
        if issuer is None:
            break
        if problem := _authority_problem(issuer) or _date_problem(issuer, now):
            raise InputError(f"{shown}: the certificate '{common_name(issuer)}' {problem}")
        chain.append(issuer)
    if len(chain) == 1:
        raise InputError(
            f"{shown}: the certificate of '{printable(signer.issuer.rfc4514_string())}', which issued "
            f"'{common_name(signer)}', is missing, so that no reader finds the way to a root; append it to the file"
        )
    return [one for one in chain if not _is_self_signed(one)]


def _authority_problem(certificate: Certificate) -> str:
    usage = _extension(certificate, "KeyUsage")
    if is_authority(certificate) and (usage is None or usage.key_cert_sign):
        return ""
    return "issued another, but is no authority's; needed: basicConstraints CA:TRUE and the key usage keyCertSign"


def is_authority(certificate: Certificate) -> bool:
    """Says whether a certificate is that of an authority, which may issue others."""
    constraints = _extension(certificate, "BasicConstraints")
    return constraints is not None and bool(constraints.ca)


def common_name(certificate: Certificate, *, issuer: bool = False) -> str:
    """Returns the common name of whom a certificate is (or of its issuer), else the whole name; printable."""
    from cryptography.x509.oid import NameOID

    name = certificate.issuer if issuer else certificate.subject
    found = name.get_attributes_for_oid(NameOID.COMMON_NAME)
    return printable(found[0].value if found else name.rfc4514_string(), longest=100)


def _read(path: Path, what: str) -> bytes:
    try:
        return read_regular(path, most=_LONGEST)
    except OSError as error:
        raise InputError(f"{printable(path)}: cannot read the {what} ({error.strerror or 'no such file'})") from None


def _load_key(path: Path) -> Any:
    """Loads a private key. No message repeats anything of the file, and no exception of a parser is chained."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    content, shown = _read(path, "private key"), printable(path)
    block = re.search(_PEM % b"PRIVATE KEY", content, re.DOTALL)
    if block is None:
        holds = "a certificate and no private key" if b"BEGIN CERTIFICATE" in content else "no PEM private key"
        raise InputError(f"{shown}: holds {holds}; give the file with '-----BEGIN PRIVATE KEY-----'")
    secret = os.environ.get(PASSPHRASE)
    encrypted = b"ENCRYPTED" in block[0][:200]
    if encrypted and not secret:
        raise InputError(f"{shown}: the private key is encrypted; set ${PASSPHRASE} to its passphrase")
    try:
        return load_pem_private_key(block[0], secret.encode() if encrypted and secret else None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        told = f"${PASSPHRASE} does not open it, or it is damaged" if encrypted else f"damaged, or unknown; {_KEYS}"
    raise InputError(f"{shown}: a private key that cannot be read: {told}")


def _algorithm(key: Any) -> str:
    """Names C2PA's algorithm for a public key; "" where there is none."""
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

    if isinstance(key, ec.EllipticCurvePublicKey):
        return _CURVES.get(key.curve.name, "")
    if isinstance(key, rsa.RSAPublicKey):
        return "ps256" if _LEAST_RSA <= key.key_size <= _MOST_RSA else ""
    return "ed25519" if isinstance(key, ed25519.Ed25519PublicKey) else ""


def _described(key: Any) -> str:
    name = type(key).__name__.removesuffix("PublicKey").removeprefix("_")
    size = f" {key.key_size:,} bits" if hasattr(key, "key_size") else ""
    return f"EC {key.curve.name}" if hasattr(key, "curve") else f"{name}{size}"


def _same_key(certificate: Certificate, key: Any) -> bool:
    return bool(certificate.public_key() == key.public_key())


def _is_self_signed(certificate: Certificate) -> bool:
    return certificate.issuer == certificate.subject and issued(certificate, certificate)


def issued(issuer: Certificate, certificate: Certificate) -> bool:
    """Says whether a certificate is signed by another, and names it."""
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm

    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def _extension(certificate: Certificate, name: str) -> Any:
    from cryptography import x509

    try:
        return certificate.extensions.get_extension_for_class(getattr(x509, name)).value
    except x509.ExtensionNotFound:
        return None
