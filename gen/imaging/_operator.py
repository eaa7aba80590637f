"""The decorator of every imaging operator: checks, batch axis, compilation, dtype; and shared helpers.

Images are [b h w c] or [h w c] float in [0, 1], display-referred sRGB; labels int32 [b h w] or [h w], 0 for what
belongs to no region; masks float [b h w 1] or [h w 1]. Outputs are not clipped unless a docstring says so. Sizes and
choices are static; strengths are traced and may be one for each image, [b].
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np

from gen.errors import InputError
from gen.imaging import bounds
from gen.imaging.bounds import KINDS

Function = TypeVar("Function", bound=Callable[..., Any])

_MEANT = {jnp.floating: "float in [0, 1]", jnp.integer: "int32"}
_LAYOUT = {4: "[b h w c] or [h w c]", 3: "[b h w] or [h w]"}


def operator(*, work: Callable[..., float] | None = None) -> Callable[[Function], Function]:
    """Makes an operator of a function of batched arrays.

    The operator is compiled, also takes single images, checks its arguments, computes 16-bit floats in float32, and
    returns floats in the dtype of the first array. Arrays are known by the names in `bounds.KINDS`, other parameters by
    their annotations: int, float, bool, str, tuple and Literal are Python values, static; Any is traced. work: steps
    for each pixel, from parameters by their names, where they grow with them.
    """

    def decorate(function: Function) -> Function:
        parameters = inspect.signature(function).parameters
        names, place = list(parameters), function.__name__
        first = next(name for name in names if name in KINDS)
        taken = bounds.arguments(function)
        static = tuple(name for name, argument in taken.items() if argument.kind)
        compiled = jax.jit(function, static_argnames=static)
        counted = inspect.signature(work).parameters if work else ()

        def prepared(given: dict[str, Any]) -> dict[str, Any]:
            """The arguments, checked: arrays with a batch axis, static lists as tuples."""
            arrays = {name: jnp.asarray(given[name]) for name in names if name in KINDS and given.get(name) is not None}
            for name, array in arrays.items():
                check(place, name, array)
            for name, value in given.items():
                if name in taken:
                    taken[name].check(place, value)
            if work:
                values = {name: given.get(name, parameters[name].default) for name in counted}
                height, width = arrays[first].shape[-3:-1] if KINDS[first][0] == 4 else arrays[first].shape[-2:]
                bounds.check_steps(place, work(**values), height, width)
            for name, array in arrays.items():
                array = array[None] if array.ndim < KINDS[name][0] else array
                half = jnp.issubdtype(array.dtype, jnp.floating) and array.dtype.itemsize < 4
                arrays[name] = array.astype(jnp.float32) if half else array
            lists = {name: tuple(v) for name, v in given.items() if name in static and isinstance(v, list)}
            return given | lists | arrays

        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            given = dict(zip(names, args, strict=False)) | kwargs
            if len(args) > len(names) or first not in given:
                return compiled(*args, **kwargs)  # the usual TypeError
            ready = prepared(given)
            original = jnp.asarray(given[first])
            single, dtype = original.ndim < KINDS[first][0], original.dtype
            try:
                out = compiled(*(ready[name] for name in names[: len(args)]), **{k: ready[k] for k in kwargs})
            except InputError as error:  # raised while tracing: without the notes of jax
                raise InputError(str(error) if str(error).startswith(f"{place}:") else f"{place}: {error}") from None

            def finish(leaf: jax.Array) -> jax.Array:
                if jnp.issubdtype(dtype, jnp.floating) and jnp.issubdtype(leaf.dtype, jnp.floating):
                    leaf = leaf.astype(dtype)
                return leaf[0] if single else leaf

            return jax.tree.map(finish, out)

        return call  # type: ignore[return-value]

    return decorate


def check(place: str, name: str, array: Any) -> None:
    """Raises InputError unless `array` has the rank and the kind of dtype that a parameter called `name` must have."""
    rank, kind = KINDS[name]
    if array.ndim not in (rank, rank - 1):
        raise InputError(f"{place}: {name} has shape {list(array.shape)}; allowed: {_LAYOUT[rank]}")
    if not jnp.issubdtype(array.dtype, kind):
        hint = ": divide by 255" if array.dtype == jnp.uint8 and kind is jnp.floating else ""
        raise InputError(f"{place}: {name} is {array.dtype}; allowed: {_MEANT[kind]}{hint}")
    if 0 in array.shape:
        raise InputError(f"{place}: {name} has shape {list(array.shape)}, which is empty; allowed: at least one pixel")


def finite(place: str, name: str, array: Any) -> None:
    """Raises InputError if a concrete array has a NaN or an infinity, with the first place. Not for traced arrays."""
    bad = ~np.isfinite(np.asarray(array, np.float32))
    if bad.any():
        at = [int(i) for i in np.argwhere(bad)[0]]
        raise InputError(f"{place}: {name} has {bad.sum()} values that are NaN or infinite, the first at {at}")


def require_colors(x: jax.Array, place: str, *, allowed: tuple[int, ...] = (3,)) -> None:
    """Raises InputError unless x [... c] has one of the allowed numbers of channels."""
    if x.shape[-1] not in allowed:
        raise InputError(f"{place}: x has {x.shape[-1]} channels; allowed: {' or '.join(map(str, allowed))}")


def like(array: jax.Array, x: jax.Array, place: str, name: str, *, channels: tuple[int, ...] = ()) -> jax.Array:
    """Broadcasts array [b or 1, h, w, k] to [b h w k] in the dtype of x [b h w c]; InputError if it does not fit.

    channels: what k may be; empty: anything.
    """
    b, h, w, _ = x.shape
    if array.shape[1:3] != (h, w) or array.shape[0] not in (1, b) or (channels and array.shape[3] not in channels):
        n, k = "1" if b == 1 else f"{b} or 1", " or ".join(map(str, sorted(set(channels)))) or "channels"
        raise InputError(f"{place}: {name} has shape {list(array.shape)}; allowed: [{n}, {h}, {w}, {k}], as x")
    return jnp.broadcast_to(array, (b, h, w, array.shape[3])).astype(x.dtype)


def strengths(strength: Any, x: jax.Array) -> jax.Array:
    """Converts a scalar or [b] to the dtype of x [b ...]. Raises InputError for another shape."""
    strength = jnp.asarray(strength, x.dtype)
    if strength.shape not in ((), (1,), (x.shape[0],)):
        shape = list(strength.shape)
        raise InputError(f"a strength has shape {shape}; allowed: a number, or one for each image, [{x.shape[0]}]")
    return strength


def per_image(strength: Any, x: jax.Array) -> jax.Array:
    """Reshapes a scalar or [b] to [] or [b 1 1 1] in the dtype of x [b h w c], so that it multiplies images."""
    strength = strengths(strength, x)
    return strength.reshape(strength.shape + (1,) * (x.ndim - 1)) if strength.ndim else strength


def reflect(n: int, before: int, after: int) -> np.ndarray:
    """Makes indices [before + n + after] into n samples, reflected without repeating the edge, as often as needed."""
    period = max(2 * (n - 1), 1)
    i = np.abs(np.arange(-before, n + after)) % period
    return np.minimum(i, period - i) if n > 1 else np.zeros_like(i)


def pad(x: jax.Array, rows: int, columns: int) -> jax.Array:
    """Pads [b h w c] to [b h+2*rows w+2*columns c] by reflection, for radii of any size."""
    for axis, radius in ((1, rows), (2, columns)):
        n = x.shape[axis]
        if radius:
            widths = [(radius, radius) if i == axis else (0, 0) for i in range(x.ndim)]
            x = jnp.pad(x, widths, mode="reflect") if radius < n else jnp.take(x, reflect(n, radius, radius), axis)
    return x


def luma(x: jax.Array) -> jax.Array:
    """Converts [... 3] to luma [... 1] by the weights of Rec. 709; other numbers of channels stay unchanged."""
    if x.shape[-1] != 3:
        return x
    red, green, blue = (x[..., i : i + 1] for i in range(3))  # 30 times faster on a CPU than a sum over the last axis
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
