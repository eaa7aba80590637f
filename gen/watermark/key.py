"""The owner's secret, and what is derived from it: the signs and the places of the carriers.

Everything comes from SHAKE-256 of the secret, so that it depends on no version of jax or numpy.
"""

from __future__ import annotations

import functools
import hashlib
from dataclasses import dataclass, field

import numpy as np

from gen.errors import InputError
from gen.watermark.frame import band

VERSION = 1  # of the scheme; part of what the signs are derived from: another version finds nothing of this one
SHORTEST = 16  # bytes of a secret

# For each canonical size: the share of the carriers that is known to whoever has the key, and the bits of each block.
SYNC_SHARE = {16: 1.0, 32: 0.65, 64: 0.5, 128: 0.45, 256: 0.6}
BLOCKS = {16: (), 32: (8,), 64: (8,), 128: (12, 12), 256: (12, 12)}


@dataclass(frozen=True)
class Key:
    """A secret of at least 16 bytes. `name` identifies it without revealing it: 8 hexadecimal digits."""

    secret: bytes = field(repr=False)

    @property
    def name(self) -> str:
        return hashlib.sha256(b"gen.watermark name\0" + self.secret).hexdigest()[:8]


def key(secret: bytes) -> Key:
    """Makes the key of a secret; refuses secrets that can be guessed by their length."""
    if not isinstance(secret, bytes | bytearray | memoryview):
        raise InputError(f"watermark key: a {type(secret).__name__}; allowed: bytes, at least {SHORTEST}")
    if len(secret) < SHORTEST:
        raise InputError(f"watermark key: {len(secret)} bytes; allowed: at least {SHORTEST}")
    return Key(bytes(secret))


@dataclass(frozen=True)
class Carriers:
    """What a key gives for one canonical size C. Spectra are [C, C / 2 + 1], as by rfft2.

    signs: complex, +-1 +-1i on the band, else 0. sync: bool, carriers whose signs are all that is expected there.
    order: for each block [reals] indices into the real and imaginary parts [2, C, C / 2 + 1], flat, that carry its
    chips, one after the other and again from the first.
    """

    signs: np.ndarray
    sync: np.ndarray
    order: tuple[np.ndarray, ...]


@functools.lru_cache(maxsize=64)
def carriers(key: Key, size: int) -> Carriers:
    """Derives signs and places for the canonical size."""
    used = band(size)
    count = int(used.sum())
    seed = b"gen.watermark %d %d\0" % (VERSION, size) + key.secret
    stream = np.frombuffer(hashlib.shake_256(seed).digest(4 * count + count), np.uint8)
    bits = stream[4 * count :]
    signs = np.zeros(used.shape, np.complex64)
    signs[used] = (1.0 - 2.0 * (bits & 1)) + 1j * (1.0 - 2.0 * (bits >> 1 & 1))
    shuffled = np.flatnonzero(used)[np.argsort(stream[: 4 * count].view("<u4"), kind="stable")]
    known = round(SYNC_SHARE[size] * count)
    sync = np.zeros(used.size, bool)
    sync[shuffled[:known]] = True
    payload = np.stack([shuffled[known:], shuffled[known:] + used.size], axis=1).reshape(-1)  # real, imaginary
    number = len(BLOCKS[size])
    order = tuple(payload[block::number] for block in range(number))
    return Carriers(signs, sync.reshape(used.shape), order)
