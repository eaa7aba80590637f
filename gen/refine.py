"""Refines image files by a chain of operators: python -m gen.refine IN... --chain "median(3)|..." --out DIR

IN are image files and folders (searched with their subfolders). Each result has the place and name of its input under
DIR, as .png or --format; transparency is kept. --preview also writes DIR/preview.png, before and after side by side.
Every file carries the record of how it was made, see gen/provenance.py. --list names the operators. Example:

    python -m gen.refine photos --chain "guided(4)|white_balance('gray_world')|vibrance(0.3)" --out refined
"""

from __future__ import annotations

import hashlib
import io
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from absl import flags
from PIL import Image, ImageOps, UnidentifiedImageError

from gen import cli, pictures, provenance
from gen.errors import InputError
from gen.files import printable
from gen.load import image_files
from gen.report import save_png, to_uint8

if TYPE_CHECKING:
    from gen.imaging.chain import Chain

FLAGS = flags.FlagValues()
flags.DEFINE_string("chain", None, "Operators joined by |, see docs/imaging.md.", flag_values=FLAGS)
cli.define_path("out", None, "Folder for the results.", flag_values=FLAGS)
cli.define_path("reference", [], "NAME=FILE: an image that the chain names.", flag_values=FLAGS, many=True)
cli.define_path("mask", [], "NAME=FILE: a mask, white inside, of the size of the images.", flag_values=FLAGS, many=True)
flags.DEFINE_integer("seed", 0, "Of operators that draw random numbers.", lower_bound=0, flag_values=FLAGS)
flags.DEFINE_enum("format", "png", pictures.STILLS, "Of the results.", flag_values=FLAGS)
flags.DEFINE_bool("preview", False, "Also write preview.png, before and after.", flag_values=FLAGS)
flags.DEFINE_bool("list", False, "Print the operators and what they take, and stop.", flag_values=FLAGS)

_PREVIEW_IMAGES, _PREVIEW_SIDE = 8, 384


class Picture(NamedTuple):
    """An opened image file: what is refined, and what is carried over."""

    image: np.ndarray  # uint8 [h w c], c = 1 or 3
    alpha: np.ndarray | None  # uint8 [h w]
    digest: str  # sha256 of the file
    record: provenance.Record | None


def main(inputs: Sequence[str]) -> None:
    """Refines what the flags and `inputs` ask for. Raises InputError for what is wrong in them."""
    if FLAGS.list:
        return print(_listing())
    if not FLAGS.chain:
        raise InputError('--chain is missing: operators joined by |, such as --chain "gaussian(2)|unsharp(1, 0.5)"')
    if not FLAGS.out:
        raise InputError("--out is missing: the folder for the results")
    out = Path(FLAGS.out)
    if out.suffix.lower() in (".png", ".jpg", ".jpeg", ".webp") or out.is_file():
        raise InputError(
            f"--out={out}: looks like a file; gen.refine writes into a folder, under the names of its input"
        )
    jobs = list(_jobs(inputs, out))
    from gen.imaging.chain import chain

    post = chain(FLAGS.chain)
    given = {"references": _named("reference", FLAGS.reference), "masks": _named("mask", FLAGS.mask)}
    began, skipped = time.monotonic(), 0
    shown: list[tuple[np.ndarray, np.ndarray]] = []
    for done, (source, target) in enumerate(jobs):
        try:
            picture = open_picture(source)
        except (OSError, ValueError, UnidentifiedImageError, Image.DecompressionBombError) as error:
            if len(jobs) == 1:
                raise InputError(f"{source}: cannot be read ({error})") from None
            cli.say(f"{source}: left out, cannot be read ({error})")
            skipped += 1
            continue
        after = refine(post, picture.image, seed=FLAGS.seed, place=str(source), **given)
        _write(target, after, picture, post)
        if FLAGS.preview and len(shown) < _PREVIEW_IMAGES:
            shown.append((picture.image, after))
        cli.tell(done + 1, len(jobs), began)
    if skipped == len(jobs):
        raise InputError(f"none of the {len(jobs)} files can be read")
    if shown:
        save_png(out / "preview.png", side_by_side(shown))
    made = len(jobs) - skipped
    print(f"{made:,} image{'' if made == 1 else 's'} in {time.monotonic() - began:.1f} s: {printable(out)}")


def refine(post: Chain, image: np.ndarray, *, seed: int = 0, place: str = "", **given: Any) -> np.ndarray:
    """uint8 [h w c] refined, as uint8. given: references and masks as for the chain. Raises InputError with `place`."""
    import jax

    key = jax.random.key(seed) if post.random else None
    try:
        return to_uint8(np.asarray(post(image.astype(np.float32) / np.float32(255), key=key, **given)))
    except InputError as error:
        raise InputError(f"{place}: {error}") from None


