"""The record of how an image was made, carried inside the file: text chunks in PNG, EXIF in JPEG and WebP.

A record is a flat dict whose keys begin with "gen:" and whose values are text or numbers. It is plain text that anyone
can remove or change: it helps whoever wants to make an image again, and proves nothing.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from PIL import Image, PngImagePlugin, UnidentifiedImageError

from gen import __version__
from gen.errors import InputError
from gen.files import printable

Record = dict[str, Any]

PREFIX = "gen:"
_LONGEST = 20_000  # characters of a text
_IMAGE_DESCRIPTION, _SOFTWARE = 0x010E, 0x0131  # EXIF tags
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
    version: str = __version__,
    **more: Any,
) -> Record:
    """What is needed to make an image again, given the run folder that it came from.

    config_digest: sha256 of the run's canonical config. step: of the checkpoint. seed: of the image, or a list of seeds
    as text for an animation. label: the class, asked for or drawn; None if there is none. truncation: 1 = off. refine:
    the chain that refined it, whose random operators were seeded by the image's seed; None if none did. version: of
    gen. more: what else says how it was made; None is left out.
    """
    fields = {"version": version, "config_digest": config_digest, "step": step, "seed": seed}
    fields |= {"label": label, "truncation": truncation, "refine": refine} | more
    return {PREFIX + name: _storable(value) for name, value in fields.items() if value is not None}


def refined(record: Record | None, *, chain: str, seed: int, source: str) -> Record:
    """The record of an image that a chain of gen.imaging made of another one, whose own record (or None) it extends.

    chain: its text. seed: of its random operators. source: sha256 of the file that was refined.
    """
    fields = {"version": __version__, "refine": chain, "refine_seed": seed, "source": source}
    return (record or {}) | {PREFIX + name: _storable(value) for name, value in fields.items()}


def _storable(value: Any) -> Any:
    """Text as every format can hold it: names of classes and files may hold anything."""
    return printable(value, longest=_LONGEST) if isinstance(value, str) else value


def png_text(record: Record) -> PngImagePlugin.PngInfo:
    """The record as PNG text chunks, one for each key, for `image.save(path, pnginfo=...)`."""
    info = PngImagePlugin.PngInfo()
    for key, value in record.items():
        info.add_itxt(key, str(value))
    return info


def exif(record: Record) -> Image.Exif:
    """The record as EXIF, JSON in ImageDescription and gen's version in Software, for `image.save(path, exif=...)`."""
    tags = Image.Exif()
    tags[_IMAGE_DESCRIPTION] = json.dumps(record)
    tags[_SOFTWARE] = f"gen {record.get('gen:version', __version__)}"
    return tags


def save_options(record: Record, format: str) -> dict[str, Any]:
    """What `image.save` must be given so that a file of Pillow's `format` (PNG, JPEG, WEBP, GIF) carries the record."""
    if format == "PNG":
        return {"pnginfo": png_text(record)}
    if format == "GIF":
        return {"comment": json.dumps(record).encode()}
    return {"exif": exif(record)}


def read(path: str | Path) -> Record | None:
    """The record in an image file, or None when it has none. Raises InputError when `path` is not a readable image."""
    try:
        with Image.open(path) as image:
            image.load()  # PNG text may stand behind the pixels
            texts = {str(key): str(value) for key, value in image.info.items() if str(key).startswith(PREFIX)}
            description = image.info.get("comment") or image.getexif().get(_IMAGE_DESCRIPTION)
    except (OSError, UnidentifiedImageError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise InputError(f"{path}: not an image that can be read ({error})") from error
    if texts:
        return {key: _number(key, value) for key, value in texts.items()}
    return _parse(description)


def _number(key: str, text: str) -> Any:
    try:
        return _NUMBERS.get(key, str)(text)
    except ValueError:
        return text


def _parse(description: Any) -> Record | None:
    """The record in an EXIF or GIF text; None for anything that somebody else may have written there."""
    try:
        found = json.loads(description)
    except (TypeError, ValueError):
        return None
    if not isinstance(found, dict):
        return None
    return {key: value for key, value in found.items() if key.startswith(PREFIX)} or None
