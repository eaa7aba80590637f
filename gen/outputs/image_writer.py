"""Writes image files: with the record of how they were made, marked, signed, whole or not at all, and never over a file
that gen did not write. Of several processes only process 0 writes.

What is said of an image, and whether it is marked and signed, is decided by a `Policy`. Pixels are marked here, as late
as can be: as 8 bits (16 in PNG), on white where there is no alpha. Nothing else in gen sees a marked image.

Frames are [h w c]: uint8, uint16, or float in [0, 1], all finite. c: 1 gray, 2 gray and alpha, 3 RGB, 4 RGB and alpha.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from gen import processes
from gen.errors import InputError
from gen.files import printable, write_result
from gen.outputs import encoding, manifest, marking, sidecar
from gen.outputs.marking import Unmarked
from gen.provenance import PREFIX, About, Record, c2pa, read_all, run_tag, save_options, with_xmp
from gen.provenance.policy import Policy

PIXELS = f"{PREFIX}pixels"
_AT_ONCE, _GATHERED = 64, 2**24  # images, and bytes of them, that are marked and written together
_WRITERS = 8  # a disk makes each wait


class Still(NamedTuple):
    """An image and its file."""

    path: Path
    image: np.ndarray
    record: Record
    region: np.ndarray | None = None  # bool [h w], what was made, and is marked; None: all of it


def check(paths: Iterable[Path], policy: Policy | None = None) -> None:
    """Raises InputError unless each of `paths` is free, or an image that gen wrote, which may be replaced.

    policy: with sidecars, these too.
    """
    if not processes.writes():
        return
    paths = list(paths)
    manifest.check(paths, is_own=is_own, what="cannot write")
    if policy and policy.sidecar:
        sidecar.check(paths)


def is_own(path: Path) -> bool:
    """Returns whether an image file carries a record of gen, or is as gen wrote it without one."""
    try:
        return path.is_file() and not path.is_symlink() and (bool(read_all(path)) or manifest.wrote(path))
    except (InputError, OSError):
        return False


def check_finite(images: np.ndarray, what: str | Path) -> None:
    """Raises InputError when images, of any shape, that `what` shall show are not finite."""
    if bad := encoding.not_finite(images):
        raise InputError(f"cannot write {printable(what)}: {bad}")


class Carried(NamedTuple):
    """What a file takes over from the one that it was made of."""

    about: About = About()  # texts and settings of its owner
    durations: Sequence[float] | None = None  # of frames, milliseconds; None: 40 each
    plays: int = 0  # how often an animation is shown, 0 = without end
    profile: bytes | None = None  # of colors, for ICC: sRGB, or one that is like it
    sources: Sequence[bytes] = ()  # the contents of the files that it was made of, which a signature names


NOTHING = Carried()


def save(
    path: Path,
    frames: Sequence[np.ndarray],
    *,
    format: str,
    record: Record,
    policy: Policy,
    mark: bool = True,
    region: np.ndarray | None = None,
) -> None:
    """Writes an image, making the folder; several frames as an endless animation.

    mark, region: as for `encode`. Raises InputError when the file cannot be written, when another one is in its place
    (see `check`), and when the image is not finite.
    """
    if not processes.writes():
        return
    check([path], policy)
    try:
        content = encode(frames, format=format, record=record, policy=policy, mark=mark, region=region)
    except InputError as error:
        raise InputError(f"cannot write {printable(path)}: {error}") from error
    _write(path, content, record, policy)


def save_all(
    stills: Iterable[Still], *, format: str, policy: Policy, shape: tuple[int, int, int] | None = None
) -> None:
    """Writes images as `save` does, many at once: they are marked together, and written while the next are made.

    shape: [h w c] of most of them, if it is known: what marks them is compiled while the first are made.
    """
    if not processes.writes():
        deque(stills, maxlen=0)  # whoever makes them may do it with the others
        return
    with ThreadPoolExecutor(_WRITERS) as pool:
        writing = list[Future[None]]()
        compiling = pool.submit(marking.compile_for, shape, policy) if shape else None
        for part in _gathered(stills):
            if compiling:
                compiling.result()
            pixels = [_as_written(still, format) for still in part]
            marked = marking.mark([_unmarked(p, s.record, s.region) for p, s in zip(pixels, part, strict=True)], policy)
            for done in writing:
                done.result()
            each = zip(part, pixels, marked, strict=True)
            writing = [pool.submit(_save_marked, *one, format=format, policy=policy) for one in each]
        for done in writing:
            done.result()


def encode(
    frames: Sequence[np.ndarray],
    *,
    format: str,
    record: Record,
    policy: Policy,
    mark: bool = True,
    region: np.ndarray | None = None,
    carried: Carried = NOTHING,
) -> bytes:
    """Encodes an image as the policy wants it; several frames become an animation, in all formats but JPEG.

    mark: False for a figure or map that shows no image. region: bool [h w], or of each frame [t h w], what was made and
    may be marked; None: all. What a format cannot hold is left out: transparency in JPEG (on white), degrees of it in
    GIF, more than 8 bits in all but a still PNG, texts and profiles in GIF. Raises InputError for values that are not
    finite, and what cannot be encoded.
    """
    pixels = encoding.as_written(frames, format)
    regions = [region] * len(pixels) if region is None or region.ndim == 2 else list(region)
    unmarked = [_unmarked(p, record, r) for p, r in zip(pixels, regions, strict=True)]
    marked = marking.mark(unmarked, policy) if mark else pixels
    return _content(pixels, marked, format=format, record=record, policy=policy, carried=carried)


def encode_all(images: Sequence[np.ndarray], records: Sequence[Record], *, format: str, policy: Policy) -> list[bytes]:
    """Encodes images as `encode` does each, and marks them together."""
    pixels = [encoding.as_written([image], format)[0] for image in images]
    marked = marking.mark([_unmarked(p, record, None) for p, record in zip(pixels, records, strict=True)], policy)
    each = zip(pixels, marked, records, strict=True)
    return [_content([p], [m], format=format, record=r, policy=policy, carried=NOTHING) for p, m, r in each]


def _unmarked(pixels: np.ndarray, record: Record, region: np.ndarray | None) -> Unmarked:
    return Unmarked(pixels, run_tag(record), region)


def _as_written(still: Still, format: str) -> np.ndarray:
    try:
        return encoding.as_written([still.image], format)[0]
    except InputError as error:
        raise InputError(f"cannot write {printable(still.path)}: {error}") from error


def _gathered(stills: Iterable[Still]) -> Iterator[list[Still]]:
    """Yields images in parts of at most 64, fewer where they are large."""
    left = iter(stills)
    for first in left:
        count = max(1, min(_AT_ONCE, _GATHERED // first.image.nbytes))
        yield [first, *itertools.islice(left, count - 1)]


def _save_marked(still: Still, pixels: np.ndarray, marked: np.ndarray, *, format: str, policy: Policy) -> None:
    check([still.path], policy)
    try:
        content = _content([pixels], [marked], format=format, record=still.record, policy=policy, carried=NOTHING)
    except InputError as error:
        raise InputError(f"cannot write {printable(still.path)}: {error}") from error
    _write(still.path, content, still.record, policy)


def _content(
    pixels: Sequence[np.ndarray],
    marked: Sequence[np.ndarray],
    *,
    format: str,
    record: Record,
    policy: Policy,
    carried: Carried,
) -> bytes:
    """Returns the content of the file of an image. pixels, marked: before and after the mark."""
    said = {} if policy.level == "off" else record | {PIXELS: encoding.digest(pixels)}
    options = save_options(said, format.upper(), carried.about)
    if carried.profile and format != "gif" and marked[0].shape[-1] > 2:  # for gray a profile of colors is none
        options["icc_profile"] = carried.profile
    content = encoding.encode(marked, format, durations=carried.durations, plays=carried.plays, **options)
    if format == "gif":
        content = with_xmp(content, said, carried.about)
    if policy.signer is None or not c2pa.can_sign(format):
        return content
    changed = any((before != after).any() for before, after in zip(pixels, marked, strict=True))
    mark = {"algorithm": marking.ALGORITHM, "key": policy.key.name, "tag": run_tag(record)} if policy.key else None
    told: dict[str, Any] = {"mark": mark if changed else None, "training": policy.training}
    return c2pa.sign(content, format, said, policy.signer, sources=carried.sources, **told)


def _write(path: Path, content: bytes, record: Record, policy: Policy) -> None:
    """Writes a file; one without a record is entered in the manifest, by which it is known as gen's."""
    if policy.level == "off":
        manifest.write(path, content, overwrite=True)
    else:
        write_result(path, content)
    if policy.sidecar:
        sidecar.write(path, record, content)
