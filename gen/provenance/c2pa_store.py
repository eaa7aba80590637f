"""Looks at the bytes of a C2PA signature that the signature itself does not cover.

A signature lies in its file in a manifest store: boxes (JUMBF, ISO 19566-5) with a COSE_Sign1 message (RFC 9052) in
CBOR (RFC 8949). The hash over the file leaves the store out, and the signature covers what it says and the
certificates, but neither the padding that follows nor all headers of boxes: the library that reads them trusts a file
all the same after a change there. Here padding must be zero, as the specification wants it (C2PA 2.2, 13.2), and the
store must stand in the file as the library writes it. Nor does the library refuse certificates that are for time stamps
alone: here the signer's certificate is found, to be looked at.

Whoever can write a file can take a time stamp out of it, or put another into it: it is worth what its authority is.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

_COSE_SIGN1 = 18  # the tag of the message; what it signs stands elsewhere, so that its third part is null
_CERTIFICATES = (33, "x5chain")  # of COSE, RFC 9360; and as C2PA 1.0 had it
_STAMPS = {"sigTst", "sigTst2"}
_UNSIGNED = {*_CERTIFICATES, *_STAMPS, "pad", "pad2", "rVals"}
_SIMPLE = {20: False, 21: True, 22: None}
_DEEPEST = 16  # levels of CBOR
_JPEG_BOX = b"JP\x02\x11"  # what begins a segment of the library's: the marker of JUMBF, and its number of the box
_GIF_BLOCK = b"!\xff\x0bC2PA_GIF\x01\x00\x00"


class Altered(ValueError):
    """What was changed where the signature does not look, in plain words."""


def check_placed(content: bytes, mime: str, store: bytes) -> None:
    """Raises Altered unless the store stands in a file just as the library writes it."""
    if not (_in_jpeg(content) == store if mime == "image/jpeg" else _PLACED[mime](store) in content):
        raise Altered("the frame around the signature was changed after it was signed")


def _in_png(store: bytes) -> bytes:
    return struct.pack(">I", len(store)) + b"caBX" + store + struct.pack(">I", zlib.crc32(store, zlib.crc32(b"caBX")))


def _in_webp(store: bytes) -> bytes:
    return b"C2PA" + struct.pack("<I", len(store)) + store + b"\0" * (len(store) % 2)


def _in_gif(store: bytes) -> bytes:
    blocks = (store[i : i + 255] for i in range(0, len(store), 255))
    return _GIF_BLOCK + b"".join(bytes([len(block)]) + block for block in blocks) + b"\0"


_PLACED = {"image/png": _in_png, "image/webp": _in_webp, "image/gif": _in_gif}


def _in_jpeg(content: bytes) -> bytes:
    """Joins the library's segments, numbered from 1; each after the first repeats the header of the outer box."""
    at, store, count = 2, b"", 0
    while content[at : at + 1] == b"\xff" and content[at + 1] not in (0xD9, 0xDA):  # until the scan begins
        (size,) = struct.unpack_from(">H", content, at + 2)
        segment, kind = content[at + 4 : at + 2 + size], content[at + 1]
        if kind == 0xEB and segment.startswith(_JPEG_BOX):
            count += 1
            if segment[4:8] != struct.pack(">I", count) or (store and segment[8:16] != store[:8]):
                raise Altered("the frame around the signature was changed after it was signed")
            store += segment[16 if store else 8 :]
        at += 2 + size
    return store


class Beside(NamedTuple):
    """What stands beside the signature."""

    chain: list[bytes]  # certificates, DER, the signer's first
    stamped: bool  # whether there is a time stamp, which may be of something else


