"""The payload: bits to chips of +-1 and back.

Each block of b bits is a word of the first-order Reed-Muller code RM(1, b - 1): 2^(b - 1) chips, any two of them differ
in at least a half. The best word is found by one Hadamard transform of the received chips (maximum likelihood for
Gaussian noise); MacWilliams and Sloane, The Theory of Error-Correcting Codes, chapter 14.

The payload are the 24 bits of the tag, the first first; small images carry its first 8. The version of the scheme needs
none: the signs are derived from it, so that each version finds its own marks only.
"""

from __future__ import annotations

import numpy as np

from gen.watermark.key import BLOCKS, Carriers

TAG_BITS = 24


def payload(tag: int, size: int) -> list[int]:
    """The words of the blocks of a canonical size, as integers."""
    words, left = [], TAG_BITS
    for length in BLOCKS[size]:
        left -= length
        words.append(tag >> left & ((1 << length) - 1))
    return words


def hadamard(values: np.ndarray) -> np.ndarray:
    """The product of Sylvester's matrix, whose entry (i, j) is -1 to the number of ones in i & j, and values [2^k]."""
    half = 1
    while half < len(values):
        pairs = values.reshape(-1, 2, half)
        values = np.stack([pairs[:, 0] + pairs[:, 1], pairs[:, 0] - pairs[:, 1]], axis=1).reshape(-1)
        half *= 2
    return values


def chips(word: int, bits: int) -> np.ndarray:
    """+-1 [2^(bits - 1)]: the row of Sylvester's matrix of the last bits of the word; the first bit turns it over."""
    length = 1 << (bits - 1)
    row = 1 - 2 * (np.bitwise_count(np.arange(length) & word) % 2).astype(np.int8)
    return row * (1 - 2 * (word >> (bits - 1)))


def target(key_carriers: Carriers, tag: int, size: int) -> np.ndarray:
    """The signs that a mark with this tag has, complex [C, C / 2 + 1]."""
    parts = np.stack([key_carriers.signs.real, key_carriers.signs.imag]).reshape(-1)
    for word, bits, order in zip(payload(tag, size), BLOCKS[size], key_carriers.order, strict=True):
        parts[order] *= np.resize(chips(word, bits), len(order))
    real, imaginary = parts.reshape(2, *key_carriers.signs.shape)
    return (real + 1j * imaginary).astype(np.complex64)


def decode(spectrum: np.ndarray, key_carriers: Carriers, size: int) -> list[tuple[int, float]]:
    """For each block its likeliest word, and a bound of the probability that a word fits so well by chance.

    The bound is Hoeffding's over the random signs, for all words together.
    """
    received = np.stack([spectrum.real * key_carriers.signs.real, spectrum.imag * key_carriers.signs.imag]).reshape(-1)
    found = []
    for bits, order in zip(BLOCKS[size], key_carriers.order, strict=True):
        length = 1 << (bits - 1)
        values = received[order].astype(np.float64)
        sums = np.bincount(np.arange(len(order)) % length, values, length)
        fits = hadamard(sums)
        best = int(np.argmax(np.abs(fits)))
        word = best | (int(fits[best] < 0) << (bits - 1))
        power = float(np.sum(values**2))
        bound = 2.0**bits * np.exp(-(fits[best] ** 2) / (2 * power)) if power > 0 else 1.0
        found.append((word, float(min(1.0, bound))))
    return found


def tag_of(words: list[tuple[int, float]], size: int, known: float) -> tuple[int, int]:
    """The tag, and how many of its leading bits are known: of the leading blocks whose bound is below `known`."""
    tag, bits = 0, 0
    for (word, bound), length in zip(words, BLOCKS[size], strict=True):
        if bound >= known:
            break
        tag, bits = tag << length | word, bits + length
    return tag << TAG_BITS - bits, bits
