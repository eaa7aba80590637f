"""Looks at one image file, or at the pixels of one image: what it is, its numbers, and what is left to recognize it by.

Runs in processes of its own, see gen.auditing.pool, so that nothing here may import jax.
"""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from gen.audit_checks.compression import jpeg_quality
from gen.audit_checks.fingerprints import fingerprint
from gen.audit_checks.measures import measure, reduced
from gen.errors import InputError
from gen.files import read_regular
from gen.image_io import MAX_PIXELS, Unreadable, open_picture, opening
from gen.image_io.color import keeps_colors
from gen.outputs.encoding import on_white
from gen.provenance.reading import records_in, source_type_in
from gen.provenance.record import PREFIX

COLORS = 32  # pixels of a side of the picture in color that is kept
LARGEST = 2**29  # bytes of a file
_ORIENTATION = 0x0112
_MADE = {"trainedAlgorithmicMedia", "compositeWithTrainedAlgorithmicMedia", "algorithmicMedia"}
_HINTS = (b"gen:", b"lgorithmicMedia", b"zTXt", b"iTXt")  # without one of which no record can be there


@dataclass(frozen=True)
class Inspected:
    """What is known of one image. Of an unreadable one `error` and `error_kind`, and what was read before."""

    size: int = 0  # bytes
    sha256: str = ""  # of the file; of pixels that are no file, of these
    pixels: str = ""  # sha256 of the decoded pixels and their shape, 32 digits
    width: int = 0
    height: int = 0
    format: str = ""
    error_kind: str = ""  # "unreadable", "truncated" or "too_large"; "" for none
    error: str = ""
    passing: bool = False  # the error may be gone the next time: of the disk, of memory
    numbers: dict[str, float] = field(default_factory=dict)  # of Measures, with aspect and quality
    facts: dict[str, str] = field(default_factory=dict)  # kinds of findings that the file alone shows, with words
    gray: bytes = b""  # uint8 [48 48], see gen.audit_checks.fingerprints
    color: bytes = b""  # uint8 [32 32 3]

    def plain(self) -> dict[str, Any]:
        """Returns all but the two pictures, for JSON."""
        return {name: value for name, value in asdict(self).items() if name not in ("gray", "color")}


def inspect(job: Path | bytes | np.ndarray) -> Inspected:
    """Looks at an image file, the content of one, or the pixels uint8 [h w c] of an image. Raises nothing."""
    if isinstance(job, np.ndarray):
        digest = _digest(job)
        return _with_pixels(Inspected(size=job.nbytes, sha256=digest, format="array"), job, None, digest)
    try:
        content = job if isinstance(job, bytes) else read_regular(job, most=LARGEST)
    except (InputError, OSError) as error:
        reason = getattr(error, "strerror", None) or str(error).removeprefix(f"{job!s}: ")
        return Inspected(error_kind="unreadable", error=reason, passing=isinstance(error, OSError))
    seen = Inspected(size=len(content), sha256=hashlib.sha256(content).hexdigest())
    try:
        return _inspected(content, seen)
    except Unreadable as error:
        return Inspected(**{**vars(seen), **_failed(str(error))})
    except MemoryError:
        large = {"error_kind": "too_large", "error": "it needs more memory than there is", "passing": True}
        return Inspected(**{**vars(seen), **large})
    except Exception as error:  # a file that breaks a check is a file to be told of, not the end of the audit
        told = f"it cannot be looked at ({type(error).__name__})"
        return Inspected(**{**vars(seen), "error_kind": "unreadable", "error": told})


def _failed(reason: str) -> dict[str, str]:
    large = "too large" in reason or f"allowed are {MAX_PIXELS:,}" in reason
    kind = "too_large" if large else "truncated" if "truncated" in reason.lower() else "unreadable"
    return {"error_kind": kind, "error": reason}


def _inspected(content: bytes, seen: Inspected) -> Inspected:
    facts, numbers = dict[str, str](), dict[str, float]()
    with opening(content) as opened:
        mode, width, height, form = opened.mode, opened.width, opened.height, str(opened.format)
        turn = _orientation(opened)
        if tables := getattr(opened, "quantization", None):
            numbers["quality"] = jpeg_quality(list(tables[min(tables)]))
        arguments = opened.tile[0][3] if opened.tile else ""
        raw = str(arguments[0] if isinstance(arguments, tuple) and arguments else arguments)
    seen = Inspected(**{**vars(seen), "width": width, "height": height, "format": form})
    try:
        picture = open_picture(content)
    except Unreadable as error:
        return Inspected(**{**vars(seen), **_failed(str(error))})
    if 2 <= turn <= 8:
        facts["rotated"] = f"EXIF orientation {turn}"
    if picture.alpha is not None and picture.alpha.min() < np.iinfo(picture.alpha.dtype).max:
        facts["transparent"] = f"{(picture.alpha < np.iinfo(picture.alpha.dtype).max).mean():.0%} of its pixels"
    if not keeps_colors(picture.icc_profile):
        facts["profile"] = "other colors than sRGB"
    if picture.pixels.dtype != np.uint8 or "16" in raw or mode in ("I;16", "I", "F"):
        facts["deep"] = f"mode {mode}"
    if mode == "CMYK":
        facts["cmyk"] = "mode CMYK"
    if picture.frames > 1:
        facts["frames"] = f"{picture.frames:,} frames or pages"
    if _ends_early(content, form):
        facts["truncated"] = "the end of the file is missing; what is there was decoded"
    if told := _made_by(content):
        facts["generated"] = told
    eight = _in_eight_bits(picture.pixels)
    alpha = None if picture.alpha is None or "transparent" not in facts else _in_eight_bits(picture.alpha)
    seen = Inspected(**{**vars(seen), "facts": facts, "numbers": numbers})
    return _with_pixels(seen, eight, alpha, _digest(picture.pixels, picture.alpha))