def check_unsigned(store: bytes, manifest: str) -> Beside:
    """Returns what stands beside the signature of a manifest. Raises Altered for what should not."""
    message = read_cbor(_signature(store, manifest))
    message = message[1] if isinstance(message, tuple) and message[0] == _COSE_SIGN1 else message
    if not (isinstance(message, list) and len(message) == 4 and isinstance(message[1], dict) and message[2] is None):
        raise Altered("the signature is not a COSE message")
    protected = read_cbor(message[0]) if message[0] else {}
    for name, value in message[1].items():
        if name not in _UNSIGNED:
            raise Altered("something stands beside the signature that it does not cover")
        if name in ("pad", "pad2") and any(value):
            raise Altered("the padding of the signature was changed after it was signed")
    chains = [part[name] for part in (protected, message[1]) for name in _CERTIFICATES if name in part]
    if len(chains) != 1:
        raise Altered("the signature does not hold one chain of certificates")
    chain = chains[0] if isinstance(chains[0], list) else chains[:1]
    if not chain or not all(isinstance(one, bytes) for one in chain):
        raise Altered("the signature holds no certificate")
    return Beside(chain, bool(_STAMPS & set(message[1])))


def _signature(store: bytes, manifest: str) -> bytes:
    """Returns the content of the signature box of a manifest: store → manifest → c2pa.signature → CBOR."""
    level = store
    for label in ("c2pa", manifest, "c2pa.signature"):
        found = [payload for kind, payload in _boxes(level) if kind == b"jumb" and _label(payload) == label]
        if len(found) != 1:
            raise Altered("the boxes of the signature are not in order")
        level = found[0]
    contents = [payload for kind, payload in _boxes(level) if kind == b"cbor"]
    if len(contents) != 1:
        raise Altered("the boxes of the signature are not in order")
    return contents[0]


def _boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yields types and contents of the boxes that fill `data`."""
    at = 0
    while at < len(data):
        size, kind = struct.unpack_from(">I4s", data, at) if len(data) - at >= 8 else (0, b"")
        if size < 8 or at + size > len(data):
            raise Altered("the boxes of the signature are not in order")
        yield kind, data[at + 8 : at + size]
        at += size


def _label(box: bytes) -> str:
    """Returns the label of a superbox: in its first box, after 16 bytes of type and 1 of flags."""
    kind, description = next(_boxes(box), (b"", b""))
    return description[17:].partition(b"\0")[0].decode("utf-8", "replace") if kind == b"jumd" else ""


def read_cbor(data: bytes) -> Any:
    """Reads one item of CBOR that fills `data`; a tag is (number, item). Raises Altered for what COSE does not need."""
    item, end = _item(data, 0, 0)
    if end != len(data):
        raise Altered("the signature is not in the form of CBOR")
    return item


def _item(data: bytes, at: int, depth: int) -> tuple[Any, int]:
    """Returns the item at a place and the place after it (RFC 8949, 3): lengths are definite, floats are none."""
    major, count, at = _head(data, at, depth)
    if major in (0, 1):
        return (count if major == 0 else -1 - count), at
    if major in (2, 3):
        text = data[at : at + count]
        if len(text) < count:
            raise Altered("the signature is not in the form of CBOR")
        return (text if major == 2 else text.decode("utf-8", "replace")), at + count
    if major == 7 and count in _SIMPLE:
        return _SIMPLE[count], at
    if major == 6:
        item, at = _item(data, at, depth + 1)
        return (count, item), at
    if major == 7 or count > len(data):  # each item takes a byte at least
        raise Altered("the signature is not in the form of CBOR")
    items = []
    for _ in range(count * (2 if major == 5 else 1)):
        item, at = _item(data, at, depth + 1)
        items.append(item)
    return (items if major == 4 else _mapping(items)), at


def _mapping(items: list[Any]) -> Mapping[Any, Any]:
    keys = items[::2]
    if not all(isinstance(key, int | str) for key in keys) or len(set(keys)) < len(keys):
        raise Altered("the signature is not in the form of CBOR")
    return dict(zip(keys, items[1::2], strict=True))


def _head(data: bytes, at: int, depth: int) -> tuple[int, int, int]:
    """Returns the major type of an item, its number or length, and the place after both."""
    if at >= len(data) or depth > _DEEPEST:
        raise Altered("the signature is not in the form of CBOR")
    major, short = divmod(data[at], 32)
    if short < 24:
        return major, short, at + 1
    size = {24: 1, 25: 2, 26: 4, 27: 8}.get(short, 0)
    if not size or at + 1 + size > len(data):
        raise Altered("the signature is not in the form of CBOR")
    return major, int.from_bytes(data[at + 1 : at + 1 + size], "big"), at + 1 + size
