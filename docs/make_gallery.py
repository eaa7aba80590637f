"""Draws the gallery of docs/imaging.md: each operator on a photograph, before and after, and the tables around it.

    python docs/make_gallery.py                     # everything anew
    python docs/make_gallery.py --only clahe,sepia  # only these pictures, and the tables
    python docs/make_gallery.py --check             # nothing is drawn; exits with 1 if something is missing

Needs the extra `docs`. The same versions of everything give the same bytes. What is drawn of which photograph is in
gallery_table.py, the photographs are in gallery_photos.py.
"""

from __future__ import annotations

import argparse
import inspect
import os
import re
import sys
import tempfile
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from gallery_table import PYTHON, SECTIONS, Entry
from PIL import Image

from gen.errors import InputError
from gen.imaging import color, filters, segment
from gen.imaging._operator import luma
from gen.imaging.chain import OPERATORS, chain

PAGE = Path(__file__).parent / "imaging.md"
PICTURES = Path(__file__).parent / "images" / "imaging"
_MARKERS = re.compile(r"(<!-- gallery:begin (?P<name>[^>]+) -->\n).*?(<!-- gallery:end -->)", re.DOTALL)
_GAP = 60 * "\u00a0"  # between the words above the two halves; as it cannot break, GitHub does not shrink the pictures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="names of operators, with commas")
    parser.add_argument("--check", action="store_true", help="do pictures and page agree with the operators?")
    given = parser.parse_args()
    if given.check:
        wrong = problems()
        print("\n".join(wrong) or f"{sum(map(len, SECTIONS.values()))} pictures, all there")
        sys.exit(bool(wrong))
    names = {entry.name for entries in SECTIONS.values() for entry in entries}
    only = set(given.only.split(",")) if given.only else names
    if only - names:
        sys.exit(f"--only: no {', '.join(sorted(only - names))} in gallery_table.py")
    PICTURES.mkdir(parents=True, exist_ok=True)
    for section, entries in SECTIONS.items():
        for entry in entries:
            if entry.name in only:
                picture = draw(entry, python=section in PYTHON)
                picture.save(PICTURES / f"{entry.name}.jpg", quality=85, optimize=True)
                print(entry.name, flush=True)
    PAGE.write_text(filled(PAGE.read_text("utf-8")), "utf-8")


def problems() -> list[str]:
    """What is not as it should be, a line for each: pictures, texts of chains, markers, tables."""
    entries = {entry.name: entry for section in SECTIONS.values() for entry in section}
    wrong = [f"{name}: no entry in gallery_table.py" for name in OPERATORS if name not in entries]
    wrong += [f"{name}: no picture {name}.jpg" for name in entries if not (PICTURES / f"{name}.jpg").is_file()]
    wrong += [f"{file.name}: of no operator" for file in sorted(PICTURES.iterdir()) if file.stem not in entries]
    for section in SECTIONS.keys() - PYTHON:
        for entry in SECTIONS[section]:
            try:
                chain(entry.text)
            except InputError as error:
                wrong.append(f"{entry.name}: {error}")
    page = PAGE.read_text("utf-8")
    found = [match["name"] for match in _MARKERS.finditer(page)]
    if found != list(SECTIONS):
        wrong.append(f"imaging.md: sections {found}; gallery_table.py has {list(SECTIONS)}")
    elif filled(page) != page:
        wrong.append("imaging.md: its tables are not those of gallery_table.py; run python docs/make_gallery.py")
    return wrong


# -- Tables


def filled(page: str) -> str:
    """The page with its tables made anew between the markers."""
    return _MARKERS.sub(lambda found: found[1] + table(found["name"]) + found[3], page)


