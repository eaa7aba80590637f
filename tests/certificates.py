"""Certificates and keys of every kind that may not sign, each with the words that a person must read about it."""

from __future__ import annotations

import datetime
import functools
import io
import json
import pathlib
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID as Use
from PIL import Image

from gen import provenance
from gen.provenance import c2pa, c2pa_read
from gen.provenance.test_ca import issue, key_to_pem, make_key, to_pem

NOW = datetime.datetime.now(datetime.UTC).replace(microsecond=0)
DAY = datetime.timedelta(days=1)
CLAIM_SIGNING = x509.ObjectIdentifier("1.3.6.1.4.1.62558.2.1")
DOCUMENT_SIGNING = x509.ObjectIdentifier("1.3.6.1.5.5.7.3.36")


class Authority(NamedTuple):
    """A root and an intermediate, each a certificate with its key."""

    root: tuple[Any, Any]
    middle: tuple[Any, Any]

    def sign(self, key: Any = None, *, days: float = 100, **options: Any) -> Chain:
        """Issues a signer's certificate; options as for `issue`."""
        key = key or make_key()
        return Chain((issue(key, "signer", self.middle, days=days, **options), self.middle[0]), key)


class Chain(NamedTuple):
    """Certificates, the signer's first, and a private key."""

    certificates: tuple[Any, ...]
    key: Any

    def files(self, folder: pathlib.Path) -> tuple[pathlib.Path, pathlib.Path]:
        """Writes the certificates and the key."""
        paths = folder / "certificate.pem", folder / "private_key.pem"
        paths[0].write_bytes(to_pem(*self.certificates))
        paths[1].touch(mode=0o600)
        paths[1].write_bytes(key_to_pem(self.key))
        return paths


def make_authority() -> Authority:
    """Makes an authority."""
    keys = make_key(), make_key()
    root = issue(keys[0], "root", days=100, authority=True), keys[0]
    return Authority(root, (issue(keys[1], "intermediate", root, days=100, authority=True), keys[1]))


class Kit(NamedTuple):
    """An authority, one who signs, and what to trust, PEM."""

    authority: Authority
    signer: c2pa.Signer
    anchors: str

    def file(self, format: str, record: dict[str, Any] | None = None, *, seed: int = 0, side: int = 16) -> bytes:
        """Makes a signed picture of noise with a record; record: more of it."""
        pixels = np.random.default_rng(seed).integers(0, 256, (side, side, 3), dtype=np.uint8)
        said = provenance.record(config_digest="a" * 64, step=1, seed=seed, run="kit") | (record or {})
        file = io.BytesIO()
        Image.fromarray(pixels).save(file, format, **provenance.save_options(said, format))
        return c2pa.sign(file.getvalue(), format, said, self.signer)

    def of_another_tool(self, actions: list[dict[str, Any]], **assertions: Any) -> bytes:
        """Makes a signed JPEG that is not gen's. actions: what its signature says was done; and other assertions."""
        import c2pa as library

        said = {"c2pa.actions": {"actions": actions}} | assertions
        stated = [{"label": label, "data": data} for label, data in said.items()]
        definition = {"claim_generator_info": [{"name": "Camera"}], "assertions": stated}
        pixels, signed = io.BytesIO(), io.BytesIO()
        Image.new("RGB", (16, 16), "teal").save(pixels, "JPEG")
        with library.Builder(definition, self.signer.context) as builder:
            builder.sign("image/jpeg", pixels, signed)
        return signed.getvalue()


def report(content: bytes, anchors: str = "") -> dict[str, Any]:
    """Returns what the library reports of a signed file."""
    import c2pa as library

    with library.Reader(c2pa_read.format_of(content), io.BytesIO(content), context=_context(anchors)) as reader:
        return json.loads(reader.json()) | {"state": reader.get_validation_state()}


@functools.cache
def _context(anchors: str) -> Any:
    import c2pa as library

    return library.Context.from_dict(c2pa_read.settings(anchors))


def stated(content: bytes, label: str) -> dict[str, Any]:
    """Returns an assertion of the active manifest of a signed file."""
    found = report(content)
    assertions = found["manifests"][found["active_manifest"]]["assertions"]
    return next(one["data"] for one in assertions if one["label"] == label)


def make_kit(folder: pathlib.Path, authority: Authority | None = None, **options: Any) -> Kit:
    """Makes a kit, whose files are in a folder. options: of the signer's certificate, as for `Authority.sign`."""
    authority = authority or make_authority()
    signer = c2pa.signer(*authority.sign(**options).files(folder))
    return Kit(authority, signer, to_pem(authority.root[0]).decode())


def used_for(*uses: Any) -> dict[type, Any]:
    """Extensions of a certificate for some uses; none: without the extension."""
    return {x509.ExtendedKeyUsage: x509.ExtendedKeyUsage(list(uses)) if uses else None}


def _key_usage(**wanted: bool) -> x509.KeyUsage:
    names = "digital_signature content_commitment key_encipherment data_encipherment key_agreement key_cert_sign"
    return x509.KeyUsage(**{name: name in wanted for name in f"{names} crl_sign encipher_only decipher_only".split()})


def _self_signed(authority: Authority) -> Chain:
    key = make_key()
    return Chain((issue(key, "self", days=100),), key)


def _wrong_key(authority: Authority) -> Chain:
    return authority.sign()._replace(key=make_key())


def _alone(authority: Authority) -> Chain:
    chain = authority.sign()
    return chain._replace(certificates=chain.certificates[:1])


def _issued_by_a_signer(authority: Authority) -> Chain:
    between, key = authority.sign(), make_key()
    signer = issue(key, "signer", (between.certificates[0], between.key), days=100)
    return Chain((signer, *between.certificates), key)