def open_picture(path: Path) -> Picture:
    """Reads an image file of any kind, upright. Raises OSError or ValueError for what cannot be read whole."""
    from gen.data.decode import open_image

    content = path.read_bytes()
    white = (255, 255, 255)
    with Image.open(io.BytesIO(content)) as opened:
        opened.load()
        gray = opened.mode in ("1", "L", "LA", "I", "I;16", "I;16B", "I;16L", "I;16N")
        alpha = None
        if opened.has_transparency_data:
            rgba = ImageOps.exif_transpose(opened).convert("RGBA")
            alpha, image = np.asarray(rgba)[..., 3], np.asarray(rgba)[..., :3]
    if alpha is None:
        image = np.asarray(open_image(io.BytesIO(content), grayscale=gray, background=white))
    image = image[..., None] if image.ndim == 2 else image
    return Picture(image, alpha, hashlib.sha256(content).hexdigest(), provenance.read(path))


def side_by_side(pairs: Sequence[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    """Before and after of uint8 images [h w c] of any sizes as one picture [H W 3], a row for each."""
    rows = []
    for pair in pairs:
        both = [Image.fromarray(a.repeat(3, -1) if a.shape[-1] == 1 else a) for a in pair]
        both = [image.resize(_shrunk(*image.size)) for image in both]
        height, width = max(i.height for i in both), 2 * _PREVIEW_SIDE + 12
        row = Image.new("RGB", (width, height + 8), "white")
        for at, image in zip((0, _PREVIEW_SIDE + 12), both, strict=True):
            row.paste(image, (at + (_PREVIEW_SIDE - image.width) // 2, 4))
        rows.append(np.asarray(row))
    return np.concatenate(rows)


def _shrunk(width: int, height: int) -> tuple[int, int]:
    scale = min(1.0, _PREVIEW_SIDE / max(width, height))
    return max(1, round(width * scale)), max(1, round(height * scale))


def _jobs(inputs: Sequence[str], out: Path) -> Iterator[tuple[Path, Path]]:
    """Each file to refine with where its result goes. Raises InputError before anything is written."""
    if not inputs:
        raise InputError("no images: name files or folders, python -m gen.refine photos --chain ... --out DIR")
    suffix, taken = pictures.suffix(FLAGS.format), dict[Path, Path]()
    for path in map(Path, inputs):
        for file in image_files([path]):
            target = (out / (file.relative_to(path) if path.is_dir() else file.name)).with_suffix(suffix)
            if target.resolve() == file.resolve():
                raise InputError(f"--out={out}: {file} would be overwritten by its own result; name another folder")
            if target in taken:
                raise InputError(f"{taken[target]} and {file} would both be written to {target}; refine them apart")
            taken[target] = file
            yield file, target


def _named(flag: str, texts: Sequence[str]) -> dict[str, np.ndarray]:
    """Images by name, float [h w c] in [0, 1], of NAME=FILE; masks [h w 1]."""
    found = {}
    for text in texts:
        name, equals, file = text.partition("=")
        if not equals or not name:
            raise InputError(f"--{flag}={text}: allowed: NAME=FILE")
        try:
            image = open_picture(Path(file)).image
        except (OSError, ValueError, UnidentifiedImageError) as error:
            raise InputError(f"--{flag}={text}: cannot be read ({error})") from None
        image = image.astype(np.float32) / np.float32(255)
        found[name] = image.mean(-1, keepdims=True) if flag == "mask" else image
    return found


def _write(target: Path, image: np.ndarray, picture: Picture, post: Chain) -> None:
    """Writes the result with its record: that of the input, if it has one, and the chain."""
    if picture.alpha is not None and FLAGS.format == "png" and picture.alpha.shape == image.shape[:2]:
        image = np.concatenate([image, picture.alpha[..., None]], -1)
    record = provenance.refined(picture.record, chain=str(post), seed=FLAGS.seed, source=picture.digest)
    pictures.save(target, [image], format=FLAGS.format, record=record)


def _listing() -> str:
    """Every operator with what it takes, the first line of its docstring, and the texts that it allows."""
    import inspect

    from gen.imaging.operators import OPERATORS, choices, takes

    lines = []
    for name, function in sorted(OPERATORS.items()):
        given = [p.name if p.default is p.empty else f"{p.name}={p.default!r}" for p in takes(function).values()]
        lines.append(f"{name}({', '.join(given)})\n    {(inspect.getdoc(function) or '').splitlines()[0]}")
        lines += [f"    {parameter}: {allowed}" for parameter, allowed in choices(name).items()]
    return "\n".join(lines)


if __name__ == "__main__":
    cli.guard(lambda: main(cli.parse(sys.argv, sys.modules["__main__"], FLAGS)))
