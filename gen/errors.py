"""The one exception that a person sees, as one line, and the search for the name they meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class InputError(ValueError):
    """What was wrong, where, what is allowed, the nearest match: one line, shown without a traceback, exit code 2."""


def nearest(name: str, allowed: Iterable[str]) -> str:
    """The ending of an error message: "; did you mean 'x'?" for the allowed name nearest to `name`, else nothing."""
    matches = difflib.get_close_matches(name, list(allowed), n=1, cutoff=0.5)
    return f"; did you mean '{matches[0]}'?" if matches else ""
