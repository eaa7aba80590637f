"""Reads the texts of an image file that are its author's: name, copyright, date and description.

And one that gen writes: `gen:shows`, in files that show something made of images and not one image itself.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Mapping
from typing import Any

from gen.files import printable

EXIF_TAGS = {"author": 0x013B, "copyright": 0x8298, "date": 0x0132, "description": 0x010E}
EXIF_IFD, DATE_TAKEN = 0x8769, 0x9003
PNG_TEXTS = {"author": "Author", "copyright": "Copyright", "date": "Creation Time", "description": "Description"}
_LONGEST = 2000  # characters
SHOWS = "gen:shows"
_SHOWS_IN_JSON = re.compile(rb'"gen:shows": "([\w -]{1,40})"')


def read_metadata(opened: Any) -> dict[str, str]:
    """Reads author, copyright, date and description of a decoded file, one line each; never raises.

    By EXIF (the date is when the photo was taken, where that is known), else by the texts of a PNG.
    """
    found = dict[str, str]()
    for name, tag in EXIF_TAGS.items():
        text = _exif_text(opened, tag)
        if name == "date":
            text = _date_taken(opened) or text
        text = text or _text(getattr(opened, "text", None) or {}, PNG_TEXTS[name])
        if text:
            found[name] = text
    return found


def composed_as(opened: Any) -> str | None:
    """Returns what an opened file that gen composed shows, such as "grid"; None for any other. Decodes nothing."""
    text = opened.info.get(SHOWS)
    if isinstance(text, str):
        return printable(text, longest=40)
    for place in ("exif", "comment", "xmp"):
        raw = opened.info.get(place)
        found = _SHOWS_IN_JSON.search(raw.replace(b"&quot;", b'"')) if isinstance(raw, bytes) else None
        if found:
            return found[1].decode()
    return None


def _exif_text(opened: Any, tag: int) -> str:
    try:
        tags = opened.tag_v2 if opened.format == "TIFF" else opened.getexif()
    except Exception:  # EXIF that cannot be parsed says nothing
        return ""
    return _text(tags, tag, latin=True)


def _date_taken(opened: Any) -> str:
    if opened.format == "TIFF":
        return ""
    try:
        return _text(opened.getexif().get_ifd(EXIF_IFD), DATE_TAKEN)
    except Exception:
        return ""


def _text(values: Mapping[Any, Any], key: Any, *, latin: bool = False) -> str:
    """Returns a text. latin: of EXIF, which Pillow reads as Latin-1, but most programs write as UTF-8."""
    try:
        value = values.get(key)
        if latin and isinstance(value, str):
            with contextlib.suppress(UnicodeError):
                value = value.encode("latin-1").decode("utf-8")
        value = value.decode("utf-8", "replace") if isinstance(value, bytes) else value
        return printable(value.strip("\0 \n"), longest=_LONGEST) if isinstance(value, str) else ""
    except Exception:
        return ""
