"""Bounds of the fields of networks: numbers beyond them make no network, or one that no machine could hold."""

from __future__ import annotations

from typing import Any

from gen.errors import InputError
from gen.files import shown

WIDTH = (1, 2**16)  # channels, and sizes of vectors
BLOCKS = (0, 64)  # residual blocks a stage
EXPANSION = (1 / 64, 64)
PATCH = (1, 64)
STAGES = 16  # at most


def check_bounds(network: Any, place: str, **bounds: tuple[float, float]) -> None:
    """Raises InputError unless each of these fields, or each element of one, is within its bounds, both included.

    None is within any bounds; a tuple has 1 to 16 elements. `place` is the field to blame.
    """
    for name, (low, high) in bounds.items():
        value = getattr(network, name)
        each = value if isinstance(value, tuple) else (value,)
        if not 1 <= len(each) <= STAGES:
            raise InputError(f"{place}.{name}={shown(value)} cannot be used; allowed: 1 to {STAGES} numbers")
        if not all(number is None or low <= number <= high for number in each):
            raise InputError(f"{place}.{name}={shown(value)} cannot be used; allowed: {low:,g} to {high:,g}")
