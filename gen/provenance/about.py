"""What an image file says that belongs to its owner, read so that it can be carried over to a file made of it.

Kept are author, copyright, date, title, description and keywords, where the file has them: in EXIF, XMP, IPTC-IIM (of
JPEG and TIFF) or the texts of PNG; terms of use; and how the photo was taken: camera, lens, exposure. Only what is
listed here is kept. So maker's notes, thumbnails, comments, orientation (which is applied) and unknown tags go. What
tells where or with whose device a photo was taken, place, serial numbers and the owner's name, is kept only if asked.
"""

from __future__ import annotations

import numbers
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image, IptcImagePlugin

from gen.files import printable
from gen.image_io import opening
from gen.image_io.metadata import EXIF_IFD, read_metadata
from gen.provenance import xmp
from gen.provenance.places import About
from gen.provenance.reading import packet_in, parse

GPS_IFD = 0x8825
_LONGEST, _MOST_ITEMS, _LARGEST = 2000, 64, 16_000  # characters of a text, items of a list, bytes of all of XMP
_MOST_VALUES = 8  # of an EXIF tag
# EXIF tags by group: the names of a camera and a lens and all settings, with dates, that EXIF 3.0 knows.
_CAMERA = {
    0: (0x010F, 0x0110),  # Make, Model
    EXIF_IFD: (
        *(0x829A, 0x829D, 0x8822, 0x8827, 0x8830, 0x8831, 0x8832, 0x9000),  # exposure, aperture, sensitivity
        *(0x9003, 0x9004, 0x9010, 0x9011, 0x9012, 0x9290, 0x9291, 0x9292),  # dates
        *range(0x9201, 0x920B),  # shutter, aperture, brightness, distance, metering, light, flash, focal length
        *(0xA20B, 0xA20E, 0xA20F, 0xA210, 0xA215, 0xA217),  # flash energy, focal plane, exposure index, sensor
        *range(0xA401, 0xA40D),  # rendering, exposure mode, white balance, zoom, 35 mm, scene, gain, contrast, ...
        *(0xA432, 0xA433, 0xA434),  # lens
    ),
}
_OWNER = 0xA430  # EXIF tag
_PRIVATE = {EXIF_IFD: (_OWNER, 0xA431, 0xA435), GPS_IFD: range(32)}  # owner, serial numbers of camera and lens; place
_XMP = (
    *("dc:creator", "dc:rights", "dc:title", "dc:description", "dc:subject"),
    *("xmp:CreateDate", "xmp:Rating", "xmp:Label"),
    *("xmpRights:Marked", "xmpRights:Owner", "xmpRights:UsageTerms", "xmpRights:WebStatement"),
    *("photoshop:AuthorsPosition", "photoshop:Credit", "photoshop:Source", "photoshop:Headline"),
    "photoshop:DateCreated",
)
_XMP_PRIVATE = re.compile(
    r"exif:GPS\w{1,40}|aux:(SerialNumber|LensSerialNumber|OwnerName)"
    r"|exifEX:(BodySerialNumber|LensSerialNumber|CameraOwnerName)"
    r"|photoshop:(City|State|Country)|Iptc4xmpCore:(Location|CountryCode)"
)
_IPTC = {  # datasets of record 2 -> the property of the same meaning
    5: "dc:title",
    25: "dc:subject",
    80: "dc:creator",
    85: "photoshop:AuthorsPosition",
    90: "photoshop:City",
    92: "Iptc4xmpCore:Location",
    95: "photoshop:State",
    100: "Iptc4xmpCore:CountryCode",
    101: "photoshop:Country",
    105: "photoshop:Headline",
    110: "photoshop:Credit",
    115: "photoshop:Source",
    116: "dc:rights",
    120: "dc:description",
}
_DATE = re.compile(r"(\d{4}):(\d\d):(\d\d) (\d\d:\d\d:\d\d)")  # of EXIF
_OF_TEXTS = {"author": "dc:creator", "copyright": "dc:rights", "description": "dc:description"}


