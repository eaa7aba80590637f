"""Makes a folder of PNG files with captions of an .npz file of emoji, for experiments/emoji.py; measures a run of it.

    python benchmarks/emoji_folder.py emoji64_rgba.npz emoji
    python benchmarks/emoji_folder.py --workdir runs/emoji    # R-precision on names learned from, and on held-out ones
    python benchmarks/emoji_folder.py --smoke

The file has x (uint8 [n h w 4], RGBA) and names [n]; the folder gets train/NUMBER.png, held_out/NUMBER.png and
metadata.jsonl. A name such as emoji_u1f469_1f3fd_200d_1f680 is spelled out by the names that Unicode gives its
characters, "woman, medium skin tone, rocket"; other names are texts as they are. Emoji with a character that this
Python's Unicode has no name for are left out, and counted. Those that differ in skin tones alone are held out together.
Transparent pixels become white when the folder is read.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import pathlib
import re
import sys
import tempfile
import unicodedata

import numpy as np
from PIL import Image

from gen import devices
from gen.cli import guard
from gen.config import build, experiment
from gen.data import DatasetSplits, Examples
from gen.data.folder import held_out_by_name
from gen.errors import InputError
from gen.evaluation import model_images, random_subset
from gen.features.text_image import TextImageModel, text_image_model
from gen.metrics.retrieval import r_precision
from gen.npz import read_npz
from gen.runs import trained_run
from gen.training import loop

HELD_OUT = 0.05  # share of the names, skin tones apart
_MODIFIERS = ("light", "medium-light", "medium", "medium-dark", "dark")  # Fitzpatrick types 1-2 to 6
_TONES, _TAGS, _LETTERS = range(0x1F3FB, 0x1F400), range(0xE0020, 0xE007F), range(0x1F1E6, 0x1F200)
_JOINERS = (0x200D, 0xFE0F, 0xE007F)  # that join characters, ask for color, and end a tag
_WORDS = {0x20E3: "key", 0x2640: "woman", 0x2642: "man", 0x1F3F4: "flag"}  # what they add to others
# Two people of different tones, in four characters, are the pair in one.
_PAIRS = {
    "1f469_1f91d_1f468": "1f46b",
    "1f468_1f91d_1f468": "1f46c",
    "1f469_1f91d_1f469": "1f46d",
    "1f9d1_2764_1f48b_1f9d1": "1f48f",
    "1f9d1_2764_1f9d1": "1f491",
    "1faf1_1faf2": "1f91d",
}


def codes_of(name: str) -> list[int]:
    """The characters in the name of a file of emoji, but for joiners; [] for another name."""
    if not re.fullmatch(r"emoji_u[0-9a-f]+(_[0-9a-f]+)*", name):
        return []
    return [code for code in (int(part, 16) for part in name[7:].split("_")) if code not in _JOINERS]


def spelled(name: str) -> str:
    """Spells a name out: the words of its characters, with commas; "" where one of them has none."""
    codes = codes_of(name)
    if not codes:
        return "" if name.startswith("emoji_u") else name
    if len(codes) == 2 and all(code in _LETTERS for code in codes):
        return "flag of " + "".join(chr(code - _LETTERS[0] + ord("A")) for code in codes)
    if codes[0] == 0x1F3F4 and len(codes) > 3 and all(code in _TAGS for code in codes[1:]):  # of a part of a country
        region = "".join(chr(code - 0xE0000) for code in codes[1:]).upper()
        return f"flag of {region[:2]}-{region[2:]}"
    words = [_word(code, alone=len(codes) == 1) for code in codes]
    return ", ".join(words) if all(words) else ""


def _word(code: int, *, alone: bool) -> str:
    if code in _TONES:
        return f"{_MODIFIERS[code - _TONES[0]]} skin tone"
    if code in _WORDS and not alone:
        return _WORDS[code]
    return unicodedata.name(chr(code), "").lower() if code <= sys.maxunicode else ""


def group_of(name: str) -> str:
    """The name without skin tones."""
    codes = "_".join(f"{code:x}" for code in codes_of(name) if code not in _TONES)
    return _PAIRS.get(codes, codes) or name


def write(images: np.ndarray, names: list[str], folder: pathlib.Path) -> None:
    """Writes the folder, which must not exist. images: uint8 [n h w 4]."""
    lines, texts = [], [spelled(name) for name in names]
    for split in ("train", "held_out"):
        (folder / split).mkdir(parents=True)
    for number, (image, name, text) in enumerate(zip(images, names, texts, strict=True)):
        if text:
            split = "held_out" if held_out_by_name(group_of(name), HELD_OUT) else "train"
            file = f"{split}/{number:05d}.png"
            Image.fromarray(image).save(folder / file)
            lines.append({"file_name": file, "text": text})
    metadata = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
    (folder / "metadata.jsonl").write_text(metadata, encoding="utf-8")
    held_out = [line["text"] for line in lines if line["file_name"].startswith("held_out")]
    examples = "; ".join(line["text"] for line in lines[:: len(lines) // 3 + 1])
    print(
        f"{folder}: {len(lines):,} images, {len(held_out):,} of them held out; {texts.count(''):,} others have no name "
        f"in Unicode {unicodedata.unidata_version}, that of this Python, and are left out; such as {examples}"
    )


def agreement(examples: Examples, model: TextImageModel, candidates: int) -> str:
    """R-precision of captioned images, with its interval."""
    assert examples.captions is not None
    has = np.flatnonzero(np.asarray(examples.captions.counts))
    texts = [examples.captions.of(int(image))[0] for image in has]
    distinct, numbers = np.unique(texts, return_inverse=True)
    vectors = model.images(examples.images[has]), model.texts(distinct.tolist())[numbers]
    found = r_precision(*vectors, numbers, candidates=candidates)
    return f"{found.value:.1%} ({found.low:.1%} to {found.high:.1%})"


def rows(
    run: trained_run.TrainedRun, source: DatasetSplits, model: TextImageModel, number: int, candidates: int
) -> list[str]:
    """One line for each split: R-precision of samples drawn with its captions, and of its images."""
    made, mesh = [], devices.mesh(-1, 1)
    for split, part in (("learned from", source.train), ("held out", source.held_out)):
        asked = dataclasses.replace(source, train=part)  # of which captions are drawn
        samples = model_images(run.task, run.ema_params, asked, number, mesh=mesh)
        cells = [agreement(each, model, candidates) for each in (samples, random_subset(part, number))]
        made.append(f"| {split} | {cells[0]} | {cells[1]} |")
    return made


def measure(workdir: pathlib.Path, number: int, *, candidates: int = 100, steps: int = 1500) -> None:
    """Prints R-precision of a run among so many names, by the text-image model of its data, as gen.evaluate has it."""
    run = trained_run.load(workdir, mesh=devices.mesh(-1, 1))
    if not getattr(run.task, "caption_length", 0):
        raise InputError(f"{workdir}: a run without captions; allowed: one that learned captions")
    source = build(run.config.data, "data")
    made = rows(run, source, text_image_model(source, steps=steps), number, candidates)
    print(f"| names | samples, nearest to their own of {candidates} | real images |\n| --- | --- | --- |")
    print("\n".join(made))


def read(file: pathlib.Path) -> tuple[np.ndarray, list[str]]:
    """Reads images uint8 [n h w 4] and their names. Raises InputError."""
    try:
        arrays = read_npz(file, ("x", "names"))
    except InputError as error:
        raise InputError(f"{file}: {error}") from None
    if len(arrays) < 2 or arrays["x"].dtype != np.uint8 or arrays["x"].shape[3:] != (4,):
        raise InputError(f"{file}: allowed: an .npz file with x, uint8 [n h w 4], and names [n]")
    return arrays["x"], [str(name) for name in arrays["names"]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", nargs="?", type=pathlib.Path)
    parser.add_argument("folder", nargs="?", type=pathlib.Path)
    parser.add_argument("--workdir", type=pathlib.Path, help="a run to measure")
    parser.add_argument("--number", type=int, default=1000, help="of samples for each split")
    parser.add_argument("--smoke", action="store_true", help="two images of noise; a run on scenes, no claim")
    given = parser.parse_args()
    if given.smoke:
        with tempfile.TemporaryDirectory() as temporary:
            noise = np.random.default_rng(0).integers(0, 256, (2, 8, 8, 4), dtype=np.uint8)
            write(noise, ["emoji_u1f600", "emoji_u1f469_1f3fd_200d_1f680"], pathlib.Path(temporary) / "emoji")
            loop.train(experiment.load("experiments/scenes.py:smoke"), pathlib.Path(temporary) / "run")
            measure(pathlib.Path(temporary) / "run", 8, candidates=2, steps=2)
    elif given.workdir:
        measure(given.workdir, given.number)
    elif given.folder is None:
        raise InputError("name the .npz file and the folder to make, or --workdir")
    elif given.folder.exists():
        raise InputError(f"{given.folder} is there already; name another folder")
    else:
        write(*read(given.file), given.folder)


if __name__ == "__main__":
    guard(main)
