"""Does a generator that was trained on watermarked images emit the mark?

    python benchmarks/marked_training.py --data fashion_mnist.npz --workdir runs/marked
    python benchmarks/marked_training.py --smoke        # two steps on drawn shapes, no claim

Marks the training images of an npz file with a key, as gen writes images of their size; trains the GAN of
experiments/fashion_mnist.py on them for --images images (the same command again finds it trained); and looks for the
mark in 64, 256, ... of its samples together, with that key and with four others. Beside it the training images
themselves, marked and not, and with --unmarked the samples of a run on the images as they were. A p-value bounds the
probability that images without the mark fit the key so well. Writes WORKDIR/samples.png.
"""

from __future__ import annotations

import argparse
import pathlib
import sys
import tempfile
from collections.abc import Iterator

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from memorization import train

from gen import watermark
from gen.api import load
from gen.data import npz, shapes
from gen.image_io.pixels import to_uint8
from gen.report import grid, save_png

EXPERIMENT = "experiments/fashion_mnist.py"
KEY = watermark.key(b"the key of the marked training images")
TAG = 0x5A0000  # of which an image of 32 pixels carries the first 8 bits


def marked_data(folder: pathlib.Path, data: pathlib.Path | None) -> tuple[pathlib.Path, np.ndarray, np.ndarray]:
    """Writes the data set with marked training images, or finds it: the file, and these images unmarked and marked."""
    source = npz(data, 32) if data else shapes(resolution=32, num_train=64, num_held_out=16)
    images, file = np.asarray(source.train.images), folder / "marked.npz"
    if not file.exists():
        sets = {"x_train": watermark.embed(images, KEY, tag=TAG), "y_train": source.train.labels}
        sets |= {"x_test": source.held_out.images, "y_test": source.held_out.labels}
        folder.mkdir(parents=True, exist_ok=True)
        np.savez(file, **sets)
    with np.load(file) as there:  # what a run that is found was trained on, also if the mark has changed since
        return file, images, there["x_train"]


def samples(run: pathlib.Path, number: int) -> np.ndarray:
    """Samples of a run as uint8, with no mark of their own."""
    return to_uint8(load(run).sample(range(number)))


def rows(name: str, images: np.ndarray, others: int) -> Iterator[str]:
    """The lines of the table for images of one kind."""
    order = np.random.default_rng(0).permutation(len(images))
    number = 64
    while number <= len(images):
        part = images[order[:number]]
        found = watermark.pool(part, KEY)
        least = min(watermark.pool(part, watermark.key(b"another key, %08d" % i)).p_value for i in range(others))
        tag = f"{found.tag >> 24 - found.tag_bits:0{found.tag_bits}b}" if found.tag_bits else ""
        right = "" if not tag else "right" if found.tag == TAG else "wrong"
        yield f"| {name} | {number:,} | {found.p_value:.1e} | {least:.2g} | {right} |"
        number *= 4


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=pathlib.Path, help="an .npz file: x_train, y_train, x_test, y_test")
    parser.add_argument("--workdir", type=pathlib.Path, help="where the run on marked images is, or shall be")
    parser.add_argument("--unmarked", type=pathlib.Path, help="a run on the images as they were")
    parser.add_argument("--images", type=int, default=60_000, help="that it is shown")
    parser.add_argument("--num_samples", type=int, default=4096)
    parser.add_argument("--smoke", action="store_true")
    given = parser.parse_args()
    if not given.smoke and None in (given.data, given.workdir):
        parser.error("--data and --workdir are needed")
    workdir = given.workdir or pathlib.Path(tempfile.mkdtemp()) / "marked"
    number, others = (64, 2) if given.smoke else (given.num_samples, 4)
    file, unmarked, marked = marked_data(workdir.parent / f"{workdir.name}_data", None if given.smoke else given.data)
    options = {"data.path": file.resolve(), "total_images": given.images, "task.schedule_images": given.images}
    if given.smoke:
        options |= {"total_images": 16, "batch_size": 8, "preview_images": 8}
        options |= {f"task.{role}.blocks": 1 for role in ("generator", "discriminator")}
    train(f"{EXPERIMENT}:npz", workdir, *[f"--config.{name}={value}" for name, value in options.items()])
    made = samples(workdir, number)
    save_png(workdir / "samples.png", grid(made[:64]))
    sets = {"training images, marked": marked[:number], "samples of the run on them": made}
    sets["training images, not marked"] = unmarked[:number]
    if given.unmarked:
        sets["samples of the run on these"] = samples(given.unmarked, number)
    print(f"| images | how many together | p | least p of {others} other keys | tag |")
    print("|" + " --- |" * 5)
    for name, images in sets.items():
        for row in rows(name, images, others):
            print(row, flush=True)


if __name__ == "__main__":
    main()
