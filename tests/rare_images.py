"""Image files that few programs write, made by hand."""

import io
import struct
import zlib

import numpy as np
from PIL import Image


def png(values, *, depth=16, color_type=0, chunks=()):
    """A PNG of values [h w] or [h w c]; chunks: (type, data) before the pixels."""
    packed = [np.packbits(row) if depth == 1 else row.astype(">u2" if depth == 16 else np.uint8) for row in values]
    if depth in (2, 4):
        packed = [_narrow(row, depth) for row in values]
    body = zlib.compress(b"".join(b"\0" + row.tobytes() for row in packed))
    header = struct.pack(">IIBBBBB", values.shape[1], values.shape[0], depth, color_type, 0, 0, 0)
    parts = [(b"IHDR", header), *chunks, (b"IDAT", body), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(*part) for part in parts)


def _chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _narrow(row, depth):
    bits = (row[:, None] >> np.arange(depth - 1, -1, -1)) & 1
    return np.packbits(bits.astype(np.uint8).ravel())


def tiff(values, *, photometric=1, bits=None, sample_format=1, order="<", tags=()):
    """An uncompressed gray TIFF of values [h w], with further (tag, value) of type SHORT."""
    data = values.astype(values.dtype.newbyteorder(order)).tobytes()
    entries = {256: values.shape[1], 257: values.shape[0], 258: bits or values.itemsize * 8, 259: 1, 262: photometric}
    entries |= {273: 0, 277: 1, 278: values.shape[0], 279: len(data), 339: sample_format, **dict(tags)}
    start = 8 + 2 + 12 * len(entries) + 4
    entries[273] = start
    head = {"<": b"II*\0", ">": b"MM\0*"}[order] + struct.pack(order + "I", 8) + struct.pack(order + "H", len(entries))
    for tag, value in sorted(entries.items()):
        long = tag in (273, 279)
        head += struct.pack(order + "HHI", tag, 4 if long else 3, 1)
        head += struct.pack(order + "I", value) if long else struct.pack(order + "HH", value, 0)
    return head + b"\0\0\0\0" + data


def exif(entries):
    """EXIF of (tag, type, count, data) in Motorola order, as JPEG and PNG carry it."""
    body, out = b"", struct.pack(">H", len(entries))
    start = 8 + 2 + 12 * len(entries) + 4
    for tag, kind, count, data in sorted(entries):
        where = data.ljust(4, b"\0") if len(data) <= 4 else struct.pack(">I", start + len(body))
        body += data if len(data) > 4 else b""
        out += struct.pack(">HHI", tag, kind, count) + where
    return b"Exif\0\0MM\0*" + struct.pack(">I", 8) + out + b"\0\0\0\0" + body


def saved(image, format, **options):
    """The content of a file that Pillow writes of an array or image."""
    buffer = io.BytesIO()
    (image if isinstance(image, Image.Image) else Image.fromarray(image)).save(buffer, format, **options)
    return buffer.getvalue()


def linear_gray_profile():
    """An ICC profile of gray whose values are linear light."""
    white = b"XYZ \0\0\0\0" + struct.pack(">iii", *(round(65536 * x) for x in (0.9642, 1.0, 0.8249)))
    tags = [(b"wtpt", white), (b"kTRC", b"curv\0\0\0\0" + struct.pack(">I", 0))]
    start = 132 + 12 * len(tags)
    table, body = struct.pack(">I", len(tags)), b""
    for kind, data in tags:
        table += kind + struct.pack(">II", start + len(body), len(data))
        body += data
    head = (
        struct.pack(">I4sI4s4s4s", start + len(body), b"", 0x02100000, b"mntr", b"GRAY", b"XYZ ") + bytes(12) + b"acsp"
    )
    return head.ljust(68, b"\0") + white[8:] + bytes(48) + table + body
