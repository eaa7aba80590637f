"""Looks into a trained model's latent space, a GAN's or an autoencoder's (a prior and a flow have that of theirs):

    python -m gen.latents encode IN... --workdir DIR --out FILE.npz         images to latents
    python -m gen.latents decode FILE.npz --workdir DIR --out OUT           latents to images
    python -m gen.latents project IN... --workdir DIR --out OUT             the nearest images that the model can make
    python -m gen.latents interpolate A B... --workdir DIR --out OUT.webp   from each image to the next
    python -m gen.latents directions [IN...] --workdir DIR --out OUT.png    what changes along each direction
    python -m gen.latents edit IN... --workdir DIR --direction 2 --strength 1.5 --out OUT

IN are image files and folders, brought to the size and channels of the run. OUT is a folder that gets one .png file per
image, or a .png file that gets them all: of project and edit below the given ones. An autoencoder encodes images; a GAN
finds latents by gradient descent, in --steps steps, among all classes unless there is a --label. Project prints the
PSNR of each image and writes them as .json beside the picture, where "difference" is gray if there is none.
Directions are the ones that the first linear map responds to most (SeFa), or principal components (GANSpace); the rows
of the picture are numbered as --direction counts, and show -3 to 3 standard deviations, from --seeds or from IN.
"""

from __future__ import annotations

import inspect
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

from gen.cli import option, run_main
from gen.errors import InputError
from gen.files import printable
from gen.outputs.output_path import parse_target
from gen.provenance.policy import PolicyOptions
from gen.runs.best import Step
from gen.training import compile_cache

if TYPE_CHECKING:
    from gen.sampling.latent_space.commands import LatentsResult


@dataclass(frozen=True, kw_only=True)
class LatentsOptions(PolicyOptions):
    """What to do in which latent space."""

    command: Literal["encode", "decode", "project", "interpolate", "directions", "edit"] = option(
        ..., "What to do: encode, decode, project, interpolate, directions or edit", positional="COMMAND"
    )
    inputs: Sequence[str | Path] = option((), "Image files and folders, or one file of latents", positional="IN...")
    workdir: str | Path = option(..., "Folder of the run", group="Run and output")
    step: Step = option("best", "Checkpoint to use; best: of those that training measured", at_least=0)
    out: str | Path = option(..., "Where results go: a folder, or one file")
    batch_size: int = option(64, "Images at once", at_least=1, at_most=65_536)
    label: str | None = option(None, "Class of the images, a name or a number", group="Projection into a GAN")
    steps: int = option(300, "Gradient steps for an image", at_least=1, at_most=1_000_000)
    seed: int = option(0, "Seed of the latents that the descent starts with", at_least=0, at_most=2**32 - 1)
    frames: int = option(24, "Images from one image to the next", group="Interpolation", at_least=1, at_most=10_000)
    method: Literal["closed_form", "pca"] = option(
        "closed_form", "How directions are found", group="Directions and edits"
    )
    num_directions: int = option(8, "How many directions to show, at most", at_least=1, at_most=1000)
    seeds: str = option("0-2", "Images to show directions on, where no IN is given")
    direction: int | None = option(None, "Which direction to edit along, from 0", at_least=0)
    strength: float = option(1.5, "How far along it, in standard deviations", at_least=-100.0, at_most=100.0)
    examples: str | Path | None = option(None, "Images that an autoencoder's directions are measured on")


class _Command(NamedTuple):
    """What a command takes and writes."""

    least: int  # inputs
    most: int | None
    suffixes: tuple[str, ...]  # "" is a folder
    settings: tuple[str, ...] = ()  # that its result depends on


_COMMANDS = {
    "encode": _Command(1, None, (".npz",)),
    "decode": _Command(1, 1, ("", ".png")),
    "project": _Command(1, None, ("", ".png")),
    "interpolate": _Command(1, None, (".webp", ".gif", ".png"), ("frames",)),
    "directions": _Command(0, None, ("", ".png"), ("method", "num_directions")),
    "edit": _Command(1, None, ("", ".png"), ("method", "direction", "strength")),
}


def latents(options: LatentsOptions) -> LatentsResult:
    """Does what a command of gen.latents does. Raises InputError for bad input."""
    name, inputs, command = options.command, options.inputs, _COMMANDS[options.command]
    if len(inputs) < command.least:
        raise InputError(f"{name}: no input; python -m gen.latents --help shows what it needs")
    if command.most is not None and len(inputs) > command.most:
        raise InputError(f"{name}: unexpected argument '{inputs[command.most]}'; it takes one file of latents")
    if name == "edit" and options.direction is None:
        raise InputError("--direction is missing: the number of a row in what `directions` shows")
    out = parse_target(options.out, command.suffixes, name)
    policy = options.policy(marks=name != "encode")  # which writes no image
    from gen.sampling.latent_space import commands

    text = " ".join([name, *(f"--{flag}={getattr(options, flag)}" for flag in (*command.settings, "steps"))])
    given = {flag: getattr(options, flag) for flag in ("workdir", "step", "label", "steps", "seed", "batch_size")}
    session = commands.open_session(out, text=text, policy=policy, **given)
    call = getattr(commands, name)
    wanted = list(inspect.signature(call).parameters)[1:]
    return call(session, **{argument: getattr(options, argument) for argument in wanted})


def main(options: LatentsOptions) -> None:
    """Prints what was written, and how near a projection came."""
    began = time.monotonic()
    compile_cache.enable(None)
    result = latents(options)
    for file, value in result.psnr.items():
        print(f"{value:6.2f} dB  {printable(file)}")
    if result.psnr:
        print(f"{statistics.median(result.psnr.values()):6.2f} dB  median")
    made = f"{result.num_images:,} image{'' if result.num_images == 1 else 's'} of checkpoint {result.step:,}"
    print(f"{made} in {time.monotonic() - began:.1f} s: {printable(options.out)}")


if __name__ == "__main__":
    run_main(main, LatentsOptions)
