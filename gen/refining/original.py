"""Refines one image file: opens it with what a copy keeps, refines it in floats, and encodes it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from PIL import Image

from gen import provenance
from gen.errors import InputError
from gen.files import printable, sha256
from gen.image_io import Picture, Unreadable, open_frames, open_picture, opening
from gen.image_io.color import is_srgb
from gen.outputs import encoding, image_writer
from gen.outputs.image_writer import Carried
from gen.provenance import About, about
from gen.provenance.policy import Policy
from gen.refining import transparency
from gen.refining.targets import records_of

if TYPE_CHECKING:
    from gen.imaging.chain import Chain

_ANIMATED = ("GIF", "PNG", "WEBP", "AVIF")  # what has several frames in a file of these is a film, of others pages
_SLOW = 100.0  # milliseconds of a frame that does not say how long it is shown
_LUMA = np.array([0.2126, 0.7152, 0.0722], np.float32)
_PREVIEW_SIDE = 384
_LARGEST_PROFILE = 2**20  # bytes of a color profile that is kept


class Original(NamedTuple):
    """An opened image file."""

    file: Path
    frames: list[Picture]  # one, or those of an animation
    left: int  # further frames or pages, which are not here
    plays: int  # how often an animation is shown, 0 = without end
    digest: str  # sha256 of the file
    records: dict[str, provenance.Record]  # by the place where they stand in the file
    about: About  # what belongs to its owner


def open_original(path: Path, *, first: bool = False, private: bool = False) -> Original:
    """Reads an image file with all its frames, or the first alone. private: see `about.read`. Raises Unreadable."""
    try:
        still = open_picture(path)
        film = still.frames > 1 and still.format in _ANIMATED and not first
        frames = list(open_frames(path)) if film else [still]
        plays, kept = _plays(path) if film else 0, about.read(path, private=private)
        return Original(path, frames, still.frames - len(frames), plays, sha256(path), records_of(path), kept)
    except OSError as error:
        raise Unreadable(error.strerror or printable(error)) from None


def refine(
    post: Chain, picture: Picture, *, seed: int, references: Mapping[str, np.ndarray], masks: Mapping[str, np.ndarray]
) -> np.ndarray:
    """Applies a chain: [h w c] in the depth of the picture, uint8 or uint16, with alpha last if it has alpha.

    seed: of random operators. references, masks: float, by name. Gray becomes RGB for a chain that needs colors, and
    gray again if it has none after it. Raises InputError for what the chain refuses.
    """
    import jax

    image = _floats(picture.pixels)
    alpha = np.ones(image.shape[:2], np.float32) if picture.alpha is None else _floats(picture.alpha)
    key = jax.random.key(seed) if post.random else None
    widths = (1, 3) if image.shape[-1] == 1 else (3,)
    for channels in widths:
        wide = {name: widened(reference, channels) for name, reference in references.items()}
        try:
            made, seen = transparency.refine(
                post, widened(image, channels), alpha, key=key, references=wide, masks=dict(masks)
            )
            break
        except InputError:
            if channels == widths[-1]:
                raise
    if bad := made.size - int(np.isfinite(made).sum()):
        raise InputError(f"the chain makes {bad:,} of {made.size:,} values NaN or infinite")
    dtype = picture.pixels.dtype
    out = _whole_numbers(made, dtype)
    if image.shape[-1] == 1 and (out == out[..., :1]).all():
        out = out[..., :1]
    return out if picture.alpha is None else np.concatenate([out, _whole_numbers(seen, dtype)[..., None]], -1)


def encode(
    original: Original, images: Sequence[np.ndarray], *, format: str, record: provenance.Record, policy: Policy
) -> bytes:
    """Encodes refined frames, with what belongs to the owner of the original. Raises InputError."""
    first = original.frames[0]
    durations = [_SLOW if frame.duration is None else frame.duration for frame in original.frames]
    sources = [original.file.read_bytes()] if policy.signer else []
    carried = Carried(original.about, durations, original.plays, _profile(first.icc_profile), sources)
    return image_writer.encode(images, format=format, record=record, policy=policy, carried=carried)


def _profile(given: bytes | None) -> bytes | None:
    """Returns the color profile of what was refined: that of the original where it is sRGB, else sRGB; None: none."""
    if given is None:
        return None
    return given if len(given) <= _LARGEST_PROFILE and is_srgb(given) else encoding.srgb_profile()


def reference(path: Path) -> np.ndarray:
    """Reads an image that a chain names, float32 [h w c] in [0, 1], without hidden colors. Raises Unreadable."""
    picture = open_picture(path)
    image = _floats(picture.pixels)
    return image if picture.alpha is None else transparency.extended(image, picture.alpha > 0)


def mask(path: Path) -> np.ndarray:
    """Reads a mask, float32 [h w 1] in [0, 1]: luminance times alpha. Raises Unreadable."""
    picture = open_picture(path)
    image = _floats(picture.pixels)
    light = image if image.shape[-1] == 1 else (image @ _LUMA)[..., None]
    return light if picture.alpha is None else light * _floats(picture.alpha)[..., None]


def named_arrays(
    texts: Iterable[str | Path], read: Callable[[Path], np.ndarray], *, flag: str
) -> dict[str, np.ndarray]:
    """Reads the files of a flag, NAME=FILE, by name. Raises InputError."""
    found = {}
    for text in texts:
        name, equals, file = str(text).partition("=")
        if not equals or not name:
            raise InputError(f"--{flag}={printable(text)}: allowed: NAME=FILE")
        try:
            found[name] = read(Path(file))
        except Unreadable as error:
            raise InputError(f"--{flag}={printable(text)}: cannot be read ({error})") from None
    return found


def widened(image: np.ndarray, channels: int) -> np.ndarray:
    """Repeats gray [h w 1] as RGB where channels is 3."""
    return image.repeat(3, -1) if channels == 3 and image.shape[-1] == 1 else image


def shrunk(image: np.ndarray) -> np.ndarray:
    """Shrinks an image, uint8 or uint16 [h w c], for a preview: uint8 [h w 3] on white."""
    image = image if image.dtype == np.uint8 else (image >> 8).astype(np.uint8)
    shown = Image.fromarray(widened(encoding.on_white(image), 3))
    shown.thumbnail((_PREVIEW_SIDE, _PREVIEW_SIDE))
    return np.asarray(shown)


def stacked(picture: Picture) -> np.ndarray:
    """Returns the pixels with alpha, if there is one, last."""
    return picture.pixels if picture.alpha is None else np.concatenate([picture.pixels, picture.alpha[..., None]], -1)


def _floats(values: np.ndarray) -> np.ndarray:
    return values.astype(np.float32) / np.float32(np.iinfo(values.dtype).max)


def _whole_numbers(values: np.ndarray, dtype: np.dtype) -> np.ndarray:
    return np.rint(np.clip(values, 0, 1) * np.float32(np.iinfo(dtype).max)).astype(dtype)


def _plays(path: Path) -> int:
    """Returns how often an animation is shown; 0: without end."""
    try:
        with opening(path) as opened:
            loop: Any = opened.info.get("loop")
            kind = opened.format
    except Unreadable:  # what decoded before; of a damaged file the default
        return 0
    if not isinstance(loop, int):
        return 1 if kind == "GIF" else 0
    return loop + 1 if kind == "GIF" and loop else loop
