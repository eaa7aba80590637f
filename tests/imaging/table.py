"""One row for each public operator of gen.imaging: how to call it, and which properties it promises.

The rows are in the lists `OPERATORS` of table_*.py beside this file; test_properties.py reads them all.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any


@dataclasses.dataclass(frozen=True)
class Row:
    """What to check of one operator.

    `call` takes the image x [b h w 3] or [h w 3] (or [.. 1] with gray=True) first, and nothing else: bind the other
    arguments with a lambda. Small sizes, so that it compiles fast. What an operator does not promise is switched off
    with a reason beside it in the table.
    """

    name: str  # as in gen.imaging.<module>.__all__; one operator may have several rows
    call: Callable[[Any], Any]
    gray: bool = False  # x has one channel
    constant: bool = True  # a constant image stays that constant (strength as in `call`)
    flips: bool = True  # call(flip(x)) == flip(call(x)), for left-right, up-down and transposition
    gradients: bool = True  # finite on a photo, zeros, ones, equal channels
    identity: Callable[[Any], Any] | None = None  # the operator with parameters that must change nothing
    per_image: Callable[[Any, Any], Any] | None = None  # (x, strength [b]): one strength for each image
    strengths: tuple[float, ...] = (0.2, 0.7)  # two values for per_image
    bounded: bool = True  # [0, 1] in gives [0, 1] out (to 1e-5)
    image: bool = True  # returns an image of the shape of x; else (labels, numbers, another size) only jit/batch/vmap
    exact_batch: bool = True  # batch = singles to 1e-5; False for operators on a whole batch
    tolerance: float = 1e-5  # of jit = eager, batch = singles
    half: float | None = 0.02  # largest error with bfloat16 inputs; None: not meant for it
