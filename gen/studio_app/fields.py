"""The fields of a request: taken one by one, each checked, none left over."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from gen.errors import InputError, nearest
from gen.files import printable

_MISSING: Any = object()


class Fields:
    """Fields by name, of a page that may be wrong or hostile. All raise InputError."""

    def __init__(self, given: Any) -> None:
        if not isinstance(given, Mapping):
            raise InputError("a request must be an object")
        self._given = dict(given)

    def _take(self, name: str, default: Any) -> Any:
        value = self._given.pop(name, None)
        if value is None:
            if default is _MISSING:
                raise InputError(f"{name} is missing")
            return default
        return value

    def whole(self, name: str, low: int, high: int, default: Any = _MISSING) -> Any:
        """Takes a whole number from low to high."""
        value = self._take(name, default)
        if value is not default and (type(value) is not int or not low <= value <= high):
            raise InputError(f"{name} must be a whole number from {low} to {high}")
        return value

    def number(self, name: str, low: float, high: float, default: Any = _MISSING) -> Any:
        """Takes a number from low to high."""
        value = self._take(name, default)
        if value is default:
            return value
        if type(value) not in (int, float) or not math.isfinite(value) or not low <= value <= high:
            raise InputError(f"{name} must be a number from {low:g} to {high:g}")
        return value

    def text(self, name: str, longest: int, default: Any = _MISSING) -> Any:
        """Takes a text."""
        value = self._take(name, default)
        if value is not default and (not isinstance(value, str) or len(value) > longest):
            raise InputError(f"{name} must be a text of at most {longest:,} characters")
        if value is not default and any("\ud800" <= letter <= "\udfff" for letter in value):
            raise InputError(f"{name} has half of a character of two parts, which is no text")
        return value

    def choice(self, name: str, allowed: Sequence[str], default: Any = _MISSING) -> Any:
        """Takes one of these texts."""
        value = self._take(name, default)
        if value is not default and value not in [*allowed]:
            meant = nearest(value, allowed) if isinstance(value, str) else ""
            raise InputError(f"{name} must be one of {', '.join(allowed)}{meant}")
        return value

    def wholes(self, name: str, low: int, high: int, most: int, default: Any = _MISSING) -> Any:
        """Takes a list of whole numbers, of at least one."""
        value = self._take(name, default)
        if value is default:
            return value
        fits = isinstance(value, list) and 0 < len(value) <= most
        if not fits or any(type(one) is not int or not low <= one <= high for one in value):
            raise InputError(f"{name} must be 1 to {most} whole numbers from {low} to {high}")
        return value

    def part(self, name: str) -> Fields:
        """Takes the fields of an object."""
        return Fields(self._take(name, _MISSING))

    def point(self, name: str) -> tuple[float, float] | None:
        """Takes a place in an image, x and y from 0 to 1; None where it is not given."""
        value = self._take(name, None)
        if value is None:
            return None
        part = Fields(value)
        found = part.number("x", 0, 1), part.number("y", 0, 1)
        part.end()
        return found

    def parts(self, name: str, most: int) -> list[Fields]:
        """Takes a list of objects, of at least one."""
        value = self._take(name, _MISSING)
        if not isinstance(value, list) or not 0 < len(value) <= most:
            raise InputError(f"{name} must be a list of 1 to {most}")
        return [Fields(one) for one in value]

    def end(self) -> None:
        """Refuses what was not taken."""
        for name in self._given:
            raise InputError(f"there is no field '{printable(name, longest=40)}'")