def read(file: Path | bytes, *, private: bool = False) -> About:
    """Reads what is carried over from an image file, or the content of one. Raises Unreadable for no image.

    private: also place, serial numbers, and the owner's name.
    """
    with opening(file) as opened:
        if opened.format == "PNG":
            opened.load()  # texts may stand behind the pixels
        texts = {name: text for name, text in read_metadata(opened).items() if parse(text) is None}
        found = _iptc(opened) | _of_xmp(xmp.properties(packet_in(opened)))
        tags = _exif(opened, private)
        owner = _owner(opened) if private else ""
    for name, key in _OF_TEXTS.items():
        if name in texts:
            found.setdefault(key, [texts[name]])
        elif key in found:
            texts[name] = printable(found[key][0], longest=_LONGEST)
    if (date := _DATE.fullmatch(texts.get("date", ""))) and "xmp:CreateDate" not in found:
        found.setdefault("photoshop:DateCreated", ["{}-{}-{}T{}".format(*date.groups())])
    if owner:
        found.setdefault("aux:OwnerName", [owner])
    kept = {key: found[key] for key in found if key in _XMP or (private and _XMP_PRIVATE.fullmatch(key))}
    return About(texts, tags, _bounded(kept))


def _owner(opened: Any) -> str:
    """Returns the name of the camera's owner, for XMP: in EXIF, Pillow cannot write letters beyond ASCII there."""
    try:
        value = opened.getexif().get_ifd(EXIF_IFD).get(_OWNER, "")
        return _clean(_decoded(value.encode("latin-1") if isinstance(value, str) else bytes(value))).strip()
    except Exception:  # EXIF that cannot be parsed, or no text
        return ""


def _of_xmp(properties: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """Returns properties without a record of gen, which other programs put into the description."""
    cleaned = {key: [_clean(text) for text in texts if parse(text) is None] for key, texts in properties.items()}
    return {key: texts for key, texts in cleaned.items() if any(texts)}


def _clean(text: str) -> str:
    """Keeps lines, and escapes what XML cannot hold."""
    return "\n".join(printable(line, longest=_LONGEST) for line in text[: 2 * _LONGEST].splitlines()[:_MOST_ITEMS])


def _bounded(properties: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """Keeps the first properties, as many as JPEG has room for beside the record."""
    left, kept = _LARGEST, dict[str, list[str]]()
    for key, texts in properties.items():
        left -= sum(2 * len(text.encode()) + 20 for text in texts[:_MOST_ITEMS]) + 100
        if left > 0:
            kept[key] = list(texts[:_MOST_ITEMS])
    return kept


def _iptc(opened: Any) -> dict[str, list[str]]:
    """Reads IPTC-IIM, in UTF-8 where it is, else Latin-1."""
    try:
        found = IptcImagePlugin.getiptcinfo(opened) or {}
    except Exception:  # whatever a damaged block makes Pillow stumble over
        return {}
    texts = dict[str, list[str]]()
    for number, key in _IPTC.items():
        values = found.get((2, number), [])
        for value in values if isinstance(values, list) else [values]:
            if isinstance(value, bytes) and (text := _clean(_decoded(value)).strip()):
                texts.setdefault(key, []).append(text)
    return {key: items for key, items in texts.items() if parse(items[0]) is None}


def _decoded(value: bytes) -> str:
    try:
        return value.strip(b"\0 ").decode()
    except UnicodeDecodeError:
        return value.strip(b"\0 ").decode("latin-1")


def _exif(opened: Any, private: bool) -> dict[int, dict[int, Any]]:
    """Reads the tags that are kept, those that Pillow can write."""
    try:
        tags = opened.getexif()
        groups = {0: dict(tags), EXIF_IFD: tags.get_ifd(EXIF_IFD), GPS_IFD: tags.get_ifd(GPS_IFD)}
    except Exception:  # EXIF that cannot be parsed says nothing
        return {}
    wanted: dict[int, Iterable[int]] = {
        group: (*_CAMERA.get(group, ()), *(_PRIVATE.get(group, ()) if private else ())) for group in groups
    }
    kept = dict[int, dict[int, Any]]()
    for group, chosen in wanted.items():
        found = {tag: value for tag in chosen if (value := _value(groups[group].get(tag), group)) is not None}
        if found and _writable(group, found):
            kept[group] = found
    return kept


def _value(value: Any, group: int) -> Any:
    """Returns a value that can be written again, ASCII or numbers; None for any other."""
    if isinstance(value, str):
        text = value.rstrip("\0 ")
        return text if text and text.isascii() and text.isprintable() and len(text) <= _LONGEST else None
    if isinstance(value, bytes):
        return value if len(value) == 4 or (group == GPS_IFD and len(value) <= _MOST_ITEMS) else None
    if isinstance(value, tuple):
        return value if len(value) <= _MOST_VALUES and all(isinstance(v, numbers.Real) for v in value) else None
    return value if isinstance(value, numbers.Real) else None


def _writable(group: int, values: dict[int, Any]) -> bool:
    tags = Image.Exif()
    tags.update(values if group == 0 else {group: values})
    try:
        return bool(tags.tobytes())
    except Exception:  # of values that no file should hold
        return False
