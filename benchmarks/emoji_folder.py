"""Makes a folder of PNG files with captions of an .npz file of emoji: what experiments/emoji.py learns.

    python benchmarks/emoji_folder.py emoji64_rgba.npz emoji
    python benchmarks/emoji_folder.py --smoke

The file has x (uint8 [n h w 4], RGBA) and names [n]; the folder gets NUMBER.png and metadata.jsonl. A name such as
emoji_u1f469_1f3fd_200d_1f680 is spelled out by the names that Unicode gives its characters, "woman, medium skin tone,
rocket"; other names are texts as they are. Transparent pixels become white when the folder is read.
"""

from __future__ import annotations

import argparse
import json
import pathlib
import re
import sys
import tempfile
import unicodedata

import numpy as np
from PIL import Image

_MODIFIERS = ("light", "medium-light", "medium", "medium-dark", "dark")  # Fitzpatrick types 1-2 to 6
_JOINERS = (0x200D, 0xFE0F, 0xE007F)  # that join characters, ask for color, and end a tag
_WORDS = {0x20E3: "key", 0x2640: "woman", 0x2642: "man", 0x1F3F4: "flag"}


def spelled(name: str) -> str:
    """Spells a name out, if it is that of a file of emoji: the words of its characters, with commas."""
    if not re.fullmatch(r"emoji_u[0-9a-f]+(_[0-9a-f]+)*", name):
        return name
    codes = [int(code, 16) for code in name.removeprefix("emoji_u").split("_")]
    if all(0x1F1E6 <= code <= 0x1F1FF for code in codes):
        return "flag of " + "".join(chr(code - 0x1F1E6 + ord("A")) for code in codes)
    words = [_word(code) for code in codes if code not in _JOINERS]
    return ", ".join(word for word in words if word)


def _word(code: int) -> str:
    if 0x1F3FB <= code <= 0x1F3FF:
        return f"{_MODIFIERS[code - 0x1F3FB]} skin tone"
    if 0xE0020 <= code < 0xE007F:  # a letter of the region of a flag
        return chr(code - 0xE0000)
    word = _WORDS.get(code) or unicodedata.name(chr(code), f"{code:x}").lower()
    return word


def write(images: np.ndarray, names: list[str], folder: pathlib.Path) -> None:
    """Writes the folder, which must not exist. images: uint8 [n h w 4]."""
    folder.mkdir(parents=True)
    lines = []
    for number, (image, name) in enumerate(zip(images, names, strict=True)):
        file = f"{number:05d}.png"
        Image.fromarray(image).save(folder / file)
        lines.append(json.dumps({"file_name": file, "text": spelled(name)}, ensure_ascii=False))
    (folder / "metadata.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    print(
        f"{folder}: {len(lines):,} images, such as {', '.join(spelled(name) for name in names[:: len(names) // 3 + 1])}"
    )


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", nargs="?", type=pathlib.Path)
    parser.add_argument("folder", nargs="?", type=pathlib.Path)
    parser.add_argument("--smoke", action="store_true", help="two images of noise")
    given = parser.parse_args(argv)
    if given.smoke:
        with tempfile.TemporaryDirectory() as temporary:
            noise = np.random.default_rng(0).integers(0, 256, (2, 8, 8, 4), dtype=np.uint8)
            write(noise, ["emoji_u1f600", "emoji_u1f469_1f3fd_200d_1f680"], pathlib.Path(temporary) / "emoji")
        return 0
    if given.folder is None:
        parser.error("name the .npz file and the folder to make")
    if given.folder.exists():
        print(f"{given.folder} is there already; name another folder", file=sys.stderr)
        return 2
    with np.load(given.file) as arrays:
        write(arrays["x"], [str(name) for name in arrays["names"]], given.folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
