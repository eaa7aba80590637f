"""The record of how an image was made, carried inside the file: text chunks in PNG, EXIF in JPEG and WebP.

Editors copy texts from one place to another and add their own: a record is looked for in all places.

A record is a flat dict whose keys begin with "gen:" and whose values are text or numbers. It is plain text that anyone
can remove or change: it helps whoever wants to make an image again, and proves nothing.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from PIL import Image, PngImagePlugin

from gen import __version__
from gen.errors import InputError
from gen.files import printable
from gen.image_io import Unreadable, opening
from gen.image_io.metadata import DATE_TAKEN, EXIF_IFD, EXIF_TAGS, PNG_TEXTS

Record = dict[str, Any]

PREFIX = "gen:"
_LONGEST = 20_000  # characters of a text
_SOFTWARE = 0x0131  # EXIF tag
_LONGEST_RECORD = 2**20  # characters of a text that may be one
_NUMBERS = {
    "gen:step": int,
    "gen:seed": int,
    "gen:truncation": float,
    "gen:temperature": float,
    "gen:top_k": int,
    "gen:top_p": float,
    "gen:guidance": float,
    "gen:refine_seed": int,
}  # PNG stores text: what to turn back, if it can


def record(
    *,
    config_digest: str,
    step: int,
    seed: int | str | None = None,
    label: str | None = None,
    truncation: float = 1.0,
    refine: str | None = None,
    **more: Any,
) -> Record:
    """Returns what is needed to make an image again, given the run folder that it came from; None is left out.

    config_digest: of the run, see gen.config.digest. step: of the checkpoint. seed: of the image; several as text.
    label: the class, given or drawn. refine: the chain that refined it; its random operators had the image's seed.
    """
    fields = {"version": __version__, "config_digest": config_digest, "step": step, "seed": seed}
    fields |= {"label": label, "truncation": truncation, "refine": refine} | more
    return _stored(fields)


def refined(
    record: Record | None, *, chain: str, seed: int, source: str | None = None, shows: str | None = None
) -> Record:
    """Extends the record (or None) of an image to that of its refinement by a chain.

    seed: of random operators. source: sha256 of the file that was refined. shows: what the picture is, if no image.
    """
    fields = {"version": __version__, "refine": chain, "refine_seed": seed, "source": source, "shows": shows}
    return (record or {}) | _stored(fields)


def _stored(fields: Mapping[str, Any]) -> Record:
    """Returns those that are not None, texts as every format can hold them: names may hold anything."""
    texts = {name: printable(value, longest=_LONGEST) for name, value in fields.items() if isinstance(value, str)}
    return {PREFIX + name: texts.get(name, value) for name, value in fields.items() if value is not None}


def png_text(record: Record, about: Mapping[str, str] | None = None) -> PngImagePlugin.PngInfo:
    """Returns the record as PNG text chunks, for `image.save(path, pnginfo=...)`; about: as for `exif`."""
    info = PngImagePlugin.PngInfo()
    for key, value in record.items():
        info.add_itxt(key, str(value))
    for name, value in (about or {}).items():
        if name != "description":  # which may say what the original showed
            info.add_itxt(PNG_TEXTS[name], value)
    return info


def exif(record: Record, about: Mapping[str, str] | None = None) -> Image.Exif:
    """Returns the record as EXIF, JSON in ImageDescription, for `image.save(path, exif=...)`.

    about: texts of the author of what was refined, by name: author, copyright, date (as EXIF has it).
    """
    tags = Image.Exif()
    tags[EXIF_TAGS["description"]] = json.dumps(record)
    tags[_SOFTWARE] = f"gen {record.get('gen:version', __version__)}"
    return _add(tags, about or {})


def save_options(record: Record, format: str, about: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Returns arguments of `image.save` for a file of Pillow's `format` (PNG, JPEG, WEBP, GIF) with the record.

    about: as for `exif`; a GIF has no place for it.
    """
    if format == "PNG":
        tags = _add(Image.Exif(), about or {})
        return {"pnginfo": png_text(record, about)} | ({"exif": tags} if len(tags) else {})
    if format == "GIF":
        return {"comment": json.dumps(record).encode()}
    return {"exif": exif(record, about)}


def read(path: str | Path) -> Record | None:
    """Reads the record of an image file; None when it has none; of several the first of `read_all`.

    Raises InputError when `path` is not a readable image.
    """
    return next(iter(read_all(path).values()), None)


def read_all(path: str | Path) -> dict[str, Record]:
    """Reads the records of an image file by place: "text" (of PNG), "EXIF", "comment", "XMP", most trusted first.

    They may disagree: some editors copy one of them and change another. Raises InputError when `path` is not a readable
    image.
    """
    try:
        with opening(Path(path)) as image:
            image.load()  # PNG text may stand behind the pixels
            texts = {str(key): str(value) for key, value in image.info.items() if str(key).startswith(PREFIX)}
            description = _exif_description(image)
            comment, xmp = image.info.get("comment"), image.info.get("xmp") or image.info.get("XML:com.adobe.xmp")
    except Unreadable as error:
        raise InputError(f"{printable(path)}: not an image that can be read ({error})") from None
    found = {
        "text": {key: _number(key, value) for key, value in texts.items()} or None,
        "EXIF": _parse(description),
        "comment": _parse(comment),
        "XMP": _parse(_description_of(xmp)),
    }
    return {place: record for place, record in found.items() if record}


def _add(tags: Image.Exif, about: Mapping[str, str]) -> Image.Exif:
    """Adds the author's texts to EXIF: those that are no date as UTF-8, a date only as EXIF writes one."""
    for name in ("author", "copyright"):
        if about.get(name):
            tags[EXIF_TAGS[name]] = about[name].encode()  # of a text Pillow keeps ASCII alone
    if re.fullmatch(r"\d{4}:\d\d:\d\d \d\d:\d\d:\d\d", about.get("date", "")):
        tags[EXIF_TAGS["date"]] = about["date"]
        tags[EXIF_IFD] = {DATE_TAKEN: about["date"]}
    return tags


def _exif_description(image: Image.Image) -> Any:
    try:
        return image.getexif().get(EXIF_TAGS["description"])
    except Exception:  # EXIF that cannot be parsed holds no record
        return None


def _number(key: str, text: str) -> Any:
    try:
        return _NUMBERS.get(key, str)(text)
    except ValueError:
        return text


def _description_of(xmp: Any) -> str | None:
    """Returns the description in an XMP packet, where editors put that of EXIF."""
    text = xmp.decode("utf-8", "replace") if isinstance(xmp, bytes) else xmp
    if not isinstance(text, str) or len(text) > _LONGEST_RECORD:
        return None
    found = re.search(r"<dc:description\b.{0,200}?<rdf:li\b[^>]*>([^<]*)</rdf:li>", text, re.DOTALL)
    return html.unescape(found[1]) if found else None


def _parse(description: Any) -> Record | None:
    """Parses the record in a text; None for anything else that may stand there."""
    if not isinstance(description, str | bytes) or len(description) > _LONGEST_RECORD:
        return None
    try:
        found = json.loads(description)
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, dict):
        return None
    plain = {key: value for key, value in found.items() if key.startswith(PREFIX)}
    return {key: value for key, value in plain.items() if isinstance(value, str | int | float)} or None
