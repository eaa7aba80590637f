"""The operators of the chain language, by name, and their listing."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Annotated, Any

import jax

from gen.imaging import bounds, color, filters, masking
from gen.imaging.color.lut import Interpolation
from gen.imaging.color.palette import Dither


def lut(
    x: jax.Array, path: str, *, interpolation: Interpolation = "tetrahedral", sha256: str | None = None
) -> jax.Array:
    """Applies the look-up table of a .cube file, see `color.apply_lut` and `color.read_cube`.

    sha256: of the file's content, as an image's record has it: another file is refused. None: any file.
    """
    return color.apply_lut(x, color.read_cube(path, sha256=sha256), interpolation=interpolation)


def reduce_colors(x: jax.Array, colors: Annotated[int, bounds.whole(1, 256)], *, dither: Dither = "none") -> jax.Array:
    """Reduces each image to its main colors, see `color.palette` and `color.quantize`."""
    return color.quantize(x, color.palette(x, colors).colors, dither=dither)


_NOT_IMAGES = {  # what is public but does not make an image of an image by itself, beside the spaces of color
    *("Lut", "apply_lut", "delta_e_76", "delta_e_2000", "from_linear", "palette", "quantize", "read_cube"),
    *("reconstruct", "to_linear", "write_cube"),
}
OPERATORS: dict[str, Callable[..., Any]] = {
    name: getattr(module, name)
    for module in (filters, color)
    for name in module.__all__
    if "rgb" not in name and name not in _NOT_IMAGES
} | {
    "inside": masking.apply_masked,
    "lut": lut,
    "map_segments": masking.map_segments,
    "reduce_colors": reduce_colors,
}


def choices(name: str) -> dict[str, str]:
    """Lists the texts that an operator allows, by parameter."""
    allowed = {a.name: ", ".join(a.choices) for a in bounds.arguments(OPERATORS[name]).values() if a.kind is str}
    named: dict[str, tuple[str, ...]] = {"mask": masking.MASKS} if name == "inside" else {}
    named |= {"labels": masking.SEGMENTERS} if name == "map_segments" else {}
    texts = {argument: text for argument, text in allowed.items() if text}
    return texts | {argument: f"given {argument}, {', '.join(known)}" for argument, known in named.items()}


def listing() -> str:
    """Lists every operator with its arguments, the first line of its docstring, and the texts that it allows."""
    lines = []
    for name, function in sorted(OPERATORS.items()):
        given = [a.name if a.required else f"{a.name}={a.default!r}" for a in bounds.arguments(function).values()]
        lines.append(f"{name}({', '.join(given)})\n    {(inspect.getdoc(function) or '').splitlines()[0]}")
        lines += [f"    {parameter}: {allowed}" for parameter, allowed in choices(name).items()]
    return "\n".join(lines)
