"""The networks of a task: fitted to the data, and tried out in shape where they are the user's own.

docs/own_networks.md says what a network must keep, with an example.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from gen.config.resolve import blamed
from gen.devices import constrain
from gen.errors import InputError
from gen.text import PAD, VOCABULARY


def fit(task: Any, role: str, **facts: Any) -> None:
    """Gives the network in the field `role` of a frozen task these facts of the data, and checks it. InputError."""
    network = getattr(task, role)
    if unknown := [name for name in facts if not hasattr(network, name)]:
        raise InputError(
            f"task.{role} ({type(network).__qualname__}) has no field '{unknown[0]}', so it cannot learn this"
        )
    network = network.clone(**facts)
    network.check(f"task.{role}")
    object.__setattr__(task, role, network)


def reads(caption_length: int, name: str = "vocabulary") -> dict[str, int]:
    """Returns what a network is told of captions; nothing where there are none."""
    return {name: VOCABULARY} if caption_length else {}


def no_captions(count: int, length: int) -> tuple[jax.Array, ...]:
    """Returns the last input of a network that reads captions, where there are none: ([count length],); else ()."""
    return (constrain(jnp.full((count, length), PAD, jnp.int32)),) if length else ()


def drop_captions(key: jax.Array, captions: jax.Array, *, probability: float) -> jax.Array:
    """Replaces a share of captions [b l] by none."""
    dropped = constrain(jax.random.bernoulli(key, probability, captions.shape[:1]))
    return jnp.where(dropped[:, None], PAD, captions)


def know_conditions(task: Any) -> None:
    """Sets `num_classes` and `caption_length` of a frozen task to what it learns by, 0 for nothing. InputError."""
    length = known_captions(task.captioned, task.caption_length)
    classes = 0 if length and task.conditional is None else task.num_classes
    object.__setattr__(task, "caption_length", length)
    object.__setattr__(task, "num_classes", known_classes(task.conditional, classes))


def known_classes(conditional: bool | None, num_classes: int) -> int:
    """Returns how many classes a task learns of `num_classes`; conditional: by class; None: if there are any.

    Raises InputError where it is True and there are none.
    """
    if conditional and not num_classes:
        raise InputError("task.conditional is True, but the data has no labels; allowed: False, None, or labeled data")
    return 0 if conditional is False else num_classes


def known_captions(captioned: bool | None, caption_length: int) -> int:
    """Returns the tokens of the captions that a task learns; captioned: by caption; None: if there are any; 0: none.

    Raises InputError where it is True and there are none.
    """
    if captioned and not caption_length:
        raise InputError(
            "task.captioned is True, but the data has no captions; allowed: False, None, or data with captions"
        )
    return 0 if captioned is False else caption_length


def init_network(key: jax.Array, network: Any, place: str, *inputs: jax.Array, shape: tuple[int, ...]) -> Any:
    """Initializes the variables of a network, which maps these inputs to floats of this shape.

    Raises InputError, with `place` and the class, where one of the user's own does not: where it fails, keeps more than
    parameters, needs random numbers, or makes another shape.
    """
    if type(network).__module__.startswith("gen."):
        return network.init(key, *inputs)
    name = f"{place} ({type(network).__module__}:{type(network).__qualname__})"
    with blamed(name):
        params = network.init(key, *inputs)
    if kept := [kind for kind in params if kind != "params"]:
        raise InputError(f"{name} keeps {', '.join(kept)}; allowed: parameters alone, so no BatchNorm")
    with blamed(name):
        made = jax.eval_shape(network.apply, params, *inputs)
    given = " and ".join(str(list(array.shape)) for array in inputs)
    found = list(made.shape) if hasattr(made, "shape") else type(made).__name__
    if found != list(shape) or not jax.numpy.issubdtype(made.dtype, jax.numpy.floating):
        raise InputError(f"{name} makes {found} of {given}; it must make floats {list(shape)}")
    return params
