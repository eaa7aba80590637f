"""What gen makes of unlike sets of images, in about two hours of two CPU cores each: docs/results.md, by one command.

    python benchmarks/results.py --data DIR --out runs/results --hardware "2 cores of an Intel Xeon"
    python benchmarks/results.py --data DIR --out runs/results --only emoji sprites   # others stay as they were
    python benchmarks/results.py --smoke --out DIR                                    # drawn images, a tiny run

Writes the images of DIR/NAME.npz into a folder, as a person has them, trains experiments/folder.py on it, measures by
benchmarks/quality.py, and makes a picture of samples beside real images. What is done is not done again: a stopped
training goes on, and every finished set is a file OUT/NAME/result.json, of which its section of the page is written
anew; the section of a set without one stays. Each set has as many images to train on as should fit into two hours, an
estimate: 160,000 of 64 px took 53 minutes of one core of an AMD EPYC, two cores are 1.7 times as fast, and images of
twice the side four times as slow. So 400,000 take 80 minutes at 64 px, and 150,000 about 110 at 128 px. The files:
cifar10.npz (x_train, y_train, class_names; Krizhevsky 2009), emoji64_rgba.npz (x; Noto Emoji), nuclei256.npz (x; Kaggle
Data Science Bowl 2018), lpc_sprites_video.npz (x_train [character sequence frame h w 3]; Li and Mandt 2018).
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import quality
from PIL import Image

from gen import api
from gen.config import Config, build, experiment
from gen.data import DatasetSplits
from gen.files import atomic_write
from gen.npz import read_npz
from gen.report.contact_sheet import grid
from gen.report.pictures import save_png

Named = Iterator[tuple[str, np.ndarray]]  # path in the folder, without suffix, and image uint8 [h w c]
_TILES = 48  # images in each half of a picture
_HEAD = """# Results

