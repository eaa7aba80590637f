"""Makes images again from their records, and compares them with the files: before the mark, and after.

Before the mark the digest of the pixels decides, which the record holds; after it the pixels of the file, which those
with the key make again. Where something differs, `differences` looks for what.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from gen.errors import InputError
from gen.image_io import Unreadable, open_frames
from gen.outputs import encoding, marking
from gen.outputs.marking import Unmarked
from gen.provenance import PREFIX, Record, run_tag
from gen.provenance.policy import Policy
from gen.verification.answers import Parsed
from gen.verification.differences import Differences, same_picture
from gen.verification.findings import Regeneration, record_of
from gen.verification.parse import Parser
from gen.verification.recipes import Recipe, recipe
from gen.verification.remake import Maker

if TYPE_CHECKING:
    from gen.watermark import Key

_LOSSLESS = ("PNG", "TIFF", "BMP", "PPM")
_FORMATS = {"PNG": "png", "JPEG": "jpeg", "WEBP": "webp", "GIF": "gif"}  # that gen writes, by Pillow's names
Made = list[np.ndarray] | InputError


class Regenerator:
    """Makes images of one run folder again. originals: files that gen.refine may have refined.

    workdir: None makes again only what gen.refine made of these.
    """

    def __init__(
        self, workdir: Path | None, parser: Parser, *, key: Key | None, originals: Sequence[Path] = ()
    ) -> None:
        self._maker = Maker(workdir, parser, originals)
        self._differences = Differences(self._maker)
        self._policy = Policy("mark", key) if key else Policy("record")

    def regenerate(self, files: Sequence[Parsed]) -> list[Regeneration | None]:
        """Makes the image of each file again; None for files without a record."""
        done: list[Regeneration | None] = [None] * len(files)
        recipes = dict[int, Recipe]()
        for i, parsed in enumerate(files):
            if (record := record_of(parsed)) is not None and not parsed.error:
                try:
                    how = recipe(record)
                except InputError as error:
                    done[i] = Regeneration(f"not made again: {error}")
                    continue
                if lacking := self._maker.lacks(how):  # which says nothing against the record
                    done[i] = Regeneration(f"not made again: {lacking}")
                else:
                    recipes[i] = how
        for i, made in self._made(recipes, files):
            if isinstance(made, InputError):
                done[i] = Regeneration(f"not made again: {made}", problem="it cannot be made again from its record")
            else:
                done[i] = self._compared(files[i], recipes[i], made)
        return done

    def _made(self, recipes: Mapping[int, Recipe], files: Sequence[Parsed]) -> Iterator[tuple[int, Made]]:
        """Yields what each recipe makes, stills of the same settings together."""
        settings = lambda i: str(recipes[i]._replace(seeds=(), label=None))  # noqa: E731
        for _, group in itertools.groupby(sorted(recipes, key=settings), settings):
            same = list(group)
            try:
                if recipes[same[0]].kind == "still":
                    images = self._maker.stills([recipes[i] for i in same], files[same[0]])
                    yield from ((i, [image]) for i, image in zip(same, images, strict=True))
                    continue
            except (InputError, MemoryError):
                pass
            for i in same:  # one by one, also where one of them spoils the batch
                try:
                    yield i, self._maker.make(recipes[i], files[i])
                except InputError as error:
                    yield i, error
                except (MemoryError, RuntimeError) as error:
                    if not isinstance(error, MemoryError) and "RESOURCE_EXHAUSTED" not in str(error):
                        raise
                    yield i, InputError("it takes more memory than there is")

    def _compared(self, parsed: Parsed, recipe: Recipe, made: list[np.ndarray]) -> Regeneration:
        record = record_of(parsed) or {}
        format = _FORMATS.get(parsed.format, "png")
        written = encoding.as_written(made, format)
        named = record.get(PREFIX + "pixels")
        before = None if named is None else named == encoding.digest(written)
        finished = self._finished(written, record)
        how = next((how for how, pixels in finished.items() if _equal(parsed, pixels, format)), "")
        problem = self._differences.of_run(record, recipe)
        after = bool(how)
        if after and before is not False:
            return Regeneration(f"made again: equal {how}", True, True, problem)
        if problem:
            return Regeneration("made again: not equal", before, after, problem)
        if after:
            problem = "the record names a digest of other pixels than its own"
            return Regeneration("made again: equal to the file", False, True, problem)
        if before:
            return self._changed_after(parsed, written)
        problem = self._differences.named(parsed, record, recipe, written)
        return Regeneration("made again: not equal", before, False, problem)

    def _changed_after(self, parsed: Parsed, written: list[np.ndarray]) -> Regeneration:
        """What to say where the record is right, and the pixels of the file are not those that were written."""
        text, near = "made again: equal before the mark", same_picture(parsed, written)
        if near is None:
            return Regeneration(text, True, False, "the file shows a picture of another size than its record makes")
        if near and self._policy.key is None:
            return Regeneration(f"{text}; after it not comparable without the key", True, None)
        if near:
            return Regeneration(text, True, False, "the pixels of the file were changed since, as by writing it anew")
        return Regeneration(text, True, False, "the file shows another picture than its record makes")

    def _finished(self, written: list[np.ndarray], record: Record) -> dict[str, list[np.ndarray]]:
        """Returns the pixels without the mark, and with it where there is the key, by what it means to be equal."""
        found = {"to the bit": written}
        if self._policy.key is not None:
            marked = marking.mark([Unmarked(pixels, run_tag(record)) for pixels in written], self._policy)
            found["before the mark and after"] = marked
        return found


def _equal(parsed: Parsed, frames: list[np.ndarray], format: str) -> bool:
    """Whether a file shows these frames, after its compression."""
    if parsed.format in _LOSSLESS and len(frames) == 1:
        return np.array_equal(parsed.pixels, np.stack(frames)) and parsed.pixels.dtype == frames[0].dtype
    try:
        content = encoding.encode(frames, format, durations=None, plays=0)
        shown = [_stacked(picture.pixels, picture.alpha) for picture in open_frames(content)]
    except (InputError, Unreadable):
        return False
    return len(shown) == len(parsed.pixels) and all(map(np.array_equal, shown, parsed.pixels))


def _stacked(pixels: np.ndarray, alpha: np.ndarray | None) -> np.ndarray:
    return pixels if alpha is None else np.concatenate([pixels, alpha[..., None]], -1)
