"""Reads the records of image files from all places where they may stand. Editors copy texts from one place to another,
add their own, and lose some: the places may disagree, which whoever uses a record is told.
"""

from __future__ import annotations

import json
import logging
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from PIL import Image

from gen.errors import InputError
from gen.files import printable, told
from gen.image_io import Unreadable, opening
from gen.image_io.metadata import EXIF_TAGS
from gen.provenance import xmp
from gen.provenance.places import GIF_XMP, XMP_CHUNK, XMP_PROFILE
from gen.provenance.record import Record, is_key, number

_log = logging.getLogger(__name__)
_LONGEST = 2**20  # characters of a text that may be a record
_MOST_SAID = 3  # fields in a warning
_LONGEST_SHOWN = 80  # characters of a value in a line


def read(path: str | Path) -> Record | None:
    """Reads the record of an image file; None when it has none; of several the one that `chosen` gives.

    Warns of places that disagree. Raises InputError when `path` is not a readable image.
    """
    records = read_all(path)
    warn_of_disagreements(path, records)
    return records[chosen(records)] if records else None


def chosen(records: Mapping[str, Record]) -> str:
    """Returns the place whose record is used: the first, unless another one says the same and more."""
    first, *others = records
    texts = {place: _texts(record).items() for place, record in records.items()}
    return next((place for place in others if texts[place] > texts[first]), first)


def read_all(path: str | Path) -> dict[str, Record]:
    """Reads the records of an image file by place: "text" (of PNG), "EXIF", "comment", "XMP", most trusted first.

    They may disagree, see `disagreements`. Raises InputError when `path` is not a readable image.
    """
    try:
        return records_in(Path(path))
    except Unreadable as error:
        raise InputError(f"{printable(path)}: not an image that can be read ({error})") from None


def claimed_source_type(path: str | Path) -> str:
    """Reads the digital source type in the XMP of an image file, "trainedAlgorithmicMedia" say; "" for none.

    Programs of others write it, too. Raises InputError when `path` is not a readable image.
    """
    try:
        return source_type_in(Path(path))
    except Unreadable as error:
        raise InputError(f"{printable(path)}: not an image that can be read ({error})") from None


def source_type_in(file: Path | bytes) -> str:
    """Reads what `claimed_source_type` does, of an image file or of the content of one. Raises Unreadable."""
    with opening(file) as image:
        packet = _gif_xmp(image)
        image.load()
        found = xmp.properties(packet_in(image) or packet).get(xmp.SOURCE_TYPE, [""])[0]
    return (
        found.rpartition("/")[2]
        if re.fullmatch(r"https?://cv\.iptc\.org/newscodes/digitalsourcetype/\w+", found)
        else ""
    )


def records_in(file: Path | bytes) -> dict[str, Record]:
    """Reads the records of an image file, or of the content of one, as `read_all` does. Raises Unreadable."""
    with opening(file) as image:
        packet = _gif_xmp(image)
        image.load()  # PNG text may stand behind the pixels
        texts = {str(key): str(value) for key, value in image.info.items() if is_key(key)}
        description, comment = _exif_description(image), image.info.get("comment") or image.info.get("Comment")
        packet = packet_in(image) or packet
    found = {"EXIF": parse(description), "comment": parse(comment), "XMP": _parse_xmp(packet)}
    typed = [record for record in found.values() if record]
    whole = texts.pop(xmp.RECORD, None)  # where ImageMagick puts that of XMP
    text = {key: _typed(key, value, typed) for key, value in texts.items()} or parse(whole)
    return {place: record for place, record in ({"text": text} | found).items() if record}


def disagreements(records: Mapping[str, Record]) -> list[str]:
    """Returns a line for each field that is not the same in all places: "gen:seed is 17 in text, but 18 in EXIF"."""
    lines = []
    for key in dict.fromkeys(key for record in records.values() for key in record):
        said = {place: str(record[key]) if key in record else None for place, record in records.items()}
        if len(set(said.values())) > 1:
            values = dict.fromkeys(said.values())
            parts = [
                f"{'missing' if value is None else told(value, longest=_LONGEST_SHOWN)} in "
                + " and ".join(place for place in said if said[place] == value)
                for value in values
            ]
            lines.append(f"{printable(key, longest=_LONGEST_SHOWN)} is {', but '.join(parts)}")
    return lines


def warn_of_disagreements(path: str | Path, records: Mapping[str, Record]) -> None:
    """Warns in one line of fields that are not the same in all places."""
    if lines := disagreements(records):
        more = [f"and {len(lines) - _MOST_SAID:,} more"] if len(lines) > _MOST_SAID else []
        said = "; ".join([*lines[:_MOST_SAID], *more])
        _log.warning("%s: its records disagree, that in %s is used: %s", printable(path), chosen(records), said)


def _texts(record: Record) -> dict[str, str]:
    return {key: str(value) for key, value in record.items()}


def _typed(key: str, text: str, others: list[Record]) -> Any:
    """Returns the value of a text of PNG: a number where another place has the same as a number."""
    same = (record[key] for record in others if key in record and str(record[key]) == text)
    return next(same, number(key, text))


def _exif_description(image: Image.Image) -> Any:
    try:
        return image.getexif().get(EXIF_TAGS["description"])
    except Exception:  # EXIF that cannot be parsed holds no record
        return None


def packet_in(image: Any) -> Any:
    """Returns the XMP packet of a decoded image, but for GIF; None without one."""
    info = image.info
    return info.get("xmp") or info.get(XMP_CHUNK) or _profile(info.get(XMP_PROFILE))


def _profile(text: Any) -> bytes | None:
    """Returns the bytes in a text of PNG that holds a profile."""
    try:
        return bytes.fromhex("".join(str(text).split()[2:])) if text else None
    except ValueError:
        return None


def _gif_xmp(image: Any) -> bytes | None:
    """Returns the packet of a GIF, which Pillow passes over."""
    if image.format != "GIF":
        return None
    stream, here = image.fp, image.fp.tell()
    stream.seek(0)
    content = stream.read(xmp.LARGEST)
    stream.seek(here)
    return packet_of(content)


def packet_of(content: bytes) -> bytes | None:
    """Returns the XMP packet in the content of a GIF."""
    start = content.find(GIF_XMP) + len(GIF_XMP)
    end = content.find(b"<?xpacket end", start)
    return content[start:end] if len(GIF_XMP) <= start < end else None


def _parse_xmp(packet: Any) -> Record | None:
    """Returns the record in a packet: ours, or where other programs put the description of EXIF."""
    found = xmp.properties(packet)
    return next(filter(None, map(parse, [*found.get(xmp.RECORD, []), *found.get(xmp.DESCRIPTION, [])])), None)


def parse(description: Any) -> Record | None:
    """Parses the record in a text; None for anything else that may stand there."""
    if not isinstance(description, str | bytes) or len(description) > _LONGEST:
        return None
    try:
        found = json.loads(description)
    except (ValueError, RecursionError):
        return None
    return plain_record(found)


def plain_record(found: Any) -> Record | None:
    """Returns the entries of untrusted data that a record may have; None where there are none."""
    if not isinstance(found, dict):
        return None
    return {key: value for key, value in found.items() if is_key(key) and _is_plain(value)} or None


def _is_plain(value: Any) -> bool:
    return isinstance(value, str | int) or (isinstance(value, float) and math.isfinite(value))