def table(section: str) -> str:
    """The rows of a section in Markdown."""
    kind = "Python" if section in PYTHON else "chain"
    lines = [f"| before{_GAP}after | {kind} | elsewhere |", "| --- | --- | --- |"]
    for entry in SECTIONS[section]:
        meaning = (entry.meaning or _first_line(entry)).replace("*", "\\*")
        cells = (
            f"![{entry.name}](images/imaging/{entry.name}.jpg)",
            f"`{_escaped(entry.text)}`<br>{_escaped(meaning)}",
            "<br>".join(map(_equivalent, entry.like)),
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _first_line(entry: Entry) -> str:
    """Of the docstring of what the entry shows."""
    places = (OPERATORS.get(entry.name), *(getattr(module, entry.name, None) for module in (filters, color, segment)))
    function = next(place for place in places if place is not None)
    return (inspect.getdoc(function) or "").splitlines()[0]


def _equivalent(text: str) -> str:
    """A line of `Entry.like`: the code, and what is different about it."""
    relation, rest = text[0], text[2:]
    code, _, why = rest.partition("; ")
    words = {"=": "", "~": "like "}[relation]
    return f"{words}`{_escaped(code)}`{': ' if why else ''}{_escaped(why)}"


def _escaped(text: str) -> str:
    """For a cell of a table, where | ends the cell even in code."""
    return text.replace("|", "\\|")


# -- Pictures


def draw(entry: Entry, *, python: bool) -> Image.Image:
    """Before and after, side by side."""
    from gallery_photos import HEIGHT, LINEAR, REFERENCES, WIDTH, before, display, strokes

    x = before(entry.photo)
    shown = _rgb(display(x) if entry.photo in LINEAR else x)
    if "strokes" in entry.text:
        shown = np.where(strokes()[..., None] > 0, _COLORS[strokes()], shown)
    named = {name: before(photo) for name, photo in REFERENCES.items() if f"'{name}'" in entry.text}
    after = _run_python(entry, x) if python else _run_chain(entry.text, x, named)
    picture = Image.new("RGB", (2 * WIDTH, HEIGHT), "white")
    for at, side in ((0, shown), (WIDTH, _rgb(after))):
        image = Image.fromarray(np.uint8(np.round(255 * np.clip(side, 0, 1))))
        picture.paste(image.resize((WIDTH, HEIGHT), Image.NEAREST), (at, 0))
    for reference in named.values():  # in the corner of what goes in
        small = Image.fromarray(np.uint8(np.round(255 * reference))).resize((WIDTH // 3, HEIGHT // 3), Image.BOX)
        place = (WIDTH - WIDTH // 3 - 2, HEIGHT - HEIGHT // 3 - 2)
        picture.paste("white", (place[0] - 2, place[1] - 2, WIDTH, HEIGHT))
        picture.paste(small, place)
    return picture


def _run_chain(text: str, x: np.ndarray, references: dict[str, np.ndarray]) -> np.ndarray:
    from gallery_photos import scratches

    post = chain(text)
    with tempfile.TemporaryDirectory() as folder:
        color.write_cube(_film(), Path(folder, "film.cube"))
        here = os.getcwd()
        os.chdir(folder)
        try:
            masks = {"scratches": scratches()}
            return np.asarray(post(x, references=references, masks=masks, key=jax.random.key(0)))
        finally:
            os.chdir(here)


def _film() -> color.Lut:
    """A table of 17 x 17 x 17 colors: teal shadows, orange lights, faded black."""
    grid = np.stack(np.meshgrid(*[np.linspace(0, 1, 17)] * 3, indexing="ij"), -1)
    light = grid @ np.array((0.2126, 0.7152, 0.0722))[:, None]
    tint = (1 - light) * np.array((-0.10, 0.03, 0.08)) + light * np.array((0.10, 0.02, -0.12))
    curve = grid + 0.12 * np.sin(2 * np.pi * (grid - 0.5)) / 2
    return color.Lut(np.float32(np.clip(0.05 + 0.93 * (light + 0.85 * (curve - light) + tint), 0, 1)))


def _run_python(entry: Entry, x: np.ndarray) -> np.ndarray:
    return _drawn(entry.show, x, eval(entry.text, _python_names(entry.photo, x)))


def _python_names(photo: str, x: np.ndarray) -> dict[str, Any]:
    """What Python texts may name: the modules, x, and what the segmenters of this photograph need."""
    from gallery_photos import strokes

    image = jnp.asarray(x)
    names: dict[str, Any] = {"filters": filters, "color": color, "segment": segment, "x": image, "luma": luma(image)}
    if photo == "coins":
        mask = (names["luma"] > segment.threshold_otsu(image))[..., 0]
        names |= {
            "relief": filters.sobel(image),
            "markers": jnp.where(image < 0.2, 1, jnp.where(image > 0.6, 2, 0))[..., 0],
            "mask": mask.astype(jnp.int32),
            "ground": 1.0 - mask[..., None],
            "labels": segment.connected_components(mask.astype(jnp.int32)).labels,
        }
    return names | ({"strokes": strokes()} if photo == "astronaut" else {})


def _drawn(show: str, x: np.ndarray, value: Any) -> np.ndarray:
    """What a Python text gives as an image, in the way that its entry asks for."""
    if show == "stripes":
        ends = np.cumsum(np.round(np.asarray(value.shares) * x.shape[1]).astype(int))
        columns = np.searchsorted(ends, np.arange(x.shape[1]), side="right").clip(max=len(ends) - 1)
        return np.broadcast_to(np.asarray(value.colors)[columns], (x.shape[0], x.shape[1], 3))
    value = np.asarray(value)
    if show == "outlines":
        lines = np.asarray(segment.find_boundaries(value, mode="inner"))
        return np.where(lines > 0, np.float32((1.0, 0.9, 0.0)), _rgb(x))
    if show == "means":
        means = np.asarray(segment.region_statistics(x, value, int(value.max())).mean)
        return means[value - 1]
    if show == "labels":
        return 0.4 * _rgb(x) + 0.6 * _COLORS[value]
    value = value / value.max() if show == "scaled" else value
    return value[..., None] if value.ndim == 2 else value


# By label: black, then hues a golden angle apart, so that no two of them that follow each other are alike.
_HUES = np.arange(1024)[:, None] * 0.618034 + np.array((0, 2 / 3, 1 / 3))
_COLORS = np.where(np.arange(1024)[:, None] > 0, 0.6 + 0.4 * np.cos(2 * np.pi * _HUES), 0).astype(np.float32)


def _rgb(x: np.ndarray) -> np.ndarray:
    return np.broadcast_to(x, (*x.shape[:2], 3)).astype(np.float32)


if __name__ == "__main__":
    main()
