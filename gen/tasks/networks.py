"""The networks of a task: fitted to the data, and tried out in shape where they are the user's own.

docs/own_networks.md says what a network must keep, with an example.
"""

from __future__ import annotations

from typing import Any

import jax

from gen.config.resolve import blamed
from gen.errors import InputError


def fit(task: Any, role: str, **facts: Any) -> None:
    """Gives the network in the field `role` of a frozen task these facts of the data, and checks it. InputError."""
    network = getattr(task, role).clone(**facts)
    network.check(f"task.{role}")
    object.__setattr__(task, role, network)


def known_classes(conditional: bool | None, num_classes: int) -> int:
    """Returns how many classes a task learns of `num_classes`; conditional: by class; None: if there are any.

    Raises InputError where it is True and there are none.
    """
    if conditional and not num_classes:
        raise InputError("task.conditional is True, but the data has no labels; allowed: False, None, or labeled data")
    return 0 if conditional is False else num_classes


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