Made by `python benchmarks/results.py`, with as many `--images` and `--num_samples` as the tables say. For each set:
samples above, held-out real images below, neither selected. Measures are explained in [metrics.md](metrics.md). The
recipe is meant for 400,000 images, of 128 px 150,000: fewer are unfinished."""


@dataclasses.dataclass(frozen=True)
class Set:
    """A set of images and the recipe for it."""

    title: str
    file: str  # .npz
    images: Callable[[Path], Named]
    credit: str  # whose images they are
    variant: str = "cpu"  # of experiments/folder.py
    overrides: tuple[tuple[str, str], ...] = ()
    count: int = 400_000  # images to train on, in at most about two hours of two cores

    def config(self, folder: Path, images: int | None, changes: Sequence[tuple[str, str]] = ()) -> Config:
        count = str(images or self.count)
        length = (("total_images", count), ("task.schedule_images", count))
        where = (("data.path", str(folder)), *length, *self.overrides, *changes)
        return experiment.load(f"experiments/folder.py:{self.variant}", overrides=where)


def cifar10(file: Path) -> Named:
    arrays = read_npz(file, ("x_train", "y_train", "x_test", "y_test", "class_names"))
    for split in ("train", "test"):
        for i, (image, label) in enumerate(zip(arrays[f"x_{split}"], arrays[f"y_{split}"].ravel(), strict=True)):
            yield f"{split}/{arrays['class_names'][label]}/{i:05}", image


def emoji(file: Path) -> Named:
    arrays = read_npz(file, ("x", "skin_tone_variant"))
    for i, image in enumerate(arrays["x"][~arrays["skin_tone_variant"]]):
        yield f"{i:05}", image


def nuclei(file: Path) -> Named:
    for i, image in enumerate(read_npz(file, ("x",))["x"]):
        yield f"{i:05}", image


def sprites(file: Path) -> Named:
    for c, character in enumerate(read_npz(file, ("x_train",))["x_train"]):
        for i, image in enumerate(character.reshape(-1, *character.shape[-3:])[::4]):
            yield f"{c:03}-{i:02}", image


_GUIDED = (("task.guidance", "1.5"), ("task.guidance_times", "(0.2, 0.8)"))
SETS = {
    "cifar10": Set(
        "Objects: CIFAR-10, 32 px, ten classes", "cifar10.npz", cifar10, "Krizhevsky 2009", overrides=_GUIDED
    ),
    "emoji": Set(
        "Art and design: emoji, 64 px",
        "emoji64_rgba.npz",
        emoji,
        "Noto Emoji, Apache-2.0",
        overrides=(("data.resolution", "64"), ("data.held_out", "0.1")),  # enough to tell copies by
    ),
    "nuclei": Set(
        "Medicine: nuclei, 128 px",
        "nuclei256.npz",
        nuclei,
        "Data Science Bowl 2018, CC0",
        overrides=(("data.resolution", "128"), ("data.held_out", "0.16")),
        count=150_000,
    ),
    "sprites": Set(
        "Film: characters, 64 px",
        "lpc_sprites_video.npz",
        sprites,
        "Liberated Pixel Cup artists, CC BY-SA 3.0, GPL 3.0",
        overrides=(("data.resolution", "64"),),
    ),
}


def write_folder(images: Named, folder: Path) -> None:
    """Writes images as PNG, once."""
    done = folder.with_suffix(".done")
    if done.exists():
        return
    for name, image in images:
        path = folder / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image.squeeze()).save(path, compress_level=1)
    done.touch()


def picture(model: api.Model, real: np.ndarray) -> np.ndarray:
    """Samples above, real images below: uint8 [h w 3]."""
    columns = len(model.class_names) if 1 < len(model.class_names) <= 16 else 12
    rows = _TILES // columns
    if 1 < len(model.class_names) <= 16:
        made = model.sample(range(rows), label=list(range(columns)))  # all seeds of each class
        made = made.reshape(columns, rows, *made.shape[1:]).swapaxes(0, 1).reshape(-1, *made.shape[1:])
    else:
        made = model.sample(range(rows * columns))
    real = real[np.arange(len(made)) % len(real)]
    halves = [grid(half, columns=columns) for half in (made, real)]
    gap = np.full((8, halves[0].shape[1], 3), 255, np.uint8)
    return np.concatenate([halves[0], gap, halves[1]])


def repeated(source: DatasetSplits) -> int:
    """Counts the held-out images that equal one to learn from."""
    learned = {image.tobytes() for image in source.train.images[:]}
    return sum(image.tobytes() in learned for image in source.held_out.images[:])


def run(
    name: str,
    what: Set,
    out: Path,
    data: Path,
    images: int | None,
    changes: Sequence[str],
    *,
    hardware: str,
    **measuring: Any,
) -> None:
    """Does all there is to do for one set."""
    home = out / name
    if (home / "result.json").exists():
        print(f"{name}: done before; remove {home / 'result.json'} to measure again", file=sys.stderr)
        return
    write_folder(what.images(data / what.file), home / "images")
    overrides = [(path, value) for path, _, value in (change.partition("=") for change in changes)]
    model = api.train(what.config(home / "images", images, overrides), home / "run")
    config = model.run.config
    source = build(config.data, "data")
    save_png(home / "picture.png", picture(model, source.held_out.images[:_TILES]))
    measured = quality.Measured(**measuring)
    began = time.monotonic()
    measured.add(home / "run")
    rows = [row._asdict() | {"results": [dataclasses.asdict(r) for r in row.results]} for row in measured.rows]
    about = {"images": len(source.train.images), "measured_in": time.monotonic() - began, "seeds": _TILES}
    about |= {"set": list(changes), "credit": what.credit, "hardware": hardware, "repeated": repeated(source)}
    about["nearly"] = (source.metadata.get("quick_audit") or {}).get("leaked_nearly", 0)
    about["recipe"] = [f"{path}={value}" for path, value in what.overrides if path != "data.resolution"]
    atomic_write(home / "result.json", json.dumps({"title": what.title, "about": about, "rows": rows}, indent=1) + "\n")


def section(result: dict[str, Any], image: str) -> str:
    """Writes what was found about one set, Markdown. image: the address of its picture."""
    about = result["about"]
    rows = [
        quality.Row(**row | {"results": [quality.MetricResult(**r) for r in row["results"]]}) for row in result["rows"]
    ]
    credit = f" ({about['credit']})" if about.get("credit") else ""
    text = f"{about['images']:,} images to train on{credit}."
    copies = {"equal": about.get("repeated"), "nearly equal": about.get("nearly")}  # not in files of earlier days
    if found := " and ".join(f"{count:,} {what}" for what, count in copies.items() if count):
        text += f" Of the held-out images, {found} one of them, so the floor is a low one."
    if recipe := about.get("recipe"):
        text += f" The recipe has {' and '.join(f'`{change}`' for change in recipe)} here."
    text += "".join(f" `--set {change}`." for change in about["set"])
    table = quality.table(rows, about.get("hardware", "not stated"))
    return "\n\n".join([f"## {result['title']}", text, f"![samples and real images]({image})", table])


def page(out: Path, sets: dict[str, Set], pictures: Path, before: str) -> str:
    """Writes the pictures and returns the page, Markdown, of all sets that are done.

    before: the page as it is; its sections of the other sets stay.
    """
    kept = {part.partition("\n")[0]: f"## {part.strip()}" for part in before.split("\n## ")[1:]}
    sections = []
    for name, what in sets.items():
        found = out / name / "result.json"
        if found.exists():
            pictures.mkdir(parents=True, exist_ok=True)
            (pictures / f"{name}.png").write_bytes((out / name / "picture.png").read_bytes())
            image = f"{pictures.parent.name}/{pictures.name}/{name}.png"
            sections.append(section(json.loads(found.read_text(encoding="utf-8")), image))
        elif what.title in kept:
            sections.append(kept[what.title])
    return "\n\n".join([_HEAD, *sections]) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder of the .npz files")
    parser.add_argument("--out", type=Path, default=Path("runs/results"))
    parser.add_argument("--only", nargs="+", choices=SETS, default=list(SETS), metavar="NAME")
    parser.add_argument("--page", type=Path, default=Path("docs/results.md"))
    parser.add_argument("--hardware", default="not stated")
    parser.add_argument("--num_samples", type=int, default=5_000)
    parser.add_argument("--images", type=int, help="to train on, instead of as many as the recipe says")
    parser.add_argument("--set", nargs="+", default=[], metavar="FIELD=VALUE", help="changes of the recipe")
    parser.add_argument("--extractor", help="as of gen.evaluate; pixels: seconds instead of minutes, and coarser")
    parser.add_argument("--smoke", action="store_true")
    given = parser.parse_args()
    measuring = {"extractor": given.extractor, "samples": given.num_samples, "references": 10_000}
    sets = SETS
    if given.smoke:
        noise = np.random.default_rng(0).integers(0, 256, (400, 32, 32, 3), np.uint8)
        tiny = (("total_images", "16"), ("batch_size", "8"), ("preview_images", "8"))
        sets = {
            "noise": Set(
                "Noise", "none", lambda file: ((f"{i}", x) for i, x in enumerate(noise)), "nobody", overrides=tiny
            )
        }
        given.out, given.only, given.page = given.out / "smoke", ["noise"], given.out / "smoke" / "results.md"
        given.data, measuring = given.out, {"extractor": "pixels", "samples": 20, "references": 100}
    if given.data is None:
        parser.error("--data is missing")
    given.page.parent.mkdir(parents=True, exist_ok=True)
    for name in given.only:
        run(name, sets[name], given.out, given.data, given.images, given.set, hardware=given.hardware, **measuring)
        pictures = given.page.parent / "images" / "results"
        before = given.page.read_text(encoding="utf-8") if given.page.exists() else ""
        atomic_write(given.page, page(given.out, sets, pictures, before))
        print(f"{name}: {given.page}", file=sys.stderr)


if __name__ == "__main__":
    main()
