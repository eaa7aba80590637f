"""Where a record stands in a file: text chunks of PNG, EXIF and XMP of PNG, JPEG and WebP, comment and XMP of GIF.

Each is lost on other ways: ImageMagick loses the text of PNG and keeps EXIF; others keep XMP alone. What a place holds:

    text      gen:NAME for each field
    EXIF      the record as JSON in ImageDescription; Software
    XMP       the record as JSON in gen:record; Iptc4xmpExt:DigitalSourceType, xmp:CreatorTool; in PNG twice, the second
              time as XMP_PROFILE: ImageMagick 6 passes on this and plain text, neither XMP_CHUNK nor EXIF of a PNG
    comment   of GIF: the record as JSON

In XMP also what belongs to the owner of a refined photograph; EXIF and PNG text hold as much of it as they can.

JPEG has room for less than 64 KiB in each: the longest texts of a larger record are cut there, see `shortened`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from PIL import Image, PngImagePlugin

from gen import __version__
from gen.image_io.metadata import DATE_TAKEN, EXIF_IFD, EXIF_TAGS, PNG_TEXTS
from gen.provenance import xmp
from gen.provenance.record import PREFIX, Record, shortened

XMP_CHUNK = "XML:com.adobe.xmp"  # of PNG
XMP_PROFILE = "Raw profile type xmp"  # of PNG, too: a text with the kind, the length and the bytes in hexadecimal
GIF_XMP = b"!\xff\x0bXMP DataXMP"  # what begins the block of GIF
_GIF_END = bytes([1, *range(255, -1, -1), 0])  # leads a reader of blocks, from wherever it is, to the end
_LARGEST = {"JPEG": 40_000}  # bytes of a record
_LARGEST_ELSEWHERE = 1_000_000
_LEFT_OUT = PREFIX + "left_out"  # how many fields
_LARGEST_PROFILE = 500_000  # bytes: readers refuse texts that become longer than 1 MiB
_SHORTEST = 200  # characters that stay of a text, about
_SOFTWARE = 0x0131  # EXIF tag


class About(NamedTuple):
    """What a file takes over from the one that it was made of, see gen/provenance/about.py."""

    texts: Mapping[str, str] = {}  # author, copyright, date (as EXIF has it), description
    exif: Mapping[int, Mapping[int, Any]] = {}  # group (0: the main one) -> tag -> value as Pillow has it
    properties: Mapping[str, Sequence[str]] = {}  # of XMP: "dc:creator" -> texts


NOTHING = About()


def save_options(record: Record, format: str, about: About = NOTHING) -> dict[str, Any]:
    """Returns arguments of `image.save` for a file of Pillow's `format` (PNG, JPEG, WEBP, GIF) with the record.

    A GIF needs `with_xmp` besides. An empty record leaves no trace.
    """
    record = _fitting(record, format)
    if format == "GIF":
        return {"comment": json.dumps(record).encode()} if record else {}
    tags = exif(record, about)
    packet = xmp.packet(record, about.properties) if record or about.properties else b""
    options: dict[str, Any] = {"exif": tags} if len(tags) else {}
    if format == "PNG":
        info = png_text(record, about)
        if packet:
            info.add_itxt(XMP_CHUNK, packet.decode())
            if len(packet) < _LARGEST_PROFILE:
                info.add_text(XMP_PROFILE, f"\nxmp\n{len(packet):8}\n{packet.hex()}\n", zip=True)
        return options | {"pnginfo": info}
    return options | ({"xmp": packet} if packet else {})


def with_xmp(content: bytes, record: Record, about: About = NOTHING) -> bytes:
    """Puts XMP with the record into the content of a GIF, behind its first colors, as Pillow cannot."""
    if not record and not about.properties:
        return content
    at = 13 + (3 * 2 ** (content[10] % 8 + 1) if content[10] & 128 else 0)
    packet = xmp.packet(_fitting(record, "GIF"), about.properties, writable=False)
    return content[:at] + GIF_XMP + packet + _GIF_END + content[at:]


def png_text(record: Record, about: About = NOTHING) -> PngImagePlugin.PngInfo:
    """Returns the record as PNG text chunks, for `image.save(path, pnginfo=...)`."""
    info = PngImagePlugin.PngInfo()
    fields = {key: str(value) for key, value in record.items()}
    for key, value in (fields | {PNG_TEXTS[name]: text for name, text in about.texts.items()}).items():
        add = info.add_text if value.isascii() else info.add_itxt  # which fewer programs know
        add(key, value)
    return info


def exif(record: Record, about: About = NOTHING) -> Image.Exif:
    """Returns the record as EXIF, JSON in ImageDescription, for `image.save(path, exif=...)`."""
    tags = Image.Exif()
    for group, values in about.exif.items():
        tags.update(values if group == 0 else {group: dict(values)})
    for name in ("author", "copyright"):
        if name in about.texts:
            tags[EXIF_TAGS[name]] = about.texts[name].encode()  # of a text Pillow keeps ASCII alone
    if re.fullmatch(r"\d{4}:\d\d:\d\d \d\d:\d\d:\d\d", about.texts.get("date", "")):
        tags[EXIF_TAGS["date"]] = about.texts["date"]
        tags[EXIF_IFD] = {DATE_TAKEN: about.texts["date"]} | dict(about.exif.get(EXIF_IFD, {}))
    if record:
        tags[EXIF_TAGS["description"]] = json.dumps(record)
        tags[_SOFTWARE] = f"gen {record.get(PREFIX + 'version', __version__)}"
    return tags


def _fitting(record: Record, format: str) -> Record:
    """Returns the record, long texts shortened and after that the largest fields left out, until it fits its place.

    For a chain of thousands of operators, and for what strangers wrote into the files that are refined.
    """
    most, fitting = _LARGEST.get(format, _LARGEST_ELSEWHERE), record
    longest = max((len(value) for value in record.values() if isinstance(value, str)), default=0)
    while _size(fitting) > most and longest > _SHORTEST:
        longest = max(_SHORTEST, longest // 2)
        fitting = {k: shortened(v, longest) if isinstance(v, str) else v for k, v in record.items()}
    if (size := _size(fitting)) <= most:
        return fitting
    sizes, out = {key: _size({key: value}) for key, value in fitting.items()}, set[str]()
    for key in sorted(sizes, key=lambda key: -sizes[key]):
        if size + len(_LEFT_OUT) + 10 > most:
            size -= sizes[key]
            out.add(key)
    return {key: value for key, value in fitting.items() if key not in out} | {_LEFT_OUT: len(out)}


def _size(record: Record) -> int:
    text = json.dumps(record)
    return len(text) + sum(4 * text.count(character) for character in "&<>")  # as XMP escapes them
