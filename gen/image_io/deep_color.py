"""Images of 16 bits a channel of which Pillow decodes the upper bytes: read in another order it decodes the lower ones
too, and both make the whole.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

_ORDERS = {"L": "B", "B": "L", "N": "B" if sys.byteorder == "little" else "L"}
_MODES = ("RGB;16", "RGBA;16")
_GRAY_ALPHA, _BYTES = "LA;16B", "RGBA"  # as many bytes a pixel: gray, its lower byte, alpha, its lower byte


def decode_lower_bytes(opened: Any) -> bool:
    """Makes an opened file decode its lower bytes. Returns False for one that has none, or of other kinds.

    A color that counts as transparent is compared with upper bytes, so that files with one are of other kinds.
    """
    tiles = [_swapped(tile) for tile in opened.tile]
    if not tiles or None in tiles or opened.info.get("transparency") is not None:
        return False
    opened.tile = tiles
    return True


def whole(
    upper: tuple[np.ndarray, np.ndarray | None], lower: tuple[np.ndarray, np.ndarray | None]
) -> tuple[np.ndarray, np.ndarray | None]:
    """Joins upper and lower bytes to uint16 color [h w c] and alpha [h w]."""
    if upper[0].shape[-1] == 1:  # its four bytes as red, green, blue, alpha
        lower = lower[0][..., 1:2], lower[1]
    return tuple(  # type: ignore[return-value]
        None if high is None or low is None else high.astype(np.uint16) << 8 | low
        for high, low in zip(upper, lower, strict=True)
    )


def _swapped(tile: Any) -> Any:
    several = not isinstance(tile.args, str)
    mode = str(tile.args[0] if several else tile.args)
    if mode == _GRAY_ALPHA:
        other = _BYTES
    elif mode[:-1] in _MODES and mode[-1] in _ORDERS:
        other = mode[:-1] + _ORDERS[mode[-1]]
    else:
        return None
    return tile._replace(args=(other, *tile.args[1:]) if several else other)
