"""Rewrites the signature of a signed file, as somebody without its key could: other certificates, other room for it.

Files are PNG and JPEG as gen signs them: with one manifest, whose store a JPEG holds in one segment.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding

from gen.provenance.c2pa_store import read_cbor

_CURVES: dict[str, tuple[int, hashes.HashAlgorithm]] = {  # COSE's numbers of ES256, ES384 and ES512
    "secp384r1": (-35, hashes.SHA384()),
    "secp521r1": (-36, hashes.SHA512()),
}


def resigned(content: bytes, certificates: tuple[Any, ...], key: Any, *, keep: tuple[str, ...] = ()) -> bytes:
    """Puts certificates and the signature of a key into a file, whatever they are good for.

    keep: what stands beside the signature, such as a time stamp, and stays as it is.
    """
    store = _store(content)
    begin, end = _message(store)
    algorithm, sign = _signing(key)
    protected = cbor({1: algorithm, 33: [one.public_bytes(Encoding.DER) for one in certificates]})
    made = sign(cbor(["Signature1", protected, b"", _claim(store)]))
    beside = read_cbor(store[begin:end])[1][1]
    kept = {name: beside[name] for name in keep}
    other = store[:begin] + message(protected, made, end - begin, kept) + store[end:]
    return content.replace(framed(content, store), framed(content, other))


def smuggled(content: bytes, more: bytes) -> bytes:
    """Puts chunks or segments, `more`, behind a signature, where they take the room of what pads it.

    The hash over the file leaves out this place, and the signature does not cover its padding.
    """
    store = _store(content)
    begin, end = _message(store)
    protected, _, _, made = read_cbor(store[begin:end])[1]
    other = bytearray(store[:begin] + message(protected, made, end - begin - len(more)) + store[end:])
    for at in _around(store, begin):
        struct.pack_into(">I", other, at, struct.unpack_from(">I", store, at)[0] - len(more))
    return content.replace(framed(content, store), framed(content, bytes(other)) + more)


def message(protected: bytes, signature: bytes, size: int, beside: Mapping[str, Any] = MappingProxyType({})) -> bytes:
    """Returns a COSE message of so many bytes."""
    for second in (None, b"", bytes(99)):  # not every size can be had by one padding
        for length in range(size):
            pads = {**beside, "pad": bytes(length)} | ({} if second is None else {"pad2": second})
            made = b"\xd2" + cbor([protected, pads, None, signature])
            if len(made) == size:
                return made
            if len(made) > size:
                break
    raise ValueError(f"a message of {len(protected)} and {len(signature)} bytes does not fit into {size}")


def cbor(item: Any) -> bytes:
    """Encodes integers, bytes, texts, lists, dicts and None (RFC 8949)."""
    if item is None:
        return b"\xf6"
    if isinstance(item, int):
        return _head(0, item) if item >= 0 else _head(1, -1 - item)
    if isinstance(item, bytes | str):
        text = item if isinstance(item, bytes) else item.encode()
        return _head(2 if isinstance(item, bytes) else 3, len(text)) + text
    if isinstance(item, dict):
        return _head(5, len(item)) + b"".join(cbor(key) + cbor(value) for key, value in item.items())
    return _head(4, len(item)) + b"".join(map(cbor, item))


def _head(major: int, number: int) -> bytes:
    if number < 24:
        return bytes([32 * major + number])
    power = next(power for power in range(4) if number < 256 ** (2**power))
    return bytes([32 * major + 24 + power]) + number.to_bytes(2**power, "big")


def _store(content: bytes) -> bytes:
    at = content.index(b"JP\x02\x11\0\0\0\1") + 8 if content.startswith(b"\xff\xd8") else content.index(b"caBX") + 4
    return content[at : at + struct.unpack_from(">I", content, at)[0]]


def framed(content: bytes, store: bytes) -> bytes:
    """Returns what holds a manifest store in a file like `content`."""
    if content.startswith(b"\xff\xd8"):
        return b"\xff\xeb" + struct.pack(">H", len(store) + 10) + b"JP\x02\x11\0\0\0\1" + store
    chunk = b"caBX" + store
    return struct.pack(">I", len(store)) + chunk + struct.pack(">I", zlib.crc32(chunk))


def _around(store: bytes, begin: int) -> list[int]:
    """Returns where the boxes begin in which a place of the store lies, from the outermost."""
    found, at, end = [], 0, len(store)
    while at < end:
        size, kind = struct.unpack_from(">I4s", store, at)
        if at + 8 <= begin < at + size:
            found.append(at)
            if kind != b"jumb":
                break
            at, end = at + 8, at + size
        else:
            at += size
    return found


def _content(store: bytes, label: bytes) -> tuple[int, int]:
    """Returns where the CBOR of a superbox begins and ends."""
    at = store.rindex(label + b"\0") + len(label) + 1
    return at + 8, at + struct.unpack_from(">I", store, at)[0]


def _message(store: bytes) -> tuple[int, int]:
    return _content(store, b"c2pa.signature")


def _claim(store: bytes) -> bytes:
    return store[slice(*_content(store, b"c2pa.claim.v2"))]


def _signing(key: Any) -> tuple[int, Callable[[bytes], bytes]]:
    """Returns COSE's number of an algorithm, and what signs by it (RFC 9053)."""
    if isinstance(key, ed25519.Ed25519PrivateKey | ed448.Ed448PrivateKey):
        return -8, key.sign
    if isinstance(key, rsa.RSAPrivateKey):
        return -37, lambda data: key.sign(data, padding.PSS(padding.MGF1(hashes.SHA256()), 32), hashes.SHA256())
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        return -7, lambda data: key.sign(data, hashes.SHA256())  # DSA, which COSE does not have
    number, hashed = _CURVES.get(key.curve.name, (-7, hashes.SHA256()))
    size = (key.curve.key_size + 7) // 8

    def sign(data: bytes) -> bytes:
        return b"".join(part.to_bytes(size, "big") for part in decode_dss_signature(key.sign(data, ec.ECDSA(hashed))))

    return number, sign
