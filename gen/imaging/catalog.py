"""The operators of the chain language: what makes an image of an image, by name, and what a text may give it."""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from gen.errors import InputError
from gen.imaging import _operator, bounds, color, filters, masking


def lut(x: jax.Array, path: str, *, interpolation: str = "tetrahedral", sha256: str | None = None) -> jax.Array:
    """The colors of a look-up table in a .cube file, see `color.apply_lut` and `color.read_cube`.

    sha256: of the file's content, as an image's record has it: another file is refused. None: any file.
    """
    return color.apply_lut(x, color.read_cube(path, sha256=sha256), interpolation=interpolation)


@bounds.bounded(colors=bounds.Numbers(1, 256, whole=True))
def reduce_colors(x: jax.Array, colors: int, *, dither: str = "none") -> jax.Array:
    """Each pixel in one of the main colors of its image, see `color.palette` and `color.quantize`."""
    return color.quantize(x, color.palette(x, colors).colors, dither=dither)


_NOT_IMAGES = {  # what is public but does not make an image of an image by itself
    *color.hsv.__all__,
    *color.spaces.__all__,
    *("Lut", "Palette", "apply_lut", "palette", "quantize", "read_cube", "write_cube", "delta_e_76", "delta_e_2000"),
    "reconstruct",
}
OPERATORS: dict[str, Callable[..., Any]] = {
    name: getattr(module, name) for module in (filters, color) for name in module.__all__ if name not in _NOT_IMAGES
} | {
    "inside": masking.inside,
    "lut": lut,
    "per_segment": masking.per_segment,
    "reduce_colors": reduce_colors,
}


def takes(function: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    """The parameters that a text may give: all but the key and the image."""
    return {p.name: p for p in inspect.signature(function).parameters.values() if p.name not in ("key", "x")}


def choices(name: str) -> dict[str, str]:
    """The texts that an operator allows, by parameter: what it says itself when it is given another one."""
    asked: dict[str, Callable[..., Any]] = {**OPERATORS, "lut": color.apply_lut}  # lut would look for a file first
    function = asked[name]
    image = np.zeros((1, 8, 8, 3), np.float32)
    parameters = takes(function).values()
    given: dict[str, Any] = {
        p.name: image if p.name in _operator.KINDS else 1 for p in parameters if p.default is p.empty
    }
    found: dict[str, str] = {}
    for parameter in parameters:
        if "str" in str(parameter.annotation):
            try:
                jax.eval_shape(functools.partial(function, **given | {parameter.name: "?"}), image)
            except InputError as error:
                allowed = str(error).partition("'?'; allowed: ")[2].replace("'", "")
                found[parameter.name] = allowed
                given[parameter.name] = re.split(r"\W", allowed)[0]  # so that it can be asked for the next
    return found


def listing() -> str:
    """Every operator with what it takes, the first line of its docstring, and the texts that it allows."""
    lines = []
    for name, function in sorted(OPERATORS.items()):
        given = [p.name if p.default is p.empty else f"{p.name}={p.default!r}" for p in takes(function).values()]
        lines.append(f"{name}({', '.join(given)})\n    {(inspect.getdoc(function) or '').splitlines()[0]}")
        lines += [f"    {parameter}: {allowed}" for parameter, allowed in choices(name).items()]
    return "\n".join(lines)