def _expired_intermediate(authority: Authority) -> Chain:
    middle, key = make_key(), make_key()
    old = {datetime.datetime: NOW - 9 * DAY}
    authority_of_old = issue(middle, "intermediate", authority.root, days=1, authority=True, extensions=old)
    return Chain((issue(key, "signer", (authority_of_old, middle), days=100), authority_of_old), key)


def _with(extensions: dict[type, Any], **options: Any) -> Callable[[Authority], Chain]:
    return lambda authority: authority.sign(extensions=extensions, **options)


def _of_key(make: Callable[[], Any]) -> Callable[[Authority], Chain]:
    return lambda authority: authority.sign(make())


def too_far_below() -> tuple[Chain, str]:
    """Below an intermediate of which the root allows none; and the root, PEM."""
    root_key, key, signer_key = make_key(), make_key(), make_key()
    none = {x509.BasicConstraints: x509.BasicConstraints(True, 0)}
    root = issue(root_key, "root", days=100, authority=True, extensions=none)
    middle = issue(key, "intermediate", (root, root_key), days=100, authority=True)
    signer = issue(signer_key, "signer", (middle, key), days=100)
    return Chain((signer, middle), signer_key), to_pem(root).decode()


# Name → how it is made, and what the line that refuses it says.
REFUSED: dict[str, tuple[Callable[[Authority], Chain], str]] = {
    "self-signed": (_self_signed, "self-signed"),
    "expired": (_with({datetime.datetime: NOW - 9 * DAY}, days=1), "expired on"),
    "not yet valid": (_with({datetime.datetime: NOW + DAY}), "not valid before"),
    "no use": (_with(used_for()), "of no use"),
    "any use": (_with(used_for(Use.ANY_EXTENDED_KEY_USAGE)), "is for any use"),
    "email and any use": (_with(used_for(Use.EMAIL_PROTECTION, Use.ANY_EXTENDED_KEY_USAGE)), "is for any use"),
    "of a web server": (_with(used_for(Use.SERVER_AUTH)), "is for serverAuth only"),
    "of a web client": (_with(used_for(Use.CLIENT_AUTH)), "is for clientAuth only"),
    "of code": (_with(used_for(Use.CODE_SIGNING)), "is for codeSigning only"),
    "of code and servers": (_with(used_for(Use.CODE_SIGNING, Use.SERVER_AUTH)), "codeSigning, serverAuth only"),
    "of time stamps": (_with(used_for(Use.TIME_STAMPING)), "is for timeStamping only"),
    "of OCSP": (_with(used_for(Use.OCSP_SIGNING)), "is for OCSPSigning only"),
    "email and time": (_with(used_for(Use.EMAIL_PROTECTION, Use.TIME_STAMPING)), "timeStamping is allowed only alone"),
    "email and OCSP": (_with(used_for(Use.EMAIL_PROTECTION, Use.OCSP_SIGNING)), "OCSPSigning is allowed only alone"),
    "no key usage": (_with({x509.KeyUsage: None}), "digitalSignature"),
    "key usage of encryption": (_with({x509.KeyUsage: _key_usage(key_encipherment=True)}), "digitalSignature"),
    "key usage of an authority": (
        _with({x509.KeyUsage: _key_usage(digital_signature=True, key_cert_sign=True)}),
        "keyCertSign",
    ),
    "no authority key": (_with({x509.AuthorityKeyIdentifier: None}), "authorityKeyIdentifier"),
    "an authority": (_with({x509.BasicConstraints: x509.BasicConstraints(True, None)}), "end-entity"),
    "wrong key": (_wrong_key, "does not belong to"),
    "RSA of 1,024 bits": (_of_key(lambda: rsa.generate_private_key(65537, 1024)), "RSA 1,024 bits"),
    "secp256k1": (_of_key(lambda: ec.generate_private_key(ec.SECP256K1())), "EC secp256k1"),
    "brainpool": (_of_key(lambda: ec.generate_private_key(ec.BrainpoolP256R1())), "EC brainpoolP256r1"),
    "Ed448": (_of_key(ed448.Ed448PrivateKey.generate), "Ed448"),
    "DSA": (_of_key(lambda: dsa.generate_private_key(1024)), "DSA 1,024 bits"),
    "no intermediate": (_alone, "is missing"),
    "issued by a signer": (_issued_by_a_signer, "no authority's"),
    "expired intermediate": (_expired_intermediate, "expired on"),
}


def _under_the_root(authority: Authority) -> Chain:
    key = make_key()
    return Chain((issue(key, "signer", authority.root, days=100), authority.root[0]), key)


# Name → how it is made.
ALLOWED: dict[str, Callable[[Authority], Chain]] = {
    "email": lambda authority: authority.sign(),
    "documents": _with(used_for(DOCUMENT_SIGNING)),
    "C2PA claims": _with(used_for(CLAIM_SIGNING)),
    "email and web clients": _with(used_for(Use.EMAIL_PROTECTION, Use.CLIENT_AUTH)),
    "P-384": _of_key(lambda: ec.generate_private_key(ec.SECP384R1())),
    "P-521": _of_key(lambda: ec.generate_private_key(ec.SECP521R1())),
    "Ed25519": _of_key(ed25519.Ed25519PrivateKey.generate),
    "RSA of 2,048 bits": _of_key(lambda: rsa.generate_private_key(65537, 2048)),
    "directly under the root": _under_the_root,
    "without basic constraints": _with({x509.BasicConstraints: None}),
}


def shuffled(chain: Chain, more: Iterable[Any] = ()) -> Chain:
    """The same certificates in another order."""
    return chain._replace(certificates=(*more, *reversed(chain.certificates)))
