"""Does a run draw what prompts ask for? An exact score on `scenes`, by skills, as GenEval has them.

    python benchmarks/scenes.py                      # without a run: real renders of what is asked, and chance
    python benchmarks/scenes.py --workdir RUN        # samples of a run, too
    python benchmarks/scenes.py --picture scenes.png # scenes with their captions, and no more
    python benchmarks/scenes.py --smoke              # a few steps of everything, no claim

Trains a reader of objects on renders (--steps), prints how many objects of held-out renders it reads right, and then,
for each skill, the share of --number prompts that are fulfilled with its 95 % interval: on real renders (the ceiling),
on those of other prompts (chance), on the images of combinations that were learned from, on these as if each had been
drawn for another prompt (shuffled), and on the images of combinations that were never learned from. At last whether
the order of words matters: how often of two objects the right one is left of, right of, above or below the other; and,
of a flow, its loss on held-out scenes with their captions and with those of others.
Objects are read by the detector, at most five, so that five are not taken for four; or with --fit by a fit of the
renderer that starts from it, the fifth as the detector has it. Which of two objects is in front is not read.
"""

from __future__ import annotations

import argparse
import pathlib
import tempfile
import textwrap
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from PIL import Image, ImageDraw

from gen import devices
from gen.config import experiment
from gen.data.scene_captions import Prompt, captions_of, prompts
from gen.data.scene_world import Scene
from gen.data.scenes import HELD_OUT_START, MOST_THINGS, pack, paint, render, scene
from gen.features.scene_fit import fit
from gen.features.scene_reader import Reader, trained_reader
from gen.image_io.pixels import to_uint8
from gen.metrics.bootstrap import Value
from gen.metrics.composition import SKILLS, Found, composition, place_of, relation_of
from gen.runs import trained_run
from gen.sampling import by_seed
from gen.sampling.prompts import captions_for, check_prompts, tokens_for
from gen.tasks.flow import Flow
from gen.training import loop

Read = Callable[[np.ndarray], list[list[Found]]]


def rendered(scenes: Sequence[Scene]) -> np.ndarray:
    """Images [n 32 32 3] of scenes, in batches of one size so that they compile once."""
    images, size = [], 64
    for start in range(0, len(scenes), size):
        some = scenes[start : start + size]
        padded = [*some, *[some[0]] * (size - len(some))]
        images.append(np.asarray(paint(jax.tree.map(jnp.asarray, pack(padded)), resolution=32)[0])[: len(some)])
    return np.concatenate(images)


Draw = Callable[[Sequence[Prompt]], np.ndarray]


def draw_truth(asked: Sequence[Prompt]) -> np.ndarray:
    """Images [n 32 32 3] in [0, 1] of what prompts ask for, as the renderer draws it."""
    return rendered([prompt.scene for prompt in asked])


def drawer(run: trained_run.TrainedRun, guidance: float | None) -> Draw:
    """Returns what draws prompts by a run, with seeds 0, 1, 2 ..."""
    mesh = devices.mesh(-1, 1)
    conditions = {} if guidance is None else {"guidance": np.float32(guidance)}

    def draw(asked: Sequence[Prompt]) -> np.ndarray:
        texts, seeds = [prompt.text for prompt in asked], range(len(asked))
        check_prompts(run, texts)
        given = {"captions": captions_for(run, texts, None, len(texts)), "conditions": conditions, "mesh": mesh}
        return np.concatenate([*by_seed.images(run.task, run.ema_params, seeds, **given)])

    return draw


def reader_accuracy(read: Read, number: int) -> dict[str, float]:
    """Share of held-out single objects that are read right, by factor; `alone`: that exactly one is found."""
    scenes = [scene(HELD_OUT_START + 4 * n) for n in range(number)]
    found = read(rendered(scenes))
    right = dict.fromkeys(("alone", "kind", "color", "size", "place"), 0)
    for truth, things in zip(scenes, found, strict=True):
        right["alone"] += len(things) == 1
        if things:
            for name in ("kind", "color", "size"):
                right[name] += getattr(things[0], name) == getattr(truth.things[0], name)
            right["place"] += place_of(things[0]) == truth.place
    return {name: count / number for name, count in right.items()}


def row(skill: str, draw: Draw, read: Read, number: int) -> str:
    """One line of the table."""
    cells = [skill]
    for unseen in (False, True):
        asked = prompts(skill, number, unseen=unseen)
        if not asked:
            cells.append("")
            continue
        wanted = [prompt.wanted for prompt in asked]
        if not unseen:
            real = read(draw_truth(asked))
            shuffled = [real[n - 1] for n in range(len(real))]
            cells += [percent(composition(wanted, things).prompts) for things in (real, shuffled)]
        things = read(draw(asked))
        score = composition(wanted, things)
        cells.append(f"{percent(score.prompts)}, atoms {score.atoms.value:.1%}")
        if not unseen:
            cells.append(percent(composition(wanted, [things[n - 1] for n in range(len(things))]).prompts))
    return "| " + " | ".join(cells) + " |"


