"""Refines image files by a chain of operators: python -m gen.refine IN... --chain "median(3)|..." --out DIR

IN are image files and folders (searched with their subfolders). Each result has the place and name of its input under
DIR, as .png or --format: jpeg, webp, gif, or same, the format of the input where gen writes it and else png. Of two
that would get one name, in upper or lower case, the other keeps its suffix: a.gif.png. Kept are transparency (in JPEG
white, in GIF all or none), the frames of animations, 16 bits a channel in png, and the author, copyright and date;
colors are sRGB. Example:

    python -m gen.refine photos --chain "shadows_highlights(shadows=0.3)|vibrance(0.2)" --out refined

Nothing that gen did not write is replaced, unless you say --overwrite, and the input never; results that are found
among the input are not refined again. Files that cannot be read, or that the chain refuses, are left out and listed at
the end. The exit code is 0 when all were refined, 1 when some were left out, 2 when nothing was done.

--preview also writes DIR/preview.png, before and after side by side. --list names the operators. Every file carries the
record of how it was made, see gen/provenance.py.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from absl import flags

from gen import cli, refining, written
from gen.asked import check_writable
from gen.errors import InputError
from gen.files import printable
from gen.image_io import SUFFIXES, Unreadable

FLAGS = flags.FlagValues()
flags.DEFINE_string("chain", None, "Operators joined by |, see docs/imaging.md.", flag_values=FLAGS)
cli.define_path("out", None, "Folder for the results.", flag_values=FLAGS)
cli.define_path("reference", [], "NAME=FILE: an image that the chain names.", flag_values=FLAGS, many=True)
cli.define_path(
    "mask",
    [],
    "NAME=FILE: a mask, white and opaque inside, of the size of the images.",
    flag_values=FLAGS,
    many=True,
)
flags.DEFINE_integer("seed", 0, "Of operators that draw random numbers.", lower_bound=0, flag_values=FLAGS)
flags.DEFINE_enum("format", "png", ("png", "jpeg", "webp", "gif", "same"), "Of the results.", flag_values=FLAGS)
flags.DEFINE_bool("overwrite", False, "Also replace files that gen did not write.", flag_values=FLAGS)
flags.DEFINE_bool("preview", False, "Also write preview.png, before and after.", flag_values=FLAGS)
flags.DEFINE_bool("list", False, "Print the operators and what they take, and stop.", flag_values=FLAGS)

_MOST_LISTED = 50  # files that are left out


def main(inputs: Sequence[str]) -> int:
    """Refines what the flags and `inputs` ask for; returns the exit code. Raises InputError for bad input."""
    if FLAGS.list:
        print(_listing())
        return 0
    if not FLAGS.chain:
        raise InputError('--chain is missing: operators joined by |, such as --chain "gaussian(2)|unsharp(1, 0.5)"')
    if not FLAGS.out:
        raise InputError("--out is missing: the folder for the results")
    out = Path(FLAGS.out)
    if (out.suffix.lower() in SUFFIXES and not out.is_dir()) or out.is_file():
        raise InputError(
            f"--out={printable(out)}: looks like a file; gen.refine writes into a folder, under the names of its input"
        )
    from gen.imaging.chain import chain

    post = chain(FLAGS.chain)
    references, masks = _named("reference", refining.reference), _named("mask", refining.mask)
    recipe = refining.Recipe(post, post.record_text, FLAGS.seed, references, masks)
    jobs, lines = refining.jobs_of(inputs, out, FLAGS.format, recipe.made)
    preview = refining.preview_path(out, jobs) if FLAGS.preview else None
    for folder in {job.target.parent for job in jobs}:
        check_writable(folder)
    if not FLAGS.overwrite:
        targets = [*(job.target for job in jobs), *([preview] if preview else [])]
        written.check(targets, what=f"--out={printable(out)}", remedy="name another folder, or --overwrite")
    began = time.monotonic()
    done = refining.refine_all(recipe, jobs, preview=preview, overwrite=FLAGS.overwrite)
    if not done.made and done.left_out:
        first = f"{printable(done.left_out[0].source)}: {done.left_out[0].reason}"
        raise InputError(first if len(jobs) == 1 else f"none of the {len(jobs):,} files can be refined; {first}")
    if not done.made:
        what = f"all {done.again:,} images are results of this chain, or sheets of gen"
        raise InputError(f"{what}; to refine them nevertheless, name the files")
    images = f"{done.made:,} image{'' if done.made == 1 else 's'}"
    beside = f", beside {done.again:,} made by gen before," if done.again else ""
    print(f"{images}{beside} in {time.monotonic() - began:.1f} s: {printable(out)}")
    for line in lines:
        cli.say(line)
    for source, reason in done.left_out[:_MOST_LISTED]:
        cli.say(f"{printable(source)}: left out, {reason}")
    if len(done.left_out) > _MOST_LISTED:
        cli.say(f"and {len(done.left_out) - _MOST_LISTED:,} more left out")
    return 1 if done.left_out else 0


def _named(flag: str, read: Callable[[Path], np.ndarray]) -> dict[str, np.ndarray]:
    """What the flag gives as NAME=FILE, by name."""
    found = {}
    for text in FLAGS[flag].value or ():
        name, equals, file = text.partition("=")
        if not equals or not name:
            raise InputError(f"--{flag}={printable(text)}: allowed: NAME=FILE")
        try:
            found[name] = read(Path(file))
        except Unreadable as error:
            raise InputError(f"--{flag}={printable(text)}: cannot be read ({error})") from None
    return found


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