def _with_pixels(seen: Inspected, pixels: np.ndarray, alpha: np.ndarray | None, digest: str) -> Inspected:
    height, width = pixels.shape[:2]
    composed = pixels if alpha is None else on_white(np.dstack([pixels, alpha]))
    numbers = measure(composed, alpha=alpha)._asdict() | {"aspect": max(height / width, width / height)}
    numbers["quality"] = float(np.fmin(numbers["quality"], seen.numbers.get("quality", np.nan)))
    shown = reduced(composed)
    color = fingerprint_in_color(shown)
    return Inspected(
        **{
            **vars(seen),
            "pixels": digest,
            "width": width,
            "height": height,
            "numbers": {name: round(float(value), 4) for name, value in numbers.items()},
            "gray": fingerprint(shown).tobytes(),
            "color": color.tobytes(),
        }
    )


def fingerprint_in_color(image: np.ndarray) -> np.ndarray:
    """Reduces an image [h w c] in 0..255 to uint8 [32 32 3], by areas."""
    from PIL import Image

    eight = np.clip(np.rint(image), 0, 255).astype(np.uint8)
    eight = np.broadcast_to(eight, (*eight.shape[:2], 3))
    return np.asarray(Image.fromarray(eight).resize((COLORS, COLORS), Image.Resampling.BOX))


def _digest(pixels: np.ndarray, alpha: np.ndarray | None = None) -> str:
    hasher = hashlib.sha256(f"{pixels.dtype.str}{pixels.shape}".encode())
    hasher.update(np.ascontiguousarray(pixels).data)
    if alpha is not None and (alpha != np.iinfo(alpha.dtype).max).any():
        hasher.update(np.ascontiguousarray(alpha).data)
    return hasher.hexdigest()[:32]


def _in_eight_bits(values: np.ndarray) -> np.ndarray:
    return values if values.dtype == np.uint8 else (values >> 8).astype(np.uint8)


def _orientation(opened: Any) -> int:
    try:
        return int(opened.getexif().get(_ORIENTATION, 1))
    except Exception:  # EXIF that cannot be parsed says nothing
        return 1


def _ends_early(content: bytes, form: str) -> bool:
    """Returns whether the mark that ends a file is missing, which decoders pass over."""
    if form in ("JPEG", "MPO"):
        return not _jpeg_ends(content)
    if form == "PNG":
        return b"IEND" not in content[-(2**16) :]
    if form == "WEBP":
        return int.from_bytes(content[4:8], "little") + 8 > len(content)
    return False


def _jpeg_ends(content: bytes) -> bool:
    """Returns whether the first image of a JPEG has its end; what phones append behind it does not count."""
    at = 2
    while at + 4 <= len(content):
        if content[at] != 0xFF:
            return True  # no sequence of segments: the decoder's business
        marker = content[at + 1]
        if marker == 0xD9:
            return True
        if marker == 0xFF or marker == 0x01 or 0xD0 <= marker <= 0xD8:  # filling, or without a length
            at += 1 if marker == 0xFF else 2
            continue
        at += 2 + int.from_bytes(content[at + 2 : at + 4], "big")
        while marker == 0xDA:  # a scan: to the next marker that is no restart
            at = content.find(b"\xff", at)
            if at < 0 or at + 1 >= len(content):
                return False
            if content[at + 1] != 0 and not 0xD0 <= content[at + 1] <= 0xD7:
                break
            at += 2
    return content[at : at + 2] == b"\xff\xd9"


def _made_by(content: bytes) -> str:
    """Returns what in a file says that a model made it; "" where nothing does."""
    if not any(hint in content for hint in _HINTS):
        return ""
    for record in records_in(content).values():
        model = record.get(PREFIX + "run") or record.get(PREFIX + "model")
        return "a record of gen" + (f": {str(model)[:40]}" if model else "")
    if (kind := source_type_in(content)) in _MADE:
        return f"its XMP says {kind}"
    if b"c2pa" in content and b"rainedAlgorithmicMedia" in content:
        return "its C2PA manifest says trainedAlgorithmicMedia"
    return ""
