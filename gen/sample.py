"""Makes images with a trained run, one for each seed: python -m gen.sample --workdir DIR --seeds 0-63 --out OUT

OUT is a folder that gets one file per image, or a .png or .jpg file that gets all images in one grid (the image itself
when there is one). With --interpolate it is a .webp or .gif file, or the folder that gets one. Existing images of gen
are overwritten, others never. The image of seed s is drawn from jax.random.key(s) alone: with the same versions and on
one kind of device it is the same to the bit, whatever the other seeds, the batch size and the number of processes;
elsewhere, and on a CPU with another number of virtual devices, it is the same up to rounding. Several processes sample
together by --coordinator, see docs/scale.md. With --refine a chain of gen.imaging refines every image, and
refinement.html in the folder, or NAME-refinement.html beside the file, shows it before and after. Every file carries
the record of how it was made, see gen/provenance.

A prior or a flow, see gen/tasks, also completes image files, each seed in another way:

    python -m gen.sample IN... --inpaint bottom_half --workdir DIR --seeds 0-4 --out OUT

IN are image files and folders. --inpaint makes a part of them anew and keeps the rest to the bit; --upscale makes
images of twice their size; --predict_frames makes the next --frames of a film, of which IN is the last frame or the
folder of its frames. OUT gets NAME-seed0000.png for each result (of a film all its frames side by side, and the film),
in NAME-variance.png how much the results differ, in NAME-surprisal.png how unusual a prior finds them, and
predictions.png, which shows all.

A model that learned captions, see docs/words.md, makes what a text says, each prompt with every seed:

    python -m gen.sample --prompt "a red star" --prompt "two blue squares" --workdir DIR --seeds 0-7 --out OUT
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from gen.cli import SAMPLING, MemberOptions, option, run_main
from gen.cli.arguments import parse_labels, parse_seeds
from gen.errors import InputError
from gen.files import printable
from gen.outputs.output_path import check_writable, parse_output
from gen.provenance.policy import RECORD, PolicyOptions
from gen.runs.best import Step
from gen.training import compile_cache

if TYPE_CHECKING:
    from gen.runs.trained_run import TrainedRun
    from gen.sampling.prompts import Line
    from gen.sampling.settings import SampleResult

_REQUESTS = ("inpaint", "upscale", "predict_frames")
_CONDITIONS = ("temperature", "top_k", "top_p", "guidance", "steps")


@dataclass(frozen=True, kw_only=True)
class SampleOptions(PolicyOptions, MemberOptions):
    """Which images to make, by which run, and where they go."""

    inputs: Sequence[str | Path] = option(
        (), "Image files and folders, for a prior or a flow to work on", positional="IN..."
    )
    workdir: str | Path = option(..., "Folder of the run", group="Run and output")
    step: Step = option("best", "Checkpoint to use; best: of those that training measured", at_least=0)
    out: str | Path = option(..., "Where the images go: a folder, or one file")
    format: Literal["png", "jpeg", "webp", "gif"] | None = option(None, "By default png, of animations webp")
    batch_size: int = option(64, "Images on their way at once; they do not depend on it", at_least=1, at_most=65_536)
    seeds: str | None = option(
        None, "Ranges, both ends included, or a list: 0-63 (default; 0-4 with IN), 3,7,11 or 5", group="Images"
    )
    label: str | None = option(None, "Class: a name, a number, several with commas, or all; each with every seed")
    prompt: Sequence[str] = option((), "Text to make an image of; several times: each with every seed")
    prompts: str | Path | None = option(None, "File of prompts, one a line, or .jsonl: prompt, seed, label")
    negative: str | None = option(None, "Text that --guidance leads away from")
    truncation: float = option(1.0, "Below 1: more typical, less varied images", **SAMPLING["truncation"])
    refine: str | None = option(None, "Chain for every image, docs/imaging.md; default: the run's; none: none")
    grid: bool = option(False, "Also write all images as one picture, a row per class")
    interpolate: bool = option(False, "Write an animation that moves from each seed to the next")
    frames: int | None = option(
        None, "Of --interpolate for each pair, of --predict_frames; default 24", at_least=1, at_most=10_000
    )
    inpaint: str | Path | None = option(
        None,
        "To make anew: bottom_half, top_half, left_half, right_half, center, border; a mask",
        group="Priors and flows",
    )
    upscale: bool = option(False, "Make images of twice the size of IN")
    predict_frames: bool = option(False, "Make the frames that follow IN")
    temperature: float | None = option(
        None, "Below 1 more probable images, 0 the most probable", **SAMPLING["temperature"]
    )
    top_k: int | None = option(None, "Draw from the k most probable tokens; 0: from all", at_least=0)
    top_p: float | None = option(None, "Draw from the most probable tokens of this probability", **SAMPLING["top_p"])
    guidance: float | None = option(None, "Above 1 closer to the class or context, less varied", **SAMPLING["guidance"])
    steps: int | None = option(None, "Of a flow: more take longer and are more exact", **SAMPLING["steps"])


def sample(options: SampleOptions) -> SampleResult:
    """Writes images by seed, or what a prior or a flow makes of image files. Raises InputError for bad input.

    Of several processes all compute, and process 0 writes.
    """
    request = _request(options)
    seeds = parse_seeds(options.seeds or ("0-4" if request else "0-63"), repeated=options.interpolate)
    if options.prompt and options.prompts:
        raise InputError("--prompt and --prompts do not go together; leave one out")
    lines = _lines(options, request)
    if options.interpolate and len(seeds) == 1 and len(lines) == 2:
        seeds *= 2  # the same image, by one prompt and by the other
    if options.interpolate and len(seeds) < 2:
        raise InputError(f"--interpolate needs at least two seeds, and --seeds={options.seeds} is one")
    animated = options.interpolate or options.predict_frames
    if options.frames and not animated:
        raise InputError(f"--frames={options.frames} is of --interpolate and --predict_frames; leave it out")
    output, frames = parse_output(options.out, options.format, animated), options.frames or 24
    if request and (output.file or output.format == "jpeg"):
        raise InputError(f"--out={options.out}: results are .png files in a folder, and --out must name the folder")
    check_writable(output.folder)
    from gen import devices, processes
    from gen.imaging.chain import chain
    from gen.runs import trained_run
    from gen.sampling import conditional, outputs
    from gen.sampling.prompts import check_once
    from gen.sampling.settings import Settings

    policy = options.policy() if processes.writes() else RECORD  # which needs no keys
    post = None if options.refine in (None, "none") else chain(options.refine)
    mesh = devices.mesh(-1, 1)
    run = trained_run.load(options.workdir, step=options.step, mesh=mesh)
    if options.refine is None and run.config.refine not in ("", "none"):
        post = chain(run.config.refine)
    labels = parse_labels(options.label, run.class_names)
    conditions = {name: value for name in _CONDITIONS if (value := getattr(options, name)) is not None}
    conditional.check_settings(run, conditions, prefix="--")
    texts = _texts(options, run, lines, known=bool(labels))
    settings = Settings(seeds, labels, options.truncation, conditions, options.batch_size, mesh, *texts)
    if not options.interpolate:  # which has a way from a text to itself
        check_once(settings.each, name=_name(options))
    if output.file and not animated and len(settings.each.seeds) > 1:
        _check_alike(options, lines, f"the grid --out={options.out}")
    if options.inpaint:
        asked = conditional.inpaint_files(run, options.inputs, options.inpaint)
    elif options.upscale:
        asked = conditional.upscale_files(run, options.inputs)
    elif options.predict_frames:
        asked = conditional.predict_frames_files(run, options.inputs, frames)
    elif options.interpolate:
        return outputs.write_animation(run, settings, output, post, policy=policy, frames=frames)
    else:
        return outputs.write_stills(run, settings, output, post, policy=policy, with_grid=options.grid)
    return conditional.write(run, asked, settings, output, policy=policy)


def _name(options: SampleOptions) -> str:
    """Returns what prompts are given by."""
    return f"--prompts={options.prompts}" if options.prompts else "--prompt"


def _lines(options: SampleOptions, request: str | None) -> list[Line]:
    """Returns the prompts. Raises InputError."""
    if not (options.prompt or options.prompts):
        return []
    from gen.sampling.prompts import Line, read_prompts

    lines = read_prompts(options.prompts) if options.prompts else [Line(text) for text in options.prompt]
    if one := request or next((name for name in ("interpolate", "grid") if getattr(options, name)), None):
        _check_alike(options, lines, f"--{one}")
    return lines


def _check_alike(options: SampleOptions, lines: Sequence[Line], what: str) -> None:
    """Raises InputError for lines with their own seed or class, where all are for `what`."""
    if number := next((line.number for line in lines if (line.seed, line.label) != (None, None)), 0):
        taken = f"{what} has the same of all; leave it out of the file, or {what}"
        raise InputError(f"{_name(options)}: line {number} has its own seed or class, and {taken}")


def _texts(
    options: SampleOptions, run: TrainedRun, lines: Sequence[Line], *, known: bool
) -> tuple[list[str], str | None, list[tuple[int | None, int | None]]]:
    """Returns the prompts, the negative one, and the own seed and class of each. Raises InputError.

    known: whether there is --label.
    """
    from gen.sampling.prompts import check_negative, check_prompts

    prompts, own = check_prompts(run, [line.prompt for line in lines], name=_name(options)), []
    given = options.upscale or options.predict_frames
    known = bool(known or prompts or given or (run.class_names and not options.inpaint))
    negative = check_negative(run, options.negative, options.guidance, known=known)
    for line in lines:
        try:
            label = parse_labels(line.label, run.class_names)
        except InputError as error:
            raise InputError(f"{_name(options)}: line {line.number}: {error}") from None
        if label is not None and len(label) > 1:
            raise InputError(f"{_name(options)}: line {line.number}: a prompt is of one class at most")
        own.append((line.seed, label[0] if label else None))
    return prompts, negative, own


def _request(options: SampleOptions) -> str | None:
    """Which of _REQUESTS there is. Raises InputError for options that contradict each other."""
    given = [name for name in (*_REQUESTS, "interpolate", "grid", "refine") if getattr(options, name)]
    request = given[0] if given and given[0] in _REQUESTS else None
    if len(given) > 1 and (request or given[:2] == ["interpolate", "grid"]):
        raise InputError(f"--{given[0]} and --{given[1]} do not go together; leave one out")
    if options.inputs and not request:
        allowed = "--inpaint, --upscale or --predict_frames"
        raise InputError(f"unexpected argument '{options.inputs[0]}'; images are for {allowed}")
    if request and not options.inputs:
        raise InputError(f"--{request} needs images: python -m gen.sample IN... --{request} ..., files or folders")
    return request


def main(options: SampleOptions) -> None:
    """Prints what was written."""
    compile_cache.enable(None)
    _request(options)  # a mistake is told before jax is imported
    from gen.processes import together, writes

    with together(options):
        result = sample(options)
        if not writes():
            return
    images = "image" if result.num_images == 1 else "images"
    made = f"{result.num_images:,} {images} of checkpoint {result.step:,} in {result.seconds:.1f} s"
    print(f"{made}: {printable(options.out)}")


if __name__ == "__main__":
    run_main(main, SampleOptions)
