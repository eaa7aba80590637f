"""Refines many files; what cannot be refined is left out, with the reason."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from gen import cli, provenance
from gen.errors import InputError
from gen.files import printable
from gen.image_io import Unreadable
from gen.outputs import image_writer, manifest, sidecar
from gen.provenance.policy import Policy
from gen.refining.original import Original, encode, open_original, refine, shrunk, stacked
from gen.refining.targets import Job
from gen.report.contact_sheet import Tile, sheet
from gen.report.pictures import enlargement

if TYPE_CHECKING:
    from gen.imaging.chain import Chain

_PREVIEW_IMAGES = 8
_MOST_LISTED = 50  # files that are left out
_log = logging.getLogger(__name__)


class Recipe(NamedTuple):
    """The chain with what it needs."""

    post: Chain
    seed: int  # of random operators
    references: Mapping[str, np.ndarray]  # that the chain names, see `original.reference`
    masks: Mapping[str, np.ndarray]  # see `original.mask`
    keep_private: bool = False  # place, serial numbers and owner's name of a photograph

    def record(self, kept: provenance.Record | None = None, **more: str) -> provenance.Record:
        """Returns the record of a refined image. kept: that of its source. more: see `provenance.refined`."""
        return provenance.refined(kept, chain=self.post.record_text, seed=self.seed, **more)

    def made(self, record: provenance.Record) -> bool:
        """Returns whether an image with this record is a result of this recipe."""
        text = self.record()["gen:refine"]
        same = record.get("gen:refine") == text and "gen:refine_seed" in record
        return same and (not self.post.random or record["gen:refine_seed"] == self.seed)

    def passes(self, record: provenance.Record) -> bool:
        """Returns whether an image of a folder is passed over: a result of this recipe, or a sheet of gen."""
        return self.made(record) or "gen:shows" in record


class LeftOut(NamedTuple):
    """A file that has no result, and why."""

    source: Path
    reason: str


class RefineResult(NamedTuple):
    """The number of files by what was done with them."""

    refined: int
    passed_over: int  # found in a folder, and made by gen, see `Recipe.passes`
    left_out: list[LeftOut]
    notes: Sequence[str] = ()  # about what was not taken for an input

    def lines(self) -> list[str]:
        """Returns what was passed over and what was left out, in lines."""
        listed = [f"{printable(source)}: left out, {reason}" for source, reason in self.left_out[:_MOST_LISTED]]
        more = len(self.left_out) - len(listed)
        return [*self.notes, *listed, *([f"and {more:,} more left out"] if more else [])]


def refine_all(
    recipe: Recipe, jobs: Sequence[Job], policy: Policy, *, preview: Path | None, overwrite: bool
) -> RefineResult:
    """Writes the results. Raises InputError when there are none, and for what the disk refuses.

    preview: where the first ones go, before and after. overwrite: also files that gen did not write.
    """
    made, again, left_out = 0, 0, list[LeftOut]()
    shown = list[tuple[str, list[Tile]]]()
    for job in cli.progress(jobs, len(jobs)):
        try:
            original = open_original(job.source, first=job.format == "jpeg", private=recipe.keep_private)
            if not job.named and any(map(recipe.passes, original.records.values())):
                again += 1
                continue
            images, record, content = _refined(recipe, job, original, policy)
        except Unreadable as error:
            left_out.append(LeftOut(job.source, f"cannot be read ({error})"))
        except InputError as error:
            left_out.append(LeftOut(job.source, str(error)))
        except (MemoryError, RuntimeError) as error:  # of jax, which may not have got the memory
            left_out.append(LeftOut(job.source, f"cannot be refined ({printable(error) or 'out of memory'})"))
        else:
            _write(job.target, content, record, policy, overwrite=overwrite)
            made += 1
            if preview and len(shown) < _PREVIEW_IMAGES:
                before = shrunk(stacked(original.frames[0]))
                shown.append((job.target.name, [("before", before), ("after", shrunk(images[0]))]))
            if original.left:
                _log.warning(
                    "%s: only the first of its %d frames or pages is there", printable(job.source), original.left + 1
                )
    if preview and shown:
        record = recipe.record(shows="before and after")
        scale = min(enlargement(*tile.shape[:2]) for _, tiles in shown for _, tile in tiles)  # so that captions fit
        picture = image_writer.encode([sheet(shown, scale=scale)], format="png", record=record, policy=policy)
        _write(preview, picture, record, policy, overwrite=overwrite)
    if not made and left_out:
        first = f"{printable(left_out[0].source)}: {left_out[0].reason}"
        raise InputError(first if len(jobs) == 1 else f"none of the {len(jobs):,} files can be refined; {first}")
    if not made:
        what = f"all {again:,} images are results of this chain, or sheets of gen"
        raise InputError(f"{what}; to refine them nevertheless, name the files")
    return RefineResult(made, again, left_out)


def _refined(
    recipe: Recipe, job: Job, original: Original, policy: Policy
) -> tuple[list[np.ndarray], provenance.Record, bytes]:
    """Returns the frames after the chain, their record, and the content of their file."""
    import jax

    given = {"references": recipe.references, "masks": recipe.masks}
    images = [refine(recipe.post, frame, seed=recipe.seed, **given) for frame in original.frames]
    provenance.warn_of_disagreements(job.source, original.records)
    kept = original.records[provenance.chosen(original.records)] if original.records else None
    device = jax.devices()[0].device_kind
    claimed = "" if kept else provenance.claimed_source_type(job.source)
    record = recipe.record(kept, source=original.digest, device=device, claimed=claimed)
    return images, record, encode(original, images, format=job.format, record=record, policy=policy)


def _write(path: Path, content: bytes, record: provenance.Record, policy: Policy, *, overwrite: bool) -> None:
    manifest.write(path, content, overwrite=overwrite)
    if policy.sidecar:
        manifest.write(sidecar.beside(path), sidecar.text(record, content).encode(), overwrite=overwrite)
