"""Refines image files by a chain of operators: python -m gen.refine IN... --chain "median(3)|..." --out DIR

Each result has the place and name of its input under DIR, as .png or --format: jpeg, webp, gif, or same, the format of
the input where gen writes it and else png. Of two that would get one name, in upper or lower case, the other keeps its
suffix: a.gif.png. Kept are transparency (white in JPEG, all or none in GIF), the frames of animations, 16 bits a
channel in png; author, copyright, description, keywords and dates; camera, lens and exposure. Dropped are place, serial
numbers and the owner's name (unless --keep_private), maker's notes and thumbnails. Results are upright and in sRGB, see
docs/image_files.md. Every file carries the record of how it was made.

    python -m gen.refine photos --chain "shadows_highlights(shadows=0.3)|vibrance(0.2)" --out refined

Inputs are never replaced, nor is what gen did not write, unless you say --overwrite; results that are found among the
input are not refined again. Files that cannot be read, or that the chain refuses, are left out and listed at the end.
The exit code is 0 when all were refined, 1 when some were left out, 2 when nothing was done.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from gen import cli
from gen.cli import option, run_main
from gen.errors import InputError
from gen.files import printable
from gen.image_io import SUFFIXES
from gen.outputs import manifest, sidecar
from gen.outputs.output_path import check_writable
from gen.provenance.policy import PolicyOptions

if TYPE_CHECKING:
    from gen.refining import RefineResult


@dataclass(frozen=True, kw_only=True)
class RefineOptions(PolicyOptions):
    """What to refine, how, and where the results go."""

    inputs: Sequence[str | Path] = option(
        (), "Image files, and folders with their subfolders.", group="Images", positional="IN..."
    )
    chain: str | None = option(None, "Operators joined by |, see docs/imaging.md.")
    reference: Sequence[str | Path] = option((), "NAME=FILE: an image that the chain names.")
    mask: Sequence[str | Path] = option((), "NAME=FILE: a mask, white and opaque inside, of the images' size.")
    seed: int = option(0, "Seed of operators that draw random numbers.", at_least=0)
    list_operators: bool = option(False, "Print the operators and what they take, and stop.", flag="list")
    out: str | Path | None = option(None, "Folder for the results.", group="Results")
    format: Literal["png", "jpeg", "webp", "gif", "same"] = option("png", "Format of the results.")
    overwrite: bool = option(False, "Also replace files that gen did not write.")
    preview: bool = option(False, "Also write preview.png, before and after.")
    keep_private: bool = option(False, "Also keep where photos were taken, serial numbers, and the owner's name.")


def refine(options: RefineOptions) -> RefineResult:
    """Refines image files. Raises InputError for bad input, and when nothing could be refined."""
    if not options.chain:
        raise InputError('--chain is missing: operators joined by |, such as --chain "gaussian(2)|sepia(0.5)"')
    if not options.out:
        raise InputError("--out is missing: the folder for the results")
    out = Path(options.out)
    if (out.suffix.lower() in SUFFIXES and not out.is_dir()) or out.is_file():
        raise InputError(
            f"--out={printable(out)}: looks like a file; gen.refine writes into a folder, under the names of its input"
        )
    from gen import refining
    from gen.imaging.chain import chain

    references = refining.named_arrays(options.reference, refining.reference, flag="reference")
    masks = refining.named_arrays(options.mask, refining.mask, flag="mask")
    recipe = refining.Recipe(chain(options.chain), options.seed, references, masks, options.keep_private)
    jobs, notes = refining.jobs_of(options.inputs, out, options.format, recipe.made)
    preview = refining.preview_path(out, jobs) if options.preview else None
    for folder in {job.target.parent for job in jobs}:
        check_writable(folder)
    if not options.overwrite:
        targets = [*(job.target for job in jobs), *filter(None, [preview])]
        targets += [sidecar.beside(target) for target in targets if options.sidecar]
        manifest.check(targets, what=f"--out={printable(out)}", remedy="name another folder, or --overwrite")
    policy = options.policy()
    result = refining.refine_all(recipe, jobs, policy, preview=preview, overwrite=options.overwrite)
    return result._replace(notes=notes)


def main(options: RefineOptions) -> int:
    """Refines files, or lists the operators; returns the exit code. Raises InputError for bad input."""
    if options.list_operators:
        from gen.imaging.catalog import listing

        print(listing())
        return 0
    began = time.monotonic()
    done = refine(options)
    images = f"{done.refined:,} image{'' if done.refined == 1 else 's'}"
    beside = f", beside {done.passed_over:,} composed or refined by gen before," if done.passed_over else ""
    print(f"{images}{beside} in {time.monotonic() - began:.1f} s: {printable(options.out)}")
    for line in done.lines():
        cli.say(line)
    return 1 if done.left_out else 0


if __name__ == "__main__":
    run_main(main, RefineOptions)
