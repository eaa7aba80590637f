"""Operators in a row, compiled to one function of images; `chain.chain` reads them from text."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import inspect
from collections.abc import Callable, Iterator, Mapping
from pathlib import PurePath
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.errors import JaxRuntimeError

from gen.errors import InputError, nearest
from gen.files import printable
from gen.imaging import _operator, bounds, color, masking
from gen.imaging.catalog import OPERATORS

Arrays = Mapping[str, Any]
_REGIONS = {"inside", "map_segments"}
_LARGEST = 65504.0


@dataclasses.dataclass(frozen=True)
class Step:
    """One operator of a chain and what the text gives it, by parameter, in the order of the text."""

    name: str
    arguments: tuple[tuple[str, Any], ...]
    positional: int  # how many of them the text does not name

    def __str__(self) -> str:
        numbered = enumerate(self.arguments)
        given = [repr(value) if i < self.positional else f"{name}={value!r}" for i, (name, value) in numbered]
        return f"{self.name}({', '.join(given)})" if given else self.name

    @property
    def recorded(self) -> Step:
        """The same step with files by their names and digests, see `Chain.record_text`."""
        arguments: dict[str, Any] = {n: v.recorded if isinstance(v, Chain) else v for n, v in self.arguments}
        if self.name == "lut":
            path = arguments["path"]
            arguments |= {"path": PurePath(path).name, "sha256": color.cube.cube_digest(path)}
        return dataclasses.replace(self, arguments=tuple(arguments.items()))

    @property
    def function(self) -> Callable[..., Any]:
        return OPERATORS[self.name]

    @property
    def takes_key(self) -> bool:
        return "key" in inspect.signature(self.function).parameters

    @property
    def random(self) -> bool:
        return self.takes_key or any(nested.random for nested in self.nested)

    @property
    def nested(self) -> list[Chain]:
        return [value for _, value in self.arguments if isinstance(value, Chain)]


@dataclasses.dataclass(frozen=True)
class Chain:
    """A parsed chain; call it on images, `str` gives its text back."""

    steps: tuple[Step, ...]

    def __str__(self) -> str:
        return "|".join(map(str, self.steps))

    def __repr__(self) -> str:
        return repr(str(self))

    @property
    def size(self) -> int:
        """Counts its steps, with those of chains within it."""
        return sum(1 + sum(nested.size for nested in step.nested) for step in self.steps)

    @property
    def recorded(self) -> Chain:
        return Chain(tuple(step.recorded for step in self.steps))

    @functools.cached_property
    def record_text(self) -> str:
        """The chain as the record of an image keeps it: files without their folders, and the sha256 of their content.

            lut('/home/me/look.cube')    lut('look.cube', sha256='9f86d081...')

        In a folder that holds these files it can be read and applied again; other content is refused. Raises
        InputError for a file that cannot be read.
        """
        return str(self.recorded)

    @property
    def tables(self) -> tuple[str, ...]:
        """The sha256 of each .cube file as it is now, in order. Raises InputError for one that cannot be read."""
        found = list[str]()
        for step in self.steps:
            if step.name == "lut":
                found.append(color.cube.cube_digest(dict(step.arguments)["path"]))
            found += [digest for nested in step.nested for digest in nested.tables]
        return tuple(found)

    @property
    def random(self) -> bool:
        """Checks whether any step draws random numbers, so that a key must be given."""
        return any(step.random for step in self.steps)

    @property
    def strengths(self) -> dict[str, float]:
        """The numbers that may be arrays and fitted: {"hue.turns": 0.6}; those of a second hue are "hue#2.turns"."""
        return {
            f"{label}.{name}": value
            for label, step in self._labeled()
            for name, value in step.arguments
            if isinstance(value, int | float) and not bounds.arguments(step.function)[name].kind
        }

    def with_strengths(self, strengths: Mapping[str, Any]) -> Chain:
        """Replaces numbers of the chain, and so of its text. Raises InputError for an unknown name."""
        self._check_strengths(strengths)
        other = {name: float(value) for name, value in strengths.items()}
        return Chain(
            tuple(
                dataclasses.replace(step, arguments=tuple((n, other.get(f"{label}.{n}", v)) for n, v in step.arguments))
                for label, step in self._labeled()
            )
        )

    def __call__(
        self,
        x: jax.Array | np.ndarray,
        *,
        references: Arrays | None = None,
        masks: Arrays | None = None,
        key: jax.Array | None = None,
        strengths: Arrays | None = None,
    ) -> jax.Array:
        """Refines images [b h w c] or [h w c] in [0, 1]; the result is finite, and clipped to [0, 1].

        Between the steps values may leave [0, 1], up to the largest half float, 65504: a later step may bring them
        back. Docstrings state how operators treat negative values that they cannot take.

        references: images by name. masks: masks float [b h w 1] or labels int32 [b h w] by name. key: for random
        operators. strengths: numbers or arrays [] or [b] in place of those of the text, see `strengths`; traced, so
        that they can be fitted by their gradients. Raises InputError for what is missing, NaN, of the wrong shape, or
        too large to compute.
        """
        x = jnp.asarray(x)
        _operator.check("chain", "x", x)
        given = {"references": dict(references or {}), "masks": dict(masks or {}), "strengths": dict(strengths or {})}
        self._check_strengths(given["strengths"])
        for name, array in {"x": x, **given["references"]}.items():
            if not isinstance(array, jax.core.Tracer):
                _operator.finite("chain", name, array)
        if self.random and key is None:
            names = ", ".join(step.name for step in self.steps if step.random)
            raise InputError(f"chain: {names} is random, and key is None; allowed: key=jax.random.key(0)")
        with _refusals(self):
            y = _compiled(self, self.tables)(x, key, given)
            if not isinstance(y, jax.core.Tracer):
                _operator.finite("chain", "the result", y)
        return y

    def _check_strengths(self, given: Mapping[str, Any]) -> None:
        allowed, functions = self.strengths, {label: step.function for label, step in self._labeled()}
        for name, value in given.items():
            if name not in allowed:
                known = ", ".join(allowed) or "none"
                raise InputError(f"chain: no strength '{name}'{nearest(name, allowed)}; there are: {known}")
            label, _, argument = name.rpartition(".")
            bounds.arguments(functions[label])[argument].check(label, value)

    def _labeled(self) -> Iterator[tuple[str, Step]]:
        seen: dict[str, int] = {}
        for step in self.steps:
            seen[step.name] = count = seen.get(step.name, 0) + 1
            yield (step.name if count == 1 else f"{step.name}#{count}"), step

    def apply(self, key: jax.Array | None, x: jax.Array, given: Mapping[str, Mapping[str, Any]]) -> jax.Array:
        """Applies the steps one after the other, not compiled, not clipped: what `__call__` compiles."""
        for i, (label, step) in enumerate(self._labeled()):
            step_key = None if key is None else jax.random.fold_in(key, i)
            arguments = {name: given["strengths"].get(f"{label}.{name}", value) for name, value in step.arguments}
            x = _run(step, x, step_key, arguments, given)
            x = jnp.clip(x, -_LARGEST, _LARGEST)
        return x


@contextlib.contextmanager
def _refusals(chain: Chain) -> Iterator[None]:
    """InputError, without the notes of jax, for whatever a chain is refused for, by its operators or by jax."""
    try:
        yield
    except InputError as error:
        raise InputError(str(error)) from None
    except (TypeError, ValueError, ArithmeticError, IndexError, MemoryError, RecursionError, JaxRuntimeError) as error:
        first = next(iter(str(error).splitlines()), "")
        raise InputError(f"chain {printable(chain, longest=80)}: {printable(first, longest=150)}") from error


@functools.lru_cache(maxsize=256)
def _compiled(chain: Chain, tables: tuple[str, ...]) -> Callable[..., jax.Array]:
    """tables: of the chain: other content of its files makes another function."""
    return jax.jit(lambda x, key, given: jnp.clip(chain.apply(key, x, given), 0.0, 1.0))


def _run(step: Step, x: jax.Array, key: jax.Array | None, arguments: dict[str, Any], given: Any) -> jax.Array:
    """One step: arrays looked up by name, nested chains made functions of the image."""
    for name, value in arguments.items():
        kind = "masks" if name in ("mask", "labels") else "references"
        if isinstance(value, Chain):
            arguments[name] = lambda part, nested=value: nested.apply(key, part, {**given, "strengths": {}})
        elif name in _operator.KINDS and isinstance(value, str):
            if value in given[kind]:
                arguments[name] = given[kind][value]
            elif not (step.name in _REGIONS and masking.is_automatic(value)):
                known = ", ".join(given[kind]) or "none was given"
                meant = nearest(value, given[kind])
                raise InputError(f"{step.name}: no '{value}' in {kind}{meant}; there are: {known}")
    return step.function(*((key, x) if step.takes_key else (x,)), **arguments)