def word_order(draw: Draw, read: Read, number: int) -> str:
    """How often relations are as they were asked for, and how often the other way round."""
    asked = prompts("position", number)
    right = reverse = both = 0
    for prompt, things in zip(asked, read(draw(asked)), strict=True):
        first, second = ([thing for thing in things if thing.kind == group.kind] for group in prompt.wanted.groups)
        sided = prompt.wanted.relation in ("left of", "right of", "above", "below")
        if sided and first and second and prompt.wanted.groups[0].kind != prompt.wanted.groups[1].kind:
            both += 1
            right += relation_of(first[0], second[0]) == prompt.wanted.relation
            reverse += relation_of(second[0], first[0]) == prompt.wanted.relation
    return f"of {both} images with both objects, their sides are right in {right}, and exchanged in {reverse}"


def caption_losses(run: trained_run.TrainedRun, number: int = 512) -> str:
    """A flow's loss on held-out scenes at some times, with their captions and with others'; of another task ""."""
    if not isinstance(run.task, Flow):
        return ""
    task, indices = run.task, np.arange(HELD_OUT_START, HELD_OUT_START + number)
    made = render(indices)
    texts = [captions_of(each, int(index))[0] for each, index in zip(made.scenes, indices, strict=True)]
    caption, x = jnp.asarray(tokens_for(run, texts)), 2 * made.image - 1
    e = jax.random.normal(jax.random.key(0), x.shape)

    @jax.jit
    def loss(t: jax.Array, caption: jax.Array) -> jax.Array:
        velocity = task.velocity(run.ema_params, (1 - t) * x + t * e, t, caption=caption)
        return jnp.square(velocity - (e - x)).mean()

    both = caption, jnp.roll(caption, 1, axis=0)
    said = [
        f"{t}: " + ", ".join(f"{float(loss(jnp.float32(t), each)):.4f}" for each in both)
        for t in (0.3, 0.5, 0.7, 0.85, 0.95)
    ]
    return "loss by time, with their captions and with others': " + "; ".join(said)


def picture(rows: int = 4, columns: int = 8, *, side: int = 128, line: int = 26) -> Image.Image:
    """Draws the first scenes, enlarged, each above its first caption."""
    made = render(np.arange(rows * columns))
    width, height = side + 56, side + 62
    page = Image.new("RGB", (columns * width, rows * height), "white")
    draw = ImageDraw.Draw(page)
    for index, (pixels, one) in enumerate(zip(to_uint8(np.asarray(made.image)), made.scenes, strict=True)):
        x, y = index % columns * width + 4, index // columns * height + 4
        page.paste(Image.fromarray(pixels).resize((side, side), Image.Resampling.NEAREST), (x, y))
        lines = textwrap.wrap(captions_of(one, index)[0], line)
        draw.multiline_text((x, y + side + 2), "\n".join(lines), fill="black", spacing=1)
    return page


def percent(value: Value) -> str:
    return f"{value.value:.1%} ({value.low:.1%} to {value.high:.1%})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workdir", type=pathlib.Path)
    parser.add_argument("--guidance", type=float, help="of a prior or a flow")
    parser.add_argument("--number", type=int, default=200, help="of prompts for each skill")
    parser.add_argument("--steps", type=int, default=3000, help="of the reader's training")
    parser.add_argument("--fit", action="store_true", help="read by the fit of the renderer")
    parser.add_argument("--picture", type=pathlib.Path)
    parser.add_argument("--smoke", action="store_true")
    given = parser.parse_args()
    if given.picture:
        picture().save(given.picture, optimize=True)
        return
    if given.smoke:
        given.number, given.steps, given.fit = 4, 2, True
        given.workdir = pathlib.Path(tempfile.mkdtemp()) / "run"
        loop.train(experiment.load("experiments/scenes.py:smoke"), given.workdir)
    batch = 4 if given.smoke else 64
    reader: Reader = trained_reader(steps=given.steps, batch_size=batch)

    def read(images: np.ndarray) -> list[list[Found]]:
        found = reader.read(images, most=MOST_THINGS + 1, batch_size=batch)
        if not given.fit:
            return found
        fitted, _ = fit(images, [things[:MOST_THINGS] for things in found], batch_size=batch)
        return [[*moved, *things[MOST_THINGS:]] for moved, things in zip(fitted, found, strict=True)]

    accuracy = reader_accuracy(read, 4 if given.smoke else 1000)
    print("single held-out objects read right: " + ", ".join(f"{k} {v:.1%}" for k, v in accuracy.items()), flush=True)
    print("| skill | real renders | chance | seen | seen, shuffled | unseen |\n|" + " --- |" * 6)
    run = trained_run.load(given.workdir, mesh=devices.mesh(-1, 1)) if given.workdir else None
    draw = drawer(run, given.guidance) if run else draw_truth
    for skill in SKILLS[: 2 if given.smoke else None]:
        print(row(skill, draw, read, given.number), flush=True)
    print(word_order(draw, read, given.number))
    if run:
        print(caption_losses(run, 8 if given.smoke else 512))


if __name__ == "__main__":
    main()
